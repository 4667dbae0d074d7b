/**
 * One relay from its first byte to its last, a stage at a time. At each stage both peers have half said something, or
 * nothing: where a leg then fails, `told` goes on as a well-behaved peer would and notes what it is told.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Client } from '../support/client.ts';
import { eventually } from '../support/measure.ts';
import {
  CLOSE,
  clientFrame,
  closePayload,
  PING,
  PONG,
  RawAgent,
  RawPeer,
  serverFrame,
  TEXT,
  upgradeRequest,
  upgradeResponse,
} from '../support/raw-peer.ts';
import { FaultyProxy } from './faulty-proxy.ts';

export type Leg = 'client' | 'agent';

/** Messages as they are, closes as their codes, refusals as their status; `error` for a relay refused in words. */
export type Told = (string | number)[];

interface Speech {
  frame: (opcode: number, payload?: Buffer | string) => Buffer;
  /** The rest of what it has half said. */
  unsent: Buffer | string;
  saidClose: boolean;
  /** The other has closed: once `unsent` is out, so has this one. */
  closes: boolean;
}

const NORMAL = closePayload(1000);

/** What is said of a head at first, where half of one is said. */
const HALF_BYTES = 40;

/** How long the way to an agent may take to be proven, among many. */
const PROOF_PATIENCE_MS = 30_000;

/** An agent that gives the connections to it one by one. */
export class WaitingAgent {
  readonly #server: RawAgent;
  readonly #waiting: RawPeer[];
  readonly #taken: { wake: () => void };

  private constructor(server: RawAgent, waiting: RawPeer[], taken: { wake: () => void }) {
    this.#server = server;
    this.#waiting = waiting;
    this.#taken = taken;
  }

  static async serve(): Promise<WaitingAgent> {
    const waiting: RawPeer[] = [];
    const taken = { wake: () => {} };
    const server = await RawAgent.serve((peer) => {
      // Not those without a word, by which the daemon proves the way.
      peer.socket.once('data', () => {
        waiting.push(peer);
        taken.wake();
      });
    });
    return new WaitingAgent(server, waiting, taken);
  }

  get port(): number {
    return this.#server.port;
  }

  async next(): Promise<RawPeer> {
    while (this.#waiting.length === 0) {
      await new Promise<void>((resolve) => {
        this.#taken.wake = resolve;
      });
    }
    return this.#waiting.shift() as RawPeer;
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}

export class Conversation {
  client: RawPeer | null = null;
  agent: RawPeer | null = null;
  /** Why there is no relay, as the client was told. */
  sentence = '';
  /** The client has read its 101. */
  upgraded = false;
  readonly #port: number;
  readonly #nodeId: string;
  readonly #agents: WaitingAgent;
  readonly #speech: Record<Leg, Speech> = {
    client: { frame: clientFrame, unsent: '', saidClose: false, closes: false },
    agent: { frame: serverFrame, unsent: '', saidClose: false, closes: false },
  };
  #stage = -1;

  /** @param port where the client finds the daemon */
  constructor(port: number, nodeId: string, agents: WaitingAgent) {
    this.#port = port;
    this.#nodeId = nodeId;
    this.#agents = agents;
  }

  /** Goes on to a stage. */
  async reach(stage: Stage): Promise<void> {
    const last = STAGES.indexOf(stage);
    while (this.#stage < last) {
      const next = STAGES[++this.#stage] as Stage;
      // The last two are alternatives.
      if (next === 'closing, the client first' && stage === 'closing, the agent first') continue;
      await STEPS[next](this);
    }
  }

  /** Goes on as a well-behaved peer, to the end. @returns what it is told from now on, pings apart */
  async told(leg: Leg): Promise<Told> {
    const peer = this[leg];
    if (peer === null) return [];
    const told: Told = [];
    this.say(leg);
    if (this.#speech[leg].closes) this.#endIfServer(leg, peer);
    try {
      if (leg === 'client' && !this.upgraded) {
        const status = Number((await peer.head()).slice(9, 12));
        if (status !== 101) {
          told.push(status);
          await peer.rest();
        }
      }
      for (;;) told.push(...(await this.#hear(leg, peer)));
    } catch (error) {
      if (!peer.ended) throw error;
    }
    peer.socket.end();
    told.push('end');
    return told;
  }

  async #hear(leg: Leg, peer: RawPeer): Promise<Told> {
    const speech = this.#speech[leg];
    const { opcode, payload } = await peer.frame();
    if (opcode === PING) peer.socket.write(speech.frame(PONG, payload));
    if (opcode === PING || opcode === PONG) return [];
    if (opcode === CLOSE) {
      if (!speech.saidClose) this.say(leg, speech.frame(CLOSE, payload));
      speech.saidClose = true;
      this.#endIfServer(leg, peer);
      return [payload.readUInt16BE(0)];
    }
    const { error } = payload.toString().startsWith('{') ? JSON.parse(payload.toString()) : {};
    if (error === undefined) return [payload.toString()];
    this.sentence = error;
    return ['error'];
  }

  /** "The server MUST close the underlying TCP connection immediately" (RFC 6455, section 5.5.1). */
  #endIfServer(leg: Leg, peer: RawPeer): void {
    if (leg === 'agent') peer.socket.end();
  }

  // The steps

  async connect(): Promise<void> {
    this.client = await RawPeer.connect(this.#port, { allowHalfOpen: true });
    this.#speech.client.unsent = upgradeRequest(`/ws/agent/${this.#nodeId}`);
  }

  /** Says what is left of what was half said, then this. */
  say(leg: Leg, ...bytes: Buffer[]): void {
    const speech = this.#speech[leg];
    const { socket } = this[leg] as RawPeer;
    if (speech.unsent.length > 0) socket.write(speech.unsent);
    speech.unsent = '';
    for (const each of bytes) socket.write(each);
  }

  sayHalf(leg: Leg): void {
    const speech = this.#speech[leg];
    (this[leg] as RawPeer).socket.write(speech.unsent.slice(0, HALF_BYTES));
    speech.unsent = speech.unsent.slice(HALF_BYTES);
  }

  async accept(): Promise<void> {
    this.say('client');
    this.agent = await this.#agents.next();
  }

  async readRequest(): Promise<void> {
    this.#speech.agent.unsent = upgradeResponse(await (this.agent as RawPeer).head());
  }

  async open(): Promise<void> {
    this.say('agent');
    await (this.client as RawPeer).head();
    this.upgraded = true;
  }

  /** A whole message, and with it half of another: that has arrived too where the first has. */
  async messageAndHalf(leg: Leg): Promise<void> {
    const speech = this.#speech[leg];
    const second = speech.frame(TEXT, 'second');
    this.say(leg, Buffer.concat([speech.frame(TEXT, 'first'), second.subarray(0, 4)]));
    speech.unsent = second.subarray(4);
    await this.heard(leg);
  }

  async rest(leg: Leg): Promise<void> {
    this.say(leg);
    await this.heard(leg);
  }

  /** The other side has closed nothing yet: it owes its answer. */
  async close(leg: Leg): Promise<void> {
    const speech = this.#speech[leg];
    speech.saidClose = true;
    this.say(leg, speech.frame(CLOSE, NORMAL));
    await this.heard(leg);
    const other = this.#speech[leg === 'client' ? 'agent' : 'client'];
    other.saidClose = true;
    other.closes = true;
    other.unsent = other.frame(CLOSE, NORMAL);
  }

  async heard(leg: Leg): Promise<void> {
    await (this[leg === 'client' ? 'agent' : 'client'] as RawPeer).frame();
  }
}

/** A relay whose legs both go through a proxy. */
export async function converse(t: TestContext, port: number, nodeId: string) {
  const agents = await WaitingAgent.serve();
  t.after(() => agents.stop());
  const proxies = await openProxies(t, port, agents.port, nodeId);
  const conversation = new Conversation(proxies.client.port, nodeId, agents);
  t.after(() => conversation.client?.socket.destroy());
  return { conversation, proxies };
}

/** A proxy before the daemon and one before the agent, which is registered as found there. */
export async function openProxies(
  t: TestContext,
  port: number,
  agentPort: number,
  id: string,
): Promise<Record<Leg, FaultyProxy>> {
  const client = await FaultyProxy.open(port, 'daemon');
  t.after(() => client.stop());
  const agent = await FaultyProxy.open(agentPort, 'peer');
  t.after(() => agent.stop());
  const uplink = await Client.open(`ws://127.0.0.1:${port}/ws`);
  t.after(() => uplink.terminate());
  const params = { id, machine: '127.0.0.1', cwd: '/', port: agent.port, status: 'active' };
  assert.deepEqual((await uplink.call('register', params)).result, { status: 'registered' });
  // The daemon proves the way by a connection of its own.
  await eventually(async () => {
    const { result } = await uplink.call('list_nodes');
    assert.equal(result.find((node: { id: string }) => node.id === id).reach, 'direct');
  }, PROOF_PATIENCE_MS);
  agent.beginAnew();
  return { client, agent };
}

export const STAGES = [
  'before the head',
  'in the head',
  'at the dial',
  'between the handshakes',
  'in the agent’s answer',
  'open',
  'in the client’s frame',
  'in the agent’s frame',
  'closing, the client first',
  'closing, the agent first',
] as const;
export type Stage = (typeof STAGES)[number];

const STEPS: Record<Stage, (conversation: Conversation) => Promise<void> | void> = {
  'before the head': (conversation) => conversation.connect(),
  'in the head': (conversation) => conversation.sayHalf('client'),
  'at the dial': (conversation) => conversation.accept(),
  'between the handshakes': (conversation) => conversation.readRequest(),
  'in the agent’s answer': (conversation) => conversation.sayHalf('agent'),
  open: (conversation) => conversation.open(),
  'in the client’s frame': (conversation) => conversation.messageAndHalf('client'),
  'in the agent’s frame': async (conversation) => {
    await conversation.rest('client');
    await conversation.messageAndHalf('agent');
  },
  'closing, the client first': async (conversation) => {
    await conversation.rest('agent');
    await conversation.close('client');
  },
  'closing, the agent first': async (conversation) => {
    await conversation.rest('agent');
    await conversation.close('agent');
  },
};
