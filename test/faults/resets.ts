/** Resets, one after the other in several lanes, at every stage of a relay and of a registry connection in turn. */
import assert from 'node:assert/strict';
import { Client } from '../support/client.ts';
import { inLanes } from '../support/measure.ts';
import { clientFrame, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';
import { Conversation, type Leg, STAGES, type Stage, WaitingAgent } from './conversation.ts';

/** An agent that one reset after the other goes to. */
interface Lane {
  nodeId: string;
  agents: WaitingAgent;
  uplink: Client;
}

const RELAY_CASES: [stage: Stage, leg: Leg][] = STAGES.flatMap((stage, i): [Stage, Leg][] =>
  i < STAGES.indexOf('at the dial')
    ? [[stage, 'client']]
    : [
        [stage, 'client'],
        [stage, 'agent'],
      ],
);

const REGISTRY_CASES = ['before its request', 'after its request', 'in a frame', 'registered'] as const;
type RegistryCase = (typeof REGISTRY_CASES)[number];

export class Resets {
  readonly #port: number;
  readonly #lanes: Lane[];
  #done = 0;

  private constructor(port: number, lanes: Lane[]) {
    this.#port = port;
    this.#lanes = lanes;
  }

  /** @param port of the daemon, in whose roster each lane then has an agent */
  static async open(port: number, lanes: number): Promise<Resets> {
    return new Resets(port, await Promise.all(Array.from({ length: lanes }, (_, i) => openLane(port, `lane-${i}`))));
  }

  /** The agents' ids. */
  get nodeIds(): string[] {
    return this.#lanes.map(({ nodeId }) => nodeId);
  }

  async run(count: number, onDone: (done: number) => void = () => {}): Promise<void> {
    const free = [...this.#lanes];
    const first = this.#done;
    await inLanes(count, free.length, async (round) => {
      const lane = free.pop() as Lane;
      await this.#reset(lane, first + round);
      free.push(lane);
      onDone(++this.#done);
    });
  }

  async close(): Promise<void> {
    for (const { uplink, agents } of this.#lanes) {
      uplink.terminate();
      await agents.stop();
    }
  }

  async #reset(lane: Lane, round: number): Promise<void> {
    const at = round % (RELAY_CASES.length + REGISTRY_CASES.length);
    const relayCase = RELAY_CASES[at];
    if (relayCase !== undefined) await this.#resetRelay(lane, ...relayCase);
    else await this.#resetRegistry(round, REGISTRY_CASES[at - RELAY_CASES.length] as RegistryCase);
  }

  async #resetRelay({ agents, nodeId }: Lane, stage: Stage, leg: Leg): Promise<void> {
    const conversation = new Conversation(this.#port, nodeId, agents);
    await conversation.reach(stage);
    conversation[leg]?.socket.resetAndDestroy();
    const other = leg === 'client' ? 'agent' : 'client';
    // It is told, one way or the other.
    await conversation.told(other);
    conversation[other]?.socket.destroy();
  }

  async #resetRegistry(round: number, stage: RegistryCase): Promise<void> {
    const peer = await RawPeer.connect(this.#port);
    if (stage !== 'before its request') peer.socket.write(upgradeRequest('/ws'));
    if (stage === 'in a frame' || stage === 'registered') {
      await peer.head();
      // Always in the same place, so that the roster does not grow.
      const params = { id: `reset-${round}`, machine: '127.0.0.1', cwd: '/', port: 1, status: 'active' };
      const register = clientFrame(TEXT, JSON.stringify({ id: 'register', method: 'register', params }));
      peer.socket.write(stage === 'registered' ? register : register.subarray(0, 30));
      if (stage === 'registered') for (let id: unknown; id !== 'register'; ) ({ id } = await peer.json());
    }
    peer.socket.resetAndDestroy();
  }
}

async function openLane(port: number, nodeId: string): Promise<Lane> {
  const agents = await WaitingAgent.serve();
  const uplink = await Client.open(`ws://127.0.0.1:${port}/ws`);
  const params = { id: nodeId, machine: '127.0.0.1', cwd: '/', port: agents.port, status: 'active' };
  assert.deepEqual((await uplink.call('register', params)).result, { status: 'registered' });
  return { nodeId, agents, uplink };
}
