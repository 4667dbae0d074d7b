/** The memory and the cost of a server's processes. */

import type { Counted } from './load/window.ts';
import { residentBytes } from './resident.ts';
import type { Measurement, Server } from './scenario.ts';

/** The counts of the load, with the server's current memory and descriptors. */
export async function measurementOf(
  server: Server,
  { work, cpuSeconds, seconds, p50Ms, p99Ms }: Counted,
  extra?: Record<string, number>,
): Promise<Measurement> {
  return {
    work,
    cpuSeconds,
    seconds,
    ...(p50Ms !== undefined && { p50Ms }),
    ...(p99Ms !== undefined && { p99Ms }),
    residentBytes: await residentBytes(await server.pids()),
    ...(extra && { extra }),
  };
}
