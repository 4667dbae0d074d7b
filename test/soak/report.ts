/** What the load's process tells the one that started it, once a second and at the end. */
import type { Tally } from './fleet.ts';

/** In milliseconds; null where nothing was measured. */
export interface Latency {
  p50: number | null;
  p99: number | null;
}

/** All have come, and the load begins. */
export interface Ready {
  kind: 'ready';
}

export interface Second {
  kind: 'second';
  /** Roster events caused since the beginning. */
  caused: number;
  dashboards: number;
  relays: number;
  /** Of that second: from a register sent to its push seen, and a relay's round trip. */
  events: Latency;
  roundTrips: Latency;
}

/** The whole load. */
export interface Outcome {
  kind: 'outcome';
  caused: Tally;
  seen: Tally;
  /** Whole rosters that the watching dashboard was sent beyond the first: each hides what it missed. */
  watcherResyncs: number;
  nodes: number;
  dashboards: number;
  /** Dashboards whose roster differed from `list_nodes` at the end. */
  disagreeing: number;
  visits: number;
  resyncs: number;
  turnedOut: number;
  relays: number;
  messages: number;
  events: Latency;
  roundTrips: Latency;
  faults: { count: number; words: string[] };
}

export type Report = Ready | Second | Outcome;
