/** The load of this machine, and its memory. */
import os from 'node:os';

export interface Vitals {
  /**
   * The average number of processes that ran or wanted to run in the last minute; 0 if the system does not count them.
   */
  load: number;
  /** The number of processors that this process may use. */
  cpus: number;
  /** The memory that programs can get without swapping out others, in bytes; null if unknown. */
  memory_free: number | null;
  /** The total memory, in bytes. */
  memory: number;
}

export function vitals(): Vitals {
  const [load = 0] = os.loadavg();
  return { load, cpus: os.availableParallelism(), memory_free: freeMemory(), memory: os.totalmem() };
}

/**
 * The available memory, in bytes; null if unknown. Linux and Windows report it. The free memory that macOS reports does
 * not include the memory that caches would give back, and is almost zero on any Mac.
 */
export function freeMemory(): number | null {
  return process.platform === 'linux' || process.platform === 'win32' ? os.freemem() : null;
}
