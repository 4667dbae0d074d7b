/**
 * The words of the bench.
 *
 *   Scenario ─┬─ Workload ─┬─ Subject    the servers under test; the first is the one that Targets are for
 *             │            └─ Target     what that one is to reach, and against whom
 *             └─ …         measure(subject, window) → Measurement
 *
 * How to add a scenario
 *
 * 1. `subjects/<name>.ts`: how each server is started. A server is a process of its own that prints `{"port": n}` as its
 *    first line on stdout (`startServer` in subjects/server.ts reads it); a peer's program goes into `peers/`, in plain
 *    JavaScript, written as a competent user of that library would, and what it needs into peers/package.json.
 * 2. `scenarios/<name>.ts`: exports one Scenario. `measure` starts everything anew, tells a `Load` (load/process.ts; its
 *    commands are in load/commands.ts) what to do, and returns `measurementOf(server, counted)`. It stops nothing:
 *    whatever was started through processes.ts ends with the measurement.
 * 3. Add it to SCENARIOS in scenarios/index.ts.
 *
 * What every scenario keeps: server, agents and load are processes of their own; the write pattern is the same for all
 * subjects and stated in `description`; what arrives is checked, and what is wrong is thrown (WrongAnswer).
 */
import type { Window } from './load/window.ts';

export type { Window } from './load/window.ts';

export interface Scenario {
  /** On the command line; `relay` there means all whose names begin with `relay-`. */
  readonly name: string;
  readonly title: string;
  /** The method, for who reads the table: connections, and what shares a write. */
  readonly description: string;
  /** What is counted: 'messages', 'registers'. */
  readonly unit: string;
  /** The subject that ratios are to. */
  readonly baseline: string;
  /**
   * What the table and the ratios are about: work per CPU second, or the figure of that name that `measure` gives in
   * `extra`, of which less is better.
   */
  readonly headline?: string;
  readonly workloads: readonly Workload[];
}

export interface Workload<S extends Subject = Subject> {
  readonly name: string;
  /** The one that the targets are for first. */
  readonly subjects: readonly S[];
  readonly targets: readonly Target[];
  /** Part of a quick run, which has a minute for all of a scenario's name; with these subjects alone, where some are named. */
  readonly quick?: boolean | readonly string[];
  /** No more rounds than these, where one measurement takes long. */
  readonly maxRounds?: number;
  /** False where nothing is warmed by a round before the first, so that none is dropped. */
  readonly dropsFirst?: boolean;
  /** About how long one measurement takes, where that is not start, warm-up and window: for the estimate. */
  readonly seconds?: number;
  /** Where on a curve of the scenario's chart it is: what is the same in name is one curve. */
  readonly point?: Point;
  measure(subject: S, window: Window): Promise<Measurement>;
}

export interface Point {
  readonly curve: string;
  /** Nodes, say. */
  readonly x: number;
}

/** A kind of server under test. Scenarios add to it how it is started. */
export interface Subject {
  readonly name: string;
  /** Null where it is not installed: it is left out then, and the report says so. */
  version(): Promise<string | null>;
}

/** One that is started in the same way for all workloads. */
export interface StartableSubject extends Subject {
  start(): Promise<Server>;
}

/** One that runs. */
export interface Server {
  readonly port: number;
  /** All its processes. */
  pids(): Promise<number[]>;
}

export interface Measurement {
  /** In the scenario's unit. */
  work: number;
  /** Of the server's processes, user and system. */
  cpuSeconds: number;
  /** The window, by the clock. */
  seconds: number;
  p50Ms?: number;
  p99Ms?: number;
  /** Of the server's processes, at the end of the window. */
  residentBytes: number;
  /** Further figures, by name. */
  extra?: Record<string, number>;
}

/** What the first subject of a workload is to reach. Where a peer is named, p99 ≤ 1.1 × the peer's goes with it. */
export interface Target {
  /** The figure is a ratio to this subject's, round by round; absolute where there is none. */
  readonly peer?: string;
  /** 'rate', work per CPU second, unless said otherwise; else 'p50Ms', 'p99Ms', 'residentBytes' or a key of `extra`. */
  readonly figure?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** At most the peer's and so much more, in the figure's own unit. */
  readonly atMostMore?: number;
}
