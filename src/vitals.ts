/** How much this machine has to do, and how much memory it has. */
import os from 'node:os';

export interface Vitals {
  /** The number of processes that ran or wanted to, on average over a minute; 0 where the system does not count. */
  load: number;
  /** Processors that this process may use. */
  cpus: number;
  /** In bytes: what programs can still get without others being swapped out. Null if the system does not tell. */
  memory_free: number | null;
  /** In bytes. */
  memory: number;
}

export function vitals(): Vitals {
  const [load = 0] = os.loadavg();
  return { load, cpus: os.availableParallelism(), memory_free: freeMemory(), memory: os.totalmem() };
}

/**
 * In bytes; null if the system does not tell. Linux and Windows tell what is available. What macOS calls free does not
 * count the memory that caches would give back, and is next to nothing on any Mac.
 */
export function freeMemory(): number | null {
  return process.platform === 'linux' || process.platform === 'win32' ? os.freemem() : null;
}
