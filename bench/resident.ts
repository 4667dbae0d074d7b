/** The memory that processes hold, as /proc tells it. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { footprint } from '../test/support/measure.ts';
import { sum } from './rounds.ts';

const LOOK_EVERY_MS = 50;

type Kind = 'residentBytes' | 'anonymousBytes';

/**
 * @param kind 'anonymousBytes' leaves out mapped files, programs above all, which the system unmaps and maps as it
 *   needs memory
 */
export async function residentBytes(pids: readonly number[], kind: Kind = 'residentBytes'): Promise<number> {
  const footprints = await Promise.all(pids.map((pid) => footprint(pid)));
  return sum(footprints.map((each) => each[kind]));
}

/** The process and all that it has started. */
export async function withChildren(pid: number): Promise<number[]> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean);
  return [pid, ...(await Promise.all(children.map((child) => withChildren(Number(child))))).flat()];
}

/** How much more than at its start the processes ever held while something was done. */
export async function growthWhile(pids: readonly number[], act: () => Promise<void>): Promise<number> {
  const before = await residentBytes(pids);
  let most = before;
  let done = false;
  const watching = (async () => {
    while (!done) {
      most = Math.max(most, await residentBytes(pids));
      await delay(LOOK_EVERY_MS);
    }
  })();
  try {
    await act();
  } finally {
    done = true;
    await watching;
  }
  return Math.max(most, await residentBytes(pids)) - before;
}
