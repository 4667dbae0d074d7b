/** npm run soak: see USAGE. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MEBIBYTE } from '../../bench/units.ts';
import { Daemon } from '../support/daemon.ts';
import { type Footprint, footprintOf } from './footprint.ts';
import { soakHubs } from './hubs.ts';
import type { Outcome, Report, Second } from './report.ts';
import { failures, type Sample, type Soak, toJson, toSvg, toText } from './summary.ts';

const USAGE = `Usage: npm run soak -- [--minutes <n>] [--events <n>] [--out <folder>]
       npm run soak -- hubs [--seconds <n>] [--rounds <n>]

Runs the built daemon under load for long: 500 agents that register, leave and come back, dashboards that come and go,
some of them slow, and relays that open, talk and close. Every event and message is checked. Once a second it records the
daemon's memory, its descriptors and its times. Progress goes to stderr, the summary to stdout. Ctrl-C ends it early, with
the summary so far. It needs Linux, because it reads /proc. The exit status is 1 if something was lost, left over or
wrong; figures of speed and size do not change it.

  --minutes <n>   the duration, which may be a fraction (default 30)
  --events <n>    roster events a second (default 2000)
  --out <folder>  the folder for soak.json, the samples, and soak.svg, their plot (default: a new temporary folder,
                  which is printed)

hubs lets a laptop sleep for two minutes whose hub has joined another; hubs --help says more.
`;

const LOAD = fileURLToPath(new URL('load.ts', import.meta.url));
/** Who comes back must be back before it expires, also where the load is held up by other work on the machine. */
const NODE_TTL_SECONDS = 10;
/** What a daemon needs to settle once it has started, and for the last connections to go. */
const SETTLE_MS = 1000;
/** The daemon keeps the process that works for callers, and its channel, for 30 s after it was needed last. */
const PATIENCE_MS = 45_000;
/** How long the load may take to finish: it waits for all that was caused to be seen. */
const FINISH_TIMEOUT_MS = 90_000;
const PROGRESS_SECONDS = process.stderr.isTTY ? 1 : 10;

interface Flags {
  minutes: number;
  events: number;
  out: string | undefined;
}

function readFlags(): Flags {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '30' },
        events: { type: 'string', default: '2000' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    return { minutes: positive('minutes', values.minutes), events: positive('events', values.events), out: values.out };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0 && number < 1e5)) throw new Error(`--${name} must be a number above 0, not '${text}'`);
  return number;
}

/** Samples, one for each second that the load tells of. */
class Sampler {
  readonly samples: Sample[] = [];
  readonly #daemon: Daemon;
  #begin = performance.now();
  #last: { at: number; cpuSeconds: number; caused: number } | null = null;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  begin(): void {
    this.#begin = performance.now();
  }

  get seconds(): number {
    return (performance.now() - this.#begin) / 1000;
  }

  async take(told: Second): Promise<void> {
    const { residentBytes, descriptors, cpuSeconds } = await footprintOf(this.#daemon);
    const now = { at: this.seconds, cpuSeconds, caused: told.caused };
    const last = this.#last;
    this.#last = now;
    if (last === null) return;
    const elapsed = now.at - last.at;
    this.samples.push({
      second: rounded(now.at),
      residentMiB: rounded(residentBytes / MEBIBYTE),
      descriptors,
      cpuPercent: rounded((100 * (cpuSeconds - last.cpuSeconds)) / elapsed),
      eventsPerSecond: Math.round((now.caused - last.caused) / elapsed),
      dashboards: told.dashboards,
      relays: told.relays,
      eventP50: told.events.p50,
      eventP99: told.events.p99,
      roundTripP50: told.roundTrips.p50,
      roundTripP99: told.roundTrips.p99,
    });
  }

  show(minutes: number): void {
    const sample = this.samples.at(-1);
    if (sample === undefined || this.samples.length % PROGRESS_SECONDS !== 0) return;
    const line = [
      `minute ${(sample.second / 60).toFixed(1)} of ${minutes}`,
      `RSS ${sample.residentMiB.toFixed(1)} MiB`,
      `${sample.descriptors} descriptors`,
      `${sample.eventsPerSecond} events/s`,
      `event p99 ${sample.eventP99?.toFixed(1)} ms`,
      `relay p99 ${sample.roundTripP99?.toFixed(1)} ms`,
      `CPU ${sample.cpuPercent.toFixed(0)} %`,
    ].join(', ');
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  }
}

/** Its log goes to a file and to a pipe, as for those who run it for long; a Ctrl-C meant for the soak does not reach it. */
async function start(): Promise<Daemon> {
  const daemon = await Daemon.start({ args: ['--node-ttl', String(NODE_TTL_SECONDS)], launcher: ['setsid'] });
  daemon.forgetOutput();
  return daemon;
}

/** Has the load come, waits for the time or for Ctrl-C, and has the load finish. */
async function underLoad(
  daemon: Daemon,
  flags: Flags,
  interruption: Promise<void>,
): Promise<Pick<Soak, 'seconds' | 'samples' | 'outcome'>> {
  const { minutes, events } = flags;
  const load = fork(LOAD, [daemon.port, events, NODE_TTL_SECONDS, daemon.pid].map(String), {
    execArgv: ['--import', 'tsx'],
  });
  process.once('exit', () => load.kill('SIGKILL'));
  const sampler = new Sampler(daemon);
  const timesUp = new AbortController();
  let outcome: Outcome | null = null;
  const over = new Promise<void>((resolve) => {
    load.on('message', (report: Report) => {
      if (report.kind === 'outcome') outcome = report;
      else if (report.kind === 'ready') {
        sampler.begin();
        process.stderr.write(`${minutes} minutes of load begin\n`);
        delay(minutes * 60_000, undefined, { signal: timesUp.signal }).then(resolve, resolve);
      } else {
        // The daemon is gone where this fails, and that is told in the end.
        sampler.take(report).then(
          () => sampler.show(minutes),
          () => {},
        );
      }
    });
  });
  const exited = once(load, 'exit');
  const ended = daemon.isRunning ? once(daemon.process, 'exit') : null;
  await Promise.race([exited, ended, interruption, over].filter((end) => end !== null));
  timesUp.abort();
  const seconds = rounded(sampler.seconds);
  if (process.stderr.isTTY) process.stderr.write('\n');
  if (!daemon.isRunning) load.kill('SIGKILL');
  await finish(load, exited);
  return { seconds, samples: sampler.samples, outcome };
}

async function finish(load: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (load.connected) load.send('finish');
  const force = setTimeout(() => load.kill('SIGKILL'), FINISH_TIMEOUT_MS);
  await exited;
  clearTimeout(force);
}

/** Resolves at the first signal; the second is not waited for. */
async function interrupted(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) {
      process.once(signal, () => {
        resolve();
        process.once(signal, () => process.exit(1));
      });
    }
  });
}

/** What it holds once it holds no more than before, or after some patience. */
async function atRest(daemon: Daemon, before: Footprint): Promise<Footprint> {
  const endsAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const now = await footprintOf(daemon);
    if (now.descriptors <= before.descriptors || performance.now() > endsAt) return now;
    await delay(100);
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

if (process.argv[2] === 'hubs') process.exit(await soakHubs(process.argv.slice(3)));
const flags = readFlags();
const out = flags.out === undefined ? await mkdtemp(join(tmpdir(), 'hypivisor-soak-out-')) : resolve(flags.out);
await mkdir(out, { recursive: true });
// From here on, for the daemon does not hear a Ctrl-C.
const interruption = interrupted();
const daemon = await start();
await delay(SETTLE_MS);
const before = await footprintOf(daemon);
const run = await underLoad(daemon, flags, interruption);
const after = daemon.isRunning ? await atRest(daemon, before) : before;
const soak: Soak = { ...run, before, after, daemonExitCode: await daemon.stop() };
process.stdout.write(toText(soak));
if (soak.samples.length > 0) {
  await writeFile(join(out, 'soak.json'), toJson(soak));
  await writeFile(join(out, 'soak.svg'), toSvg(soak));
  process.stdout.write(`${'Written'.padEnd(17)}  soak.json and soak.svg in ${flags.out ?? out}\n`);
}
process.exit(failures(soak).length > 0 ? 1 : 0);
