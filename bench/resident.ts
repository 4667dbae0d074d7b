/** The memory that processes hold, as /proc tells it. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { footprint } from '../test/support/measure.ts';

const LOOK_EVERY_MS = 50;

export async function residentBytes(pids: readonly number[]): Promise<number> {
  const footprints = await Promise.all(pids.map((pid) => footprint(pid)));
  return footprints.reduce((sum, { residentBytes }) => sum + residentBytes, 0);
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
