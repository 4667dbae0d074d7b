/**
 * File systems that do not answer: a network mount whose server is gone keeps whoever asks it waiting, for ever. Nothing
 * can take such a question back, so what can be done is not to wait for the answer, and not to ask again.
 */

import { stat } from 'node:fs/promises';
import { dirname, sep } from 'node:path';

/** How long one entry of a folder may take, in milliseconds. A disk that has to spin up needs several seconds, once. */
const LOOK_MS = 1000;

/** How long each folder on the way to a silent one may take. What answers at all has just answered. */
const PROBE_MS = 300;

/** Which paths are silent, as far as is known. */
export class Silence {
  readonly #known: readonly string[];
  /** The silent paths that were met. */
  readonly met: string[] = [];
  /** A question was given up: it still holds a thread. */
  gaveUp = false;

  /** @param known absolute paths that did not answer before */
  constructor(known: readonly string[] = []) {
    this.#known = known;
  }

  /** Whether `path` is silent, or in a folder that is. */
  covers(path: string): boolean {
    return [...this.#known, ...this.met].some((silent) => path === silent || path.startsWith(silent + sep));
  }

  /**
   * Waits for what a question about `path` is answered, but not for ever.
   *
   * @returns the answer; undefined if there was none within `LOOK_MS`: then `path` is silent
   */
  async waitFor<T>(path: string, answer: Promise<T>): Promise<T | undefined> {
    const result = await within(LOOK_MS, answer);
    if (result !== LATE) return result;
    this.gaveUp = true;
    this.met.push(path);
    return undefined;
  }

  /** Finds out which folder on the way to `path` is silent, if a question about `path` was given up. */
  async blame(path: string): Promise<void> {
    this.gaveUp = true;
    for (const folder of wayTo(path)) {
      const answer = await within(
        PROBE_MS,
        stat(folder).catch(() => null),
      );
      if (answer === LATE) {
        this.met.push(folder);
        return;
      }
      if (answer === null) return;
    }
  }
}

/** It took too long. */
export const LATE = Symbol('late');

/** What `answer` is fulfilled or rejected with, or LATE after `timeoutMs`. Then nobody learns of a rejection any more. */
export function within<T>(timeoutMs: number, answer: Promise<T>): Promise<T | typeof LATE> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, timeoutMs, LATE);
    void answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** The folders from the root to `path`, and `path`. */
function wayTo(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...wayTo(parent), path];
}
