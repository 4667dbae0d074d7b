/** Runs a target over many inputs, and says of a failing one how to meet it again. */
import { setImmediate } from 'node:timers/promises';
import type { Target } from './target.ts';

/** How long inputs are checked before others get a turn: sockets that close, the progress line, a signal. */
const TURN_MS = 100;
const CHECKED_BETWEEN_LOOKS_AT_THE_CLOCK = 32;

export interface Run {
  seed: number;
  /** The number of the first input. */
  first: number;
  /** How many inputs. */
  count: number;
  /** On the clock of `performance`; no input is begun past it. */
  endsAt: number;
  onProgress?: (done: number) => void;
}

/** An input that must not happen. The message is the whole report. */
export class Failure extends Error {
  constructor(target: Target, seed: number, index: number, cause: unknown) {
    const trace = cause instanceof Error ? cause.stack : String(cause);
    const others = ['frames', 'heads', 'requests'].filter((name) => name !== target.name);
    const again = [`--seed ${seed} --first ${index} --${target.name} 1`, ...others.map((name) => `--${name} 0`)];
    super(
      `${target.name}: input ${index} of seed ${seed}\n${trace}\n${target.shown()}\n\nAgain: npm run fuzz -- ${again.join(' ')}`,
    );
    this.name = 'Failure';
  }
}

/**
 * @returns how many inputs were checked
 * @throws Failure at the first that fails
 */
export async function run(target: Target, { seed, first, count, endsAt, onProgress }: Run): Promise<number> {
  let done = 0;
  while (done < count && performance.now() < endsAt) {
    done += takeTurn(target, seed, first + done, count - done);
    onProgress?.(done);
    await setImmediate();
  }
  return done;
}

function takeTurn(target: Target, seed: number, first: number, count: number): number {
  const usual = Error.stackTraceLimit;
  // Most inputs are refused with an error, and half of the time would go into traces that nobody reads.
  Error.stackTraceLimit = 0;
  const endsAt = performance.now() + TURN_MS;
  let done = 0;
  try {
    while (done < count && (done % CHECKED_BETWEEN_LOOKS_AT_THE_CLOCK > 0 || performance.now() < endsAt)) {
      target.check(seed, first + done);
      done++;
    }
    return done;
  } catch (error) {
    Error.stackTraceLimit = usual;
    throw new Failure(target, seed, first + done, traced(target, seed, first + done) ?? error);
  } finally {
    Error.stackTraceLimit = usual;
  }
}

/** The same failure once more, with its trace. */
function traced(target: Target, seed: number, index: number): unknown {
  try {
    target.check(seed, index);
    return null;
  } catch (error) {
    return error;
  }
}
