/**
 * File systems that do not answer. A call about a file on a network mount blocks its thread for as long as the server
 * is gone, and nothing can cancel it. So callers stop waiting for the result, and do not use that path again.
 */

import { stat } from 'node:fs/promises';
import { dirname, sep } from 'node:path';

/**
 * How long one entry of a folder may take, in milliseconds. The folder itself has just answered, so its disk is awake.
 */
const LOOK_MS = 1000;

/** How long each folder on the way to a silent path may take, in milliseconds. Folders that answer do so at once. */
const PROBE_MS = 300;

/** The paths that do not answer, in the knowledge of one task. */
export class SilentPaths {
  readonly #known: readonly string[];
  /** The paths that turned out to be silent. */
  readonly met: string[] = [];
  /** True if the wait for a call was given up. The call still blocks a thread. */
  gaveUp = false;

  /** @param known absolute paths that did not answer before */
  constructor(known: readonly string[] = []) {
    this.#known = known;
  }

  /** Whether `path` is silent, or is in a silent folder. */
  covers(path: string): boolean {
    return [...this.#known, ...this.met].some((silent) => path === silent || path.startsWith(silent + sep));
  }

  /**
   * Waits at most `LOOK_MS` for the result of a call about `path`.
   *
   * @returns the result; undefined if it did not come in time, and then `path` counts as silent
   */
  async waitFor<T>(path: string, answer: Promise<T>): Promise<T | undefined> {
    const result = await within(LOOK_MS, answer);
    if (result !== LATE) return result;
    this.gaveUp = true;
    this.met.push(path);
    return undefined;
  }

  /**
   * Finds the first folder on the way to `path` that does not answer. It is called after the wait for a call about
   * `path` was given up.
   */
  async findSilentFolder(path: string): Promise<void> {
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

/** The result of `within` if the time has passed. */
export const LATE = Symbol('late');

/** Settles like `answer`, or resolves with LATE after `timeoutMs`. A later rejection is ignored. */
export function within<T>(timeoutMs: number, answer: Promise<T>): Promise<T | typeof LATE> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, timeoutMs, LATE);
    void answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** All folders from the root to `path`, and `path` itself. */
function wayTo(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...wayTo(parent), path];
}
