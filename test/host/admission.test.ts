import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admitAgent } from '../../src/host/admission.ts';

const MIB = 1024 * 1024;

test('an agent is admitted below the largest number, with enough memory, or if the memory is unknown', () => {
  admitAgent({ maxAgents: 1, minFreeMemory: 256 * MIB }, 0, 256 * MIB);
  admitAgent({ maxAgents: 1, minFreeMemory: 256 * MIB }, 0, null);
  admitAgent({ maxAgents: 1, minFreeMemory: 0 }, 0, 0);
});

test('each refusal is a sentence that says the figures', () => {
  const refused = (agents: number, free: number | null, maxAgents = 2) => {
    try {
      admitAgent({ maxAgents, minFreeMemory: 256 * MIB }, agents, free);
    } catch (error) {
      return (error as Error).message;
    }
    return 'admitted';
  };
  assert.equal(
    refused(2, null),
    'Failed to spawn: 2 agents that were started here are alive, as many as may be (--max-agents 2)',
  );
  assert.equal(refused(0, null, 0), 'Failed to spawn: this machine starts no agents (--max-agents 0)');
  assert.match(refused(0, 256 * MIB - 1), /has 255 MiB of memory left, and wants 256 for one more agent/);
});
