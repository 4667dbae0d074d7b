/**
 * Agents that register, leave and come back, each change of the roster counted as it is caused. An agent acts again once
 * the watching dashboard has seen the last of it, so that what the daemon has to tell is certain to the last event.
 */
import { CloseCode } from '../../src/frame/vocabulary.ts';
import { REGISTRY_PATH, type RosterEvent } from '../../src/protocol/registry.ts';
import type { Faults } from './faults.ts';
import { Peer } from './peer.ts';

/** Each agent needs a port of its own, for a place holds one node. Nobody dials these, and no free port is among them. */
const FIRST_PORT = 1024;
const PORTS = 30_000;

export type Tally = Record<RosterEvent['event'], number>;

interface Agent {
  id: string;
  port: number;
  /** False for those that serve: they stay. */
  acts: boolean;
  uplink: Peer | null;
  /** What to do once the roster shows what it did. */
  onJoined: () => void;
  onOffline: () => void;
}

const Act = {
  /** Deregisters, and registers again. */
  AGAIN: 'again',
  /** Registers under another id, which replaces its first. */
  RENAME: 'rename',
  /** Its connection breaks; it comes back. */
  RESET: 'reset',
  /** It closes its connection; it comes back. */
  CLOSE: 'close',
  /** It registers over a second connection before the first ends. */
  TAKE_OVER: 'take over',
  /** It is gone for good, and expires; another takes its place in the fleet. */
  LEAVE: 'leave',
} as const;
type Act = (typeof Act)[keyof typeof Act];

const { AGAIN, RENAME, RESET, CLOSE, TAKE_OVER, LEAVE } = Act;

/** In turn. Most need no new connection: 2,000 events a second are about 200 connections a second. */
const ACTS: readonly Act[] = [
  ...[AGAIN, AGAIN, AGAIN, AGAIN, RESET],
  ...[AGAIN, AGAIN, AGAIN, RENAME, CLOSE],
  ...[AGAIN, AGAIN, AGAIN, RENAME, TAKE_OVER],
  ...[AGAIN, AGAIN, RENAME, LEAVE],
];

/** How many roster events each of them causes. */
const EVENTS: Record<Act, number> = {
  [AGAIN]: 2,
  [RENAME]: 2,
  [RESET]: 2,
  [CLOSE]: 2,
  [TAKE_OVER]: 1,
  [LEAVE]: 3,
};

export class Fleet {
  readonly caused: Tally = { node_joined: 0, node_offline: 0, node_removed: 0 };
  readonly seen: Tally = { node_joined: 0, node_offline: 0, node_removed: 0 };
  readonly #port: number;
  readonly #faults: Faults;
  /** From a register sent to its push seen, in microseconds. */
  readonly #onLatency: (microseconds: number) => void;
  readonly #agents = new Map<string, Agent>();
  readonly #sentAt = new Map<string, number>();
  readonly #ready: Agent[] = [];
  #busy = 0;
  #ids = 0;
  #ports = 0;
  #acts = 0;

  constructor(port: number, faults: Faults, onLatency: (microseconds: number) => void) {
    this.#port = port;
    this.#faults = faults;
    this.#onLatency = onLatency;
  }

  /** Agents whose last change has not been seen yet. */
  get busy(): number {
    return this.#busy;
  }

  /** One more agent comes. @param port where it serves, and then it stays; without one it acts. @returns its id */
  async join(port?: number): Promise<string> {
    const agent: Agent = {
      id: this.#newId(),
      port: port ?? this.#newPort(),
      acts: port === undefined,
      uplink: null,
      onJoined: () => {},
      onOffline: () => {},
    };
    this.#agents.set(agent.id, agent);
    this.#busy++;
    await this.#comeBack(agent);
    return agent.id;
  }

  /** Has the next agent do what is next. @returns how many events that causes; 0 where none is ready */
  act(): number {
    const agent = this.#ready.shift();
    if (agent === undefined) return 0;
    this.#busy++;
    const act = ACTS[this.#acts++ % ACTS.length] as Act;
    this.#perform(agent, act);
    return EVENTS[act];
  }

  /** What the watching dashboard was told. */
  observe(event: RosterEvent): void {
    this.seen[event.event]++;
    if (event.event === 'node_offline') this.#agents.get(event.id)?.onOffline();
    if (event.event !== 'node_joined') return;
    const { id } = event.node;
    const sentAt = this.#sentAt.get(id);
    if (sentAt === undefined) {
      this.#faults.add(`joined, but nobody registered: ${id}`);
      return;
    }
    this.#sentAt.delete(id);
    this.#onLatency(Math.round((performance.now() - sentAt) * 1000));
    this.#agents.get(id)?.onJoined();
  }

  #perform(agent: Agent, act: Act): void {
    switch (act) {
      case AGAIN:
        this.caused.node_removed++;
        agent.uplink?.sendText(`{"id":2,"method":"deregister","params":{"id":"${agent.id}"}}`);
        this.#register(agent);
        break;
      case RENAME:
        this.caused.node_removed++;
        this.#agents.delete(agent.id);
        agent.id = this.#newId();
        this.#agents.set(agent.id, agent);
        this.#register(agent);
        break;
      case RESET:
        this.caused.node_offline++;
        agent.onOffline = () => this.#comeBack(agent).catch(this.#faults.catch);
        this.#leave(agent, (uplink) => uplink.leave());
        break;
      case CLOSE:
        this.caused.node_offline++;
        agent.onOffline = () => this.#comeBack(agent).catch(this.#faults.catch);
        this.#leave(agent, (uplink) => uplink.close(CloseCode.NORMAL));
        break;
      case TAKE_OVER: {
        const first = agent.uplink;
        this.#comeBack(agent, () => {
          if (first !== null) first.onEnd = () => {};
          first?.close(CloseCode.GOING_AWAY);
        }).catch(this.#faults.catch);
        break;
      }
      case LEAVE:
        this.caused.node_offline++;
        this.caused.node_removed++;
        agent.onOffline = () => {
          this.#agents.delete(agent.id);
          agent.id = this.#newId();
          agent.port = this.#newPort();
          this.#agents.set(agent.id, agent);
          this.#comeBack(agent).catch(this.#faults.catch);
        };
        this.#leave(agent, (uplink) => uplink.leave());
        break;
    }
  }

  #leave(agent: Agent, end: (uplink: Peer) => void): void {
    const { uplink } = agent;
    agent.uplink = null;
    if (uplink === null) return;
    uplink.onEnd = () => {};
    end(uplink);
  }

  async #comeBack(agent: Agent, onJoined: () => void = () => {}): Promise<void> {
    agent.onOffline = () => {};
    const uplink = await Peer.open(this.#port, REGISTRY_PATH, (peer) => {
      peer.onText = (text) => this.#hear(text);
      peer.onEnd = (closeCode) => this.#faults.add(`an agent was closed with ${closeCode}`);
    });
    agent.uplink = uplink;
    this.#register(agent, onJoined);
  }

  #register(agent: Agent, onJoined: () => void = () => {}): void {
    const { id, port } = agent;
    agent.onJoined = () => {
      onJoined();
      this.#busy--;
      if (agent.acts) this.#ready.push(agent);
    };
    this.caused.node_joined++;
    this.#sentAt.set(id, performance.now());
    const params = { id, machine: '127.0.0.1', cwd: '/home/somebody/a-project', port, status: 'active', pid: 4242 };
    agent.uplink?.sendText(JSON.stringify({ id: 1, method: 'register', params }));
  }

  /** Agents are told answers, and a roster at most; an error is neither. */
  #hear(text: string): void {
    if (text.includes('"error"')) this.#faults.add(`an agent was told ${text.slice(0, 200)}`);
  }

  #newId(): string {
    return `agent-${this.#ids++}`;
  }

  #newPort(): number {
    return FIRST_PORT + (this.#ports++ % PORTS);
  }
}
