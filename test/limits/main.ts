/** npm run limits: see USAGE. */
import { describeMachine } from '../../bench/machine.ts';
import { descriptors } from './descriptors.ts';
import { dials } from './dials.ts';
import { faults } from './faults.ts';
import type { Figure, Part, Say } from './figure.ts';
import { fragments } from './fragments.ts';
import { heads } from './heads.ts';
import { laggards } from './laggards.ts';
import { peers } from './peers.ts';
import { relays } from './relays.ts';
import { roster } from './roster.ts';
import { silent } from './silent.ts';
import { spares } from './spares.ts';
import { timeouts } from './timeouts.ts';

const PARTS: Record<string, Part> = {
  heads,
  fragments,
  relays,
  dials,
  roster,
  descriptors,
  silent,
  spares,
  laggards,
  timeouts,
  faults,
};

const USAGE = `Usage: npm run limits -- [--peers] [<part> ...]

Measures the bounds of the built daemon, in a process of its own with its defaults, and prints each beside its measurement.
Without a part's name it measures all of them, in about seven minutes. Ends with 1 if a bound is not met. Linux only.

Parts: ${Object.keys(PARTS).join(', ')}

  --peers  measures ws, nginx and HAProxy in the same way, if they are installed; alone, or with the named parts
`;

const TERMINAL_MS = 200;
const ELSEWHERE_MS = 10_000;

/** One line on stderr, written over on a terminal; elsewhere one every ten seconds. */
function progressOf(name: string): Say {
  let saidAt = performance.now();
  return (text) => {
    const now = performance.now();
    if (now - saidAt < (process.stderr.isTTY ? TERMINAL_MS : ELSEWHERE_MS)) return;
    saidAt = now;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${name}: ${text}` : `${name}: ${text}\n`);
  };
}

function print(title: string, figures: readonly Figure[]): void {
  console.log(`\n${title}\n`);
  console.log('| What | Bound | Measured | |\n|---|---|---|---|');
  for (const { what, bound, measured, met } of figures) {
    console.log(`| ${what} | ${bound} | ${measured} | ${met === null ? '' : met ? 'met' : '**not met**'} |`);
  }
}

async function main(): Promise<void> {
  const names = process.argv.slice(2);
  const wanted = names.filter((name) => name !== '--peers');
  const unknown = wanted.find((name) => !(name in PARTS));
  if (unknown === '--help' || unknown === '-h') {
    process.stdout.write(USAGE);
    return;
  }
  if (unknown !== undefined) {
    process.stderr.write(`There is no part ${unknown}\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const parts = Object.entries(PARTS).filter(([name]) => wanted.length === 0 || wanted.includes(name));
  if (names.includes('--peers')) {
    if (wanted.length === 0) parts.splice(0);
    parts.push(['peers', peers]);
  }
  console.log(describeMachine());
  for (const [name, part] of parts) {
    const figures = await part.run(progressOf(name));
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    print(part.title, figures);
    if (figures.some(({ met }) => met === false)) process.exitCode = 1;
  }
}

// What was started is ended where this process ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
await main();
