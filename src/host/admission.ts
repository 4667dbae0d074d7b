/**
 * Decides whether this machine starts one more agent, by the number of its agents and by its free memory. Distant
 * callers see neither, so the error contains the figures. Pure.
 */
import { HostError } from './error.ts';

export interface AdmissionLimits {
  /** The largest number of living agents that were started here. */
  readonly maxAgents: number;
  /** The least free memory for one more agent, in bytes. */
  readonly minFreeMemory: number;
}

const MIB = 1024 * 1024;

/**
 * Admits one more agent.
 *
 * @param agents the number of agents that were started here and live, or are being started
 * @param freeMemory the free memory in bytes; null if unknown
 * @throws HostError if the machine has too many agents or too little memory
 */
export function admitAgent({ maxAgents, minFreeMemory }: AdmissionLimits, agents: number, freeMemory: number | null) {
  if (maxAgents === 0) throw new HostError('Failed to spawn: this machine starts no agents (--max-agents 0)');
  if (agents >= maxAgents) {
    throw new HostError(
      `Failed to spawn: ${agents} agents that were started here are alive, as many as may be (--max-agents ${maxAgents})`,
    );
  }
  if (freeMemory !== null && freeMemory < minFreeMemory) {
    const [free, wanted] = [Math.floor(freeMemory / MIB), Math.ceil(minFreeMemory / MIB)];
    throw new HostError(
      `Failed to spawn: this machine has ${free} MiB of memory left, and wants ${wanted} for one more agent (--min-free-memory ${wanted})`,
    );
  }
}
