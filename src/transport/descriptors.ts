import { readFile } from 'node:fs/promises';

/** Kept free for files, look-ups, agents' processes and the accept itself. */
const RESERVED = 32;

/** Where the system does not tell: the usual limit. */
const USUAL = 1024;

/** How many connections this process can have open: its descriptor limit, less a reserve. */
export async function maxConnectionsOfProcess(): Promise<number> {
  const descriptors = await readFile('/proc/self/limits', 'utf8').then(
    (limits) => Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? USUAL),
    () => USUAL,
  );
  return Math.max(1, descriptors - RESERVED);
}
