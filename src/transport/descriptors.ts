import { readdir, readFile } from 'node:fs/promises';

/** Descriptors that are kept free for files, look-ups, agents' processes and the accept itself. */
const RESERVED = 32;

/**
 * Used if the system has no /proc: the usual limit, and the number of open descriptors at the start of a Node process.
 */
const USUAL_LIMIT = 1024;
const USUAL_OPEN = 24;

/**
 * The number of connections that this process can open: its descriptor limit, less the open descriptors and a reserve.
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
