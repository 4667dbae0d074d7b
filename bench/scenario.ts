/**
 * The vocabulary of the bench.
 *
 *   Scenario ─┬─ Workload ─┬─ Subject    the servers under test; the first is the one that Targets are for
 *             │            └─ Target     the ratio that the first must reach against another subject
 *             └─ …         measure(subject, window) → Measurement
 *
 * How to add a scenario
 *
 * 1. `subjects/<name>.ts` starts each server. A server is a process of its own that prints `{"port": n}` as its first
 *    line on stdout (`startServer` in subjects/server.ts reads it). A peer's program goes into `peers/`, in plain
 *    JavaScript, as a competent user of that library would write it, and its dependencies go into peers/package.json.
 * 2. `scenarios/<name>.ts` exports one Scenario. `measure` starts new processes, sends commands to a `Load`
 *    (load/process.ts; the commands are in load/commands.ts), and returns `measurementOf(server, counted)`. It stops
 *    nothing: everything that was started through processes.ts ends with the measurement.
 * 3. Add it to SCENARIOS in scenarios/index.ts.
 *
 * Rules for every scenario: server, agents and load are processes of their own; the write pattern is the same for all
 * subjects and stated in `description`; everything that arrives is checked, and a wrong answer is thrown (WrongAnswer).
 */
import type { Window } from './load/window.ts';

export type { Window } from './load/window.ts';

export interface Scenario {
  /** The name on the command line. `relay` there means all scenarios that begin with `relay-`. */
  readonly name: string;
  readonly title: string;
  /** The method, for readers of the table: the connections, and the contents of one write. */
  readonly description: string;
  /** The counted thing: 'messages', 'registers'. */
  readonly unit: string;
  /** The subject with which ratios compare. */
  readonly baseline: string;
  /**
   * The figure of the table and the ratios: work per CPU second, or the figure with this name in the `extra` of
   * `measure`, of which less is better.
   */
  readonly headline?: string;
  readonly workloads: readonly Workload[];
}

export interface Workload<S extends Subject = Subject> {
  readonly name: string;
  /** The subjects. The targets are for the first. */
  readonly subjects: readonly S[];
  readonly targets: readonly Target[];
  /** Whether it is part of a quick run, which has a minute for a first word; a list names the subjects of that run. */
  readonly quick?: boolean | readonly string[];
  /** The most rounds, if one measurement takes long. */
  readonly maxRounds?: number;
  /** False if a round warms nothing for the next, so none is dropped. */
  readonly dropsFirst?: boolean;
  /** About how long one measurement takes, for the estimate, if that differs from start, warm-up and window. */
  readonly seconds?: number;
  /** The point on a curve of the scenario's chart. Points with the same name form one curve. */
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
  /** Null if it is not installed. Then it is left out, and the report says so. */
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

/** A target for the first subject of a workload. If a peer is named, it includes p99 ≤ 1.1 × the peer's. */
export interface Target {
  /** The figure is a ratio to this subject's, round by round; without a subject it is absolute. */
  readonly peer?: string;
  /** 'rate', work per CPU second, unless said otherwise; else 'p50Ms', 'p99Ms', 'residentBytes' or a key of `extra`. */
  readonly figure?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** At most the peer's and so much more, in the figure's own unit. */
  readonly atMostMore?: number;
}
