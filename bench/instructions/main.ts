/** npm run bench:instructions: see USAGE. */
import { once } from 'node:events';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Daemon } from '../../test/support/daemon.ts';
import { Load } from '../load/process.ts';
import { afterwards, remember, stopProcesses } from '../processes.ts';
import { number, spread } from '../report/format.ts';
import { spreadOf } from '../rounds.ts';

const HERE = fileURLToPath(new URL('../..', import.meta.url));
const AGENTS = 1000;
/** So many times as many agents come to a daemon that is to be warm for most of them. */
const MANY = 4;
const DASHBOARDS = 10;
/** V8 writes machine code as it runs, which valgrind must notice. The simulation of caches is not needed. */
const VALGRIND = [
  'valgrind',
  '--tool=cachegrind',
  '--cache-sim=no',
  '--cachegrind-out-file=/dev/null',
  '--smc-check=all-non-file',
];
const COUNT = /I\s+refs:\s+([\d,]+)/;
const MILLION = 1e6;

const USAGE = `Usage: npm run bench:instructions -- [<checkout> ...] [--rounds <n>]

Counts the instructions that the daemon executes outside the kernel, under valgrind: for a start, for the first ${number(AGENTS)}
agents that connect, register, deregister and go while ${DASHBOARDS} dashboards watch, and for each agent after them. The
count hardly depends on what else the machine does. The first agents include what V8 spends on compiling the code that
they use; V8 compiles on, in its own threads, for a while.

  <checkout>    a folder with another commit, built: one more row
  --rounds <n>  the number of rounds, shown as median, least and greatest (default 3). A round takes about
                two minutes for each row
`;

interface Counts {
  start: number;
  firstAgents: number;
  eachLater: number;
}

/** The instructions of a daemon that so many agents come to, from its start to its end. */
async function countFor(checkout: string, agents: number): Promise<number> {
  const daemon = await Daemon.start({ launcher: VALGRIND, program: resolve(checkout, 'dist/hypivisor.js') });
  remember(daemon.process);
  afterwards(() => daemon.stop('SIGKILL'));
  const load = new Load();
  const { port } = daemon;
  if (agents > 0) {
    await load.tell('watch', { port, connections: DASHBOARDS });
    await load.tell('comeAndGo', { port, agents });
  }
  await load.tell('letEnd', undefined);
  const said = once(daemon.process, 'close');
  await daemon.stop();
  await said;
  await stopProcesses();
  const count = COUNT.exec(daemon.stderr)?.[1];
  if (count === undefined) throw new Error(`valgrind counted nothing: ${daemon.stderr.slice(-500)}`);
  return Number(count.replaceAll(',', ''));
}

async function countsOf(checkout: string): Promise<Counts> {
  const start = await countFor(checkout, 0);
  const few = await countFor(checkout, AGENTS);
  const many = await countFor(checkout, MANY * AGENTS);
  return { start, firstAgents: few - start, eachLater: (many - few) / ((MANY - 1) * AGENTS) };
}

function rowOf(name: string, rounds: readonly Counts[]): string {
  const figure = (of: keyof Counts) => spread(spreadOf(rounds.map((counts) => counts[of] / MILLION)));
  return `| ${name} | ${figure('start')} | ${figure('firstAgents')} | ${figure('eachLater')} |`;
}

function readFlags(): { checkouts: string[]; rounds: number } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { rounds: { type: 'string', default: '3' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    if (!/^[1-9]\d?$/.test(values.rounds)) throw new Error('--rounds must be 1 to 99');
    return { checkouts: [HERE, ...positionals], rounds: Number(values.rounds) };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

const flags = readFlags();
const rounds = new Map<string, Counts[]>(flags.checkouts.map((checkout) => [checkout, []]));
for (let round = 0; round < flags.rounds; round++) {
  for (const checkout of flags.checkouts) rounds.get(checkout)?.push(await countsOf(checkout));
}
const head = [
  `| Millions of instructions | a start | the first ${number(AGENTS)} agents | each agent after them |`,
  '| --- | --: | --: | --: |',
];
const rows = [...rounds].map(([checkout, counts]) => rowOf(checkout === HERE ? 'this build' : checkout, counts));
process.stdout.write(`${[...head, ...rows].join('\n')}\n`);
