/** npm run bench: see USAGE. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BEFORE, besideBefore, isBuilt } from './before.ts';
import { describeMachine } from './machine.ts';
import { FULL, QUICK, quickened } from './pace.ts';
import { installPeers } from './peers/install.ts';
import { stopProcesses } from './processes.ts';
import { Progress } from './progress.ts';
import { chart } from './report/chart.ts';
import { curves } from './report/curves.ts';
import { toJson } from './report/json.ts';
import type { Circumstances, ScenarioResult } from './report/results.ts';
import { page, preamble, table } from './report/table.ts';
import { sum } from './rounds.ts';
import { expectedMs, measurementsOf, type Pace, runScenario } from './run.ts';
import type { Scenario, Workload } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

const RESULTS = fileURLToPath(new URL('results/', import.meta.url));

const USAGE = `Usage: npm run bench -- [<scenario> ...] [--quick] [--rounds <n>] [--only <text>] [--peers <name>,...] [--out <folder>]
       npm run bench -- --against <checkout> [the same]

Measures the built daemon against its peers, each in a process of its own on loopback: work per second of the server's
processor time, latency, memory. The expected time goes to stderr, tables go to stdout. The exit status is 1 if a server
sent something wrong, or a scenario could not be measured. Missed targets do not change it. Linux only.

Scenarios: ${SCENARIOS.map(({ name }) => name).join(', ')}. The word before a dash means all scenarios that begin with it.
Without a name, all scenarios run.

  --quick          fewer workloads, shorter windows, two rounds: under a minute for each first word
  --rounds <n>     the number of rounds that count (default ${FULL.rounds}, quick ${QUICK.rounds}); one round before them
                   is dropped, except for memory
  --only <text>    only the workloads with this text in their name
  --peers <names>  only these peers, separated by commas
  --against <checkout>
                   a folder with another commit, built: its daemon is one more subject, '${BEFORE}'
  --out <folder>   the folder for each scenario's result as soon as it is measured: a page, all rounds as JSON, a chart.
                   Results of other scenarios stay (default: bench/results; none with --quick, --only, --peers or --against)
`;

interface Flags {
  names: string[];
  pace: Pace;
  quick: boolean;
  only: string | undefined;
  peers: string[] | null;
  against: string | undefined;
  out: string | null;
}

function readFlags(): Flags {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        only: { type: 'string' },
        peers: { type: 'string' },
        against: { type: 'string' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const { quick, only, rounds, against, out } = values;
    const unknown = positionals.find((name) => !SCENARIOS.some((scenario) => isNamed(scenario, name)));
    if (unknown !== undefined) throw new Error(`There is no scenario '${unknown}'`);
    if (rounds !== undefined && !/^[1-9]\d?$/.test(rounds)) throw new Error('--rounds must be 1 to 99');
    const pace = quick ? QUICK : FULL;
    const peers = values.peers?.split(',') ?? null;
    return {
      names: positionals,
      pace: rounds === undefined ? pace : { ...pace, rounds: Number(rounds) },
      quick,
      only,
      peers,
      against,
      out: out ?? (quick || only !== undefined || peers !== null || against !== undefined ? null : RESULTS),
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function isNamed({ name }: Scenario, asked: string): boolean {
  return name === asked || name.startsWith(`${asked}-`);
}

/** The scenarios asked for, with the workloads asked for. */
function chosenOf({ names, quick, only, against }: Flags): Scenario[] {
  const choose = (workloads: readonly Workload[]) => {
    if (only !== undefined) return workloads.filter(({ name }) => name.includes(only));
    return quick ? workloads.flatMap(quickened) : workloads;
  };
  return SCENARIOS.filter((scenario) => names.length === 0 || names.some((name) => isNamed(scenario, name)))
    .map((scenario) => ({ ...scenario, workloads: choose(scenario.workloads) }))
    .filter(({ workloads }) => workloads.length > 0)
    .map((scenario) => (against === undefined ? scenario : besideBefore(scenario, against)));
}

async function versionsOf(scenarios: readonly Scenario[]): Promise<Map<string, string | null>> {
  const versions = new Map<string, string | null>();
  for (const { name, version } of scenarios.flatMap(({ workloads }) => workloads.flatMap(({ subjects }) => subjects))) {
    if (!versions.has(name)) versions.set(name, await version());
  }
  return versions;
}

/** Without the subjects that are not here or not asked for; the first of a workload is always. */
function present(scenario: Scenario, versions: ReadonlyMap<string, string | null>, peers: string[] | null): Scenario {
  const isPresent = (name: string) => versions.get(name) !== null && (peers === null || peers.includes(name));
  return {
    ...scenario,
    workloads: scenario.workloads.map((workload) => ({
      ...workload,
      subjects: workload.subjects.filter(({ name }, i) => i === 0 || isPresent(name)),
    })),
  };
}

async function write(folder: string, circumstances: Circumstances, result: ScenarioResult): Promise<void> {
  const { name } = result.scenario;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), toJson(circumstances, result));
  await writeFile(join(folder, `${name}.md`), page(circumstances, result));
  const draw = result.scenario.workloads.some(({ point }) => point !== undefined) ? curves : chart;
  await writeFile(join(folder, `${name}.svg`), draw(result));
}

async function main(): Promise<void> {
  const flags = readFlags();
  if (flags.against !== undefined && !(await isBuilt(flags.against))) {
    process.stderr.write(`There is no build in ${flags.against}: npm ci and npm run build there come first\n`);
    process.exitCode = 2;
    return;
  }
  await installPeers();
  const chosen = chosenOf(flags);
  if (chosen.length === 0) {
    process.stderr.write('Nothing to measure: no workload of these is quick, or has that in its name\n');
    process.exitCode = 2;
    return;
  }
  const versions = await versionsOf(chosen);
  const stranger = flags.peers?.find((name) => !versions.has(name));
  if (stranger !== undefined) {
    process.stderr.write(`There is no peer '${stranger}' in these scenarios, but ${[...versions.keys()].join(', ')}\n`);
    process.exitCode = 2;
    return;
  }
  const scenarios = chosen.map((scenario) => present(scenario, versions, flags.peers));
  const circumstances = { machine: describeMachine(), versions, ...flags.pace };
  const workloads = scenarios.flatMap((scenario) => scenario.workloads);
  const measurements = (workload: Workload) => measurementsOf(workload, flags.pace);
  const progress = new Progress(
    sum(workloads.map(measurements)),
    sum(workloads.map((workload) => measurements(workload) * expectedMs(workload, flags.pace))),
  );
  process.stdout.write(preamble(circumstances));
  for (const scenario of scenarios) {
    try {
      const result = await runScenario(scenario, flags.pace, progress);
      progress.clear();
      process.stdout.write(table(result));
      if (flags.out !== null) await write(flags.out, circumstances, result);
    } catch (error) {
      // The others are measured all the same.
      progress.clear();
      process.stderr.write(`${(error as Error).message}\n`);
      process.exitCode = 1;
    }
  }
  progress.end();
}

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => void stopProcesses().finally(() => process.exit(1)));
await main();
