/** One measurement: a warm-up, then the work and its cost for the server between two readings of both. */

import { createHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSeconds } from '../cpu.ts';

const LOOK_EVERY_MS = 10;
/** Of fewer, the slowest of a hundred is the slowest of all. */
const MIN_LATENCIES = 100;

export interface Window {
  warmUpMs: number;
  windowMs: number;
}

/** The processes whose cost counts: all of the server. */
export interface Counting extends Window {
  pids: readonly number[];
  /** The least work of a warm-up, if Node would otherwise still run most code uncompiled. */
  warmUpWork?: number;
  /** The least work of a window, if little is done in a second. */
  leastWork?: number;
}

export interface Counted {
  /** What the command counts, messages mostly, in the window. */
  work: number;
  /** Payload bytes of it. */
  bytes: number;
  /** Processor time of the server, user and system. */
  cpuSeconds: number;
  seconds: number;
  p50Ms?: number;
  p99Ms?: number;
}

/** What an end has seen so far. */
export class Tally {
  messages = 0;
  bytes = 0;
  /** In nanoseconds. */
  readonly latency = createHistogram({ figures: 3 });

  readonly onMessage = (payloadBytes: number): void => {
    this.messages++;
    this.bytes += payloadBytes;
  };

  onLatency(ms: number): void {
    this.latency.record(Math.max(1, Math.round(ms * 1e6)));
  }
}

export async function countWindow(counting: Counting, tally: Tally): Promise<Counted> {
  const { warmUpMs, windowMs, warmUpWork = 0, leastWork = 0, pids } = counting;
  await delay(warmUpMs);
  while (tally.messages < warmUpWork) await delay(LOOK_EVERY_MS);
  const before = tally.messages;
  return countWhile(pids, tally, async () => {
    await delay(windowMs);
    while (tally.messages - before < leastWork) await delay(LOOK_EVERY_MS);
  });
}

/** The same for work that ends by itself. */
export async function countWhile(pids: readonly number[], tally: Tally, act: () => Promise<unknown>): Promise<Counted> {
  const { latency } = tally;
  latency.reset();
  const look = () => ({ messages: tally.messages, bytes: tally.bytes, at: performance.now(), cpu: cpuSeconds(pids) });
  const before = look();
  await act();
  const after = look();
  return {
    work: after.messages - before.messages,
    bytes: after.bytes - before.bytes,
    cpuSeconds: after.cpu - before.cpu,
    seconds: (after.at - before.at) / 1000,
    ...(latency.count > 0 && { p50Ms: latency.percentile(50) / 1e6 }),
    ...(latency.count >= MIN_LATENCIES && { p99Ms: latency.percentile(99) / 1e6 }),
  };
}
