/** What a soak came to: figures, words, and a picture. */
import { MEBIBYTE } from '../../bench/units.ts';
import type { Footprint } from './footprint.ts';
import { type Panel, plot } from './plot.ts';
import type { Latency, Outcome } from './report.ts';
import { linearRegression, mean, type Point } from './statistics.ts';

const SLOPE_SECONDS = 600;
const TARGET_MIB = 1;

/** One second of the run. Times are in milliseconds, null where nothing was measured. */
export interface Sample {
  second: number;
  residentMiB: number;
  descriptors: number;
  cpuPercent: number;
  eventsPerSecond: number;
  dashboards: number;
  relays: number;
  eventP50: number | null;
  eventP99: number | null;
  roundTripP50: number | null;
  roundTripP99: number | null;
}

export interface Soak {
  seconds: number;
  samples: readonly Sample[];
  /** Before the load came and after it had gone. */
  before: Footprint;
  after: Footprint;
  /** Null where the load's process ended too soon. */
  outcome: Outcome | null;
  /** Or the signal that killed it. */
  daemonExitCode: number | NodeJS.Signals;
}

/** RSS over the second half, when it is warm: in MiB, and MiB a second. */
function trend({ samples }: Soak): { slope: number; intercept: number; half: readonly Sample[] } {
  const half = samples.slice(Math.floor(samples.length / 2));
  return { ...linearRegression(half.map(({ second, residentMiB }): Point => [second, residentMiB])), half };
}

/** What went wrong, in sentences; empty where nothing did. How fast anything was is not among it. */
export function failures({ before, after, outcome, daemonExitCode }: Soak): string[] {
  const said: string[] = [];
  if (daemonExitCode !== 0) said.push(`The daemon ended with ${daemonExitCode}`);
  if (after.descriptors !== before.descriptors) {
    said.push(`${after.descriptors - before.descriptors} descriptors more than before`);
  }
  if (outcome === null) return [...said, 'The load did not finish'];
  if (outcome.watcherResyncs > 0) said.push('The load was held up so long that the watching dashboard missed events');
  if (outcome.disagreeing > 0) said.push(`${outcome.disagreeing} dashboards have another roster than list_nodes`);
  for (const [event, caused] of Object.entries(outcome.caused)) {
    const seen = outcome.seen[event as keyof typeof outcome.seen];
    if (seen !== caused) said.push(`${seen} of ${caused} ${event} seen`);
  }
  if (outcome.faults.count > 0) said.push(`${outcome.faults.count} faults: ${outcome.faults.words.join('; ')}`);
  return said;
}

type Row = [what: string, figures: string];

export function toText(soak: Soak): string {
  const said = failures(soak);
  const rows: Row[] = [
    ['Duration', `${fixed(soak.seconds / 60)} min, ${soak.samples.length} samples`],
    ...(soak.samples.length > 0 ? held(soak) : []),
    ...(soak.outcome !== null ? carried(soak.outcome) : []),
    ['Faults', said.length === 0 ? 'none' : said.join('\n                   ')],
  ];
  return rows.map(([what, figures]) => `${what.padEnd(17)}  ${figures}\n`).join('');
}

function held(soak: Soak): Row[] {
  const { samples, before, after } = soak;
  const { slope, half } = trend(soak);
  const meanOf = (of: (sample: Sample) => number, some = samples) => fixed(mean(some.map(of)));
  const perTenMinutes = fixed(slope * SLOPE_SECONDS, 2);
  const resident = [before.residentBytes, after.residentBytes].map((bytes) => fixed(bytes / MEBIBYTE));
  const underLoad = meanOf(({ residentMiB }) => residentMiB, half);
  return [
    ['RSS, slope', `${perTenMinutes} MiB in ten minutes, over the second half (target: at most ${TARGET_MIB})`],
    ['RSS', `${resident[0]} MiB before, ${underLoad} under load (mean of the second half), ${resident[1]} after`],
    ['Descriptors', `${before.descriptors} before, ${extent(samples)} under load, ${after.descriptors} after`],
    ['CPU', `${meanOf(({ cpuPercent }) => cpuPercent)} % of one core`],
    ['Events a second', meanOf(({ eventsPerSecond }) => eventsPerSecond)],
  ];
}

function carried(outcome: Outcome): Row[] {
  const { caused, seen, dashboards, disagreeing, visits, resyncs, turnedOut } = outcome;
  const count = (tally: Record<string, number>) => Object.values(tally).reduce((sum, n) => sum + n, 0);
  return [
    ['Events', `${count(caused)} caused, ${count(seen)} seen`],
    ['', `${caused.node_joined} joined, ${caused.node_offline} offline, ${caused.node_removed} removed`],
    ['Register to push', latency(outcome.events)],
    ['Relay, round trip', latency(outcome.roundTrips)],
    ['Relays', `${outcome.relays} opened and closed, ${outcome.messages} messages checked`],
    ['Dashboards', `${visits} came and went; slow ones: ${resyncs} fresh rosters, ${turnedOut} closed for not reading`],
    [
      'In the end',
      `${outcome.nodes} nodes; ${dashboards - disagreeing} of ${dashboards} dashboards agree with list_nodes`,
    ],
  ];
}

/** A sample to a line. */
export function toJson(soak: Soak): string {
  const { samples, ...rest } = soak;
  const slope = trend(soak).slope * SLOPE_SECONDS;
  const columns = Object.keys(samples[0] ?? {});
  const lines = samples.map((sample) => `    [${Object.values(sample).join(', ')}]`);
  const head = JSON.stringify({ ...rest, residentMiBPerTenMinutes: slope, columns }, null, 2).replace(/\n}$/, '');
  return `${head},\n  "samples": [\n${lines.join(',\n')}\n  ]\n}\n`;
}

export function toSvg(soak: Soak): string {
  const { samples, seconds } = soak;
  const { slope, intercept, half } = trend(soak);
  const series = (name: string, of: (sample: Sample) => number | null) => ({
    name,
    points: samples.flatMap((sample): Point[] => {
      const y = of(sample);
      return y === null ? [] : [[sample.second, y]];
    }),
  });
  const ends = [half[0], half.at(-1)].flatMap((sample): Point[] =>
    sample === undefined ? [] : [[sample.second, intercept + slope * sample.second]],
  );
  const perTenMinutes = `${fixed(slope * SLOPE_SECONDS, 2)} MiB in 10 min`;
  const panels: Panel[] = [
    {
      title: 'Memory of the daemon',
      unit: 'MiB resident',
      lines: [series('RSS', (sample) => sample.residentMiB), { name: perTenMinutes, points: ends, dashed: true }],
    },
    { title: 'Descriptors', unit: 'open', lines: [series('descriptors', (sample) => sample.descriptors)] },
    {
      title: 'Latency',
      unit: 'ms',
      logarithmic: true,
      lines: [
        series('event p50', (sample) => sample.eventP50),
        series('event p99', (sample) => sample.eventP99),
        series('relay p50', (sample) => sample.roundTripP50),
        series('relay p99', (sample) => sample.roundTripP99),
      ],
    },
  ];
  const rate = fixed(mean(samples.map(({ eventsPerSecond }) => eventsPerSecond)), 0);
  return plot(
    panels,
    seconds,
    `${fixed(seconds / 60)} minutes, ${rate} roster events a second; each point is the worst of its neighbours`,
  );
}

function latency({ p50, p99 }: Latency): string {
  return p50 === null || p99 === null ? 'not measured' : `p50 ${fixed(p50, 2)} ms, p99 ${fixed(p99, 2)} ms`;
}

function extent(samples: readonly Sample[]): string {
  const counts = samples.map(({ descriptors }) => descriptors);
  return `${Math.min(...counts)} to ${Math.max(...counts)}`;
}

function fixed(value: number, digits = 1): string {
  return value.toFixed(digits);
}
