import { readdir, readFile } from 'node:fs/promises';

/** Descriptors that are kept free for files, look-ups, agents' processes and the accept itself. */
const RESERVED = 32;

/** Used if the system has no /proc: the usual limit, and how many descriptors a Node process has open at its start. */
const USUAL_LIMIT = 1024;
const USUAL_OPEN = 24;

/**
 * How many connections this process can have open: its descriptor limit, less the descriptors that are open now and a
 * reserve.
 */
export async function maxConnectionsOfProcess(): Promise<number> {
  const limit = await readFile('/proc/self/limits', 'utf8').then(
    (limits) => Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? USUAL_LIMIT),
    () => USUAL_LIMIT,
  );
  const open = await readdir('/proc/self/fd').then(
    (descriptors) => descriptors.length,
    () => USUAL_OPEN,
  );
  return Math.max(1, limit - open - RESERVED);
}
