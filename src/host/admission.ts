/**
 * Whether this machine takes one more agent: how many it has, and how much memory is left. A caller far away sees
 * neither, so the sentence tells the figures. Pure.
 */
import { HostError } from './error.ts';

export interface AdmissionLimits {
  /** The most agents that may be alive of those that were started here. */
  readonly maxAgents: number;
  /** In bytes. */
  readonly minFreeMemory: number;
}

const MIB = 1024 * 1024;

/**
 * @param agents how many that were started here are alive or about to be
 * @param freeMemory in bytes; null if the system does not tell
 * @throws HostError
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
