/** What the daemon's process holds. */
import { cpuSeconds } from '../../bench/cpu.ts';
import type { Daemon } from '../support/daemon.ts';
import { footprint } from '../support/measure.ts';

export interface Footprint {
  residentBytes: number;
  descriptors: number;
  /** Of processor time, since its start. */
  cpuSeconds: number;
}

export async function footprintOf({ pid }: Daemon): Promise<Footprint> {
  const { residentBytes, descriptors } = await footprint(pid);
  return { residentBytes, descriptors, cpuSeconds: cpuSeconds([pid]) };
}
