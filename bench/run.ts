/** One scenario, every workload of it against every subject that is here. */
import { stopProcesses } from './processes.ts';
import type { ScenarioResult, WorkloadResult } from './report/results.ts';
import { orderOf } from './rounds.ts';
import type { Measurement, Scenario, Subject, Window, Workload } from './scenario.ts';
import { judge } from './targets.ts';

export interface Pace extends Window {
  /** The number of rounds, without a dropped first one. */
  rounds: number;
  /** The longest stall before a measurement is given up, in addition to LATE times the expected time. */
  maxStallMs?: number;
}

export interface Watcher {
  begin(what: string): void;
  done(expectedMs: number): void;
}

/** The time of a measurement beside warm-up and window: until a server and its load run, and have ended. */
const STARTING_MS = 750;

/** On a slow machine a measurement may take this many times as long as expected. */
const LATE = 5;
const MAX_STALL_MS = 60_000;

/** How many rounds of the workload count. */
function roundsOf({ maxRounds = Number.POSITIVE_INFINITY }: Workload, { rounds }: Pace): number {
  return Math.min(rounds, maxRounds);
}

/** 0 is the one that is dropped. */
function firstRoundOf({ dropsFirst = true }: Workload): number {
  return dropsFirst ? 0 : 1;
}

/** How many measurements a run of the workload takes. */
export function measurementsOf(workload: Workload, pace: Pace): number {
  return workload.subjects.length * (roundsOf(workload, pace) - firstRoundOf(workload) + 1);
}

/** About how long one of them takes. */
export function expectedMs({ seconds }: Workload, { warmUpMs, windowMs }: Pace): number {
  return seconds === undefined ? STARTING_MS + warmUpMs + windowMs : seconds * 1000;
}

/** @throws the error of a measurement, with the names of the workload and the subject before it */
export async function runScenario(scenario: Scenario, pace: Pace, watcher: Watcher): Promise<ScenarioResult> {
  const workloads: WorkloadResult[] = [];
  for (const workload of scenario.workloads) {
    const rounds = await runWorkload(scenario, workload, pace, watcher);
    workloads.push({ name: workload.name, rounds, verdicts: judge(workload.targets, rounds) });
  }
  return { scenario, workloads };
}

async function runWorkload(
  scenario: Scenario,
  workload: Workload,
  pace: Pace,
  watcher: Watcher,
): Promise<Map<string, Measurement[]>> {
  const results = new Map(workload.subjects.map(({ name }): [string, Measurement[]] => [name, []]));
  const most = roundsOf(workload, pace);
  for (let round = firstRoundOf(workload); round <= most; round++) {
    for (const subject of orderOf(round, workload.subjects)) {
      const what = `${scenario.name}, ${workload.name}, ${subject.name}`;
      watcher.begin(round === 0 ? `${what}, warming up` : `${what}, round ${round} of ${most}`);
      const measurement = await measure(workload, subject, pace, what);
      if (round > 0) results.get(subject.name)?.push(measurement);
      watcher.done(expectedMs(workload, pace));
    }
  }
  return results;
}

async function measure(workload: Workload, subject: Subject, pace: Pace, what: string): Promise<Measurement> {
  const { warmUpMs, windowMs, maxStallMs = MAX_STALL_MS } = pace;
  const limitMs = maxStallMs + LATE * expectedMs(workload, pace);
  let timer: NodeJS.Timeout | undefined;
  // Something hangs, and the run must not wait for it.
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${Math.round(limitMs / 1000)} s`)), limitMs);
  });
  try {
    return await Promise.race([workload.measure(subject, { warmUpMs, windowMs }), tooLate]);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  } finally {
    clearTimeout(timer);
    await stopProcesses();
  }
}
