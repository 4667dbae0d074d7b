/**
 * What the process of a load can be told. It holds either clients (`connect`) or agents (`serve`), and each of them
 * writes one pattern and expects another; then it is told what to do with them, and what to count. It may also hold
 * agents' connections to a registry (`register`) and dashboards (`watch`).
 */
import type net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { NodeStatus } from '../../src/protocol/registry.ts';
import { inLanes } from '../../test/support/measure.ts';
import { CycleChecker, WrongAnswer } from './checker.ts';
import { Endpoint } from './endpoint.ts';
import { type Cycle, cycleOf, encodeWrites, type WritePattern } from './pattern.ts';
import { type AgentNode, Dashboard, LANES, Uplink } from './registry.ts';
import { type Counted, type Counting, countWindow, Tally } from './window.ts';

interface Patterns {
  /** What is written. */
  pattern: WritePattern;
  /** What must come; the same, unless said otherwise. */
  expect?: WritePattern;
}

export interface ConnectOptions extends Patterns {
  port: number;
  /** Clients take them in turn: `/`, or the relays' paths. */
  paths: readonly string[];
  connections: number;
}

export interface ServeOptions extends Patterns {
  agents: number;
  /** An agent that answers writes once as many messages as its write holds have come. */
  answers: boolean;
}

/** How long what is still under way after a window may take to come back. */
const PATIENCE_MS = 10_000;
const TICK_MS = 1;

const tally = new Tally();
const endpoints = new Set<Actor>();
const servers: net.Server[] = [];
const uplinks: Uplink[] = [];
const dashboards: Dashboard[] = [];
let cycle: Cycle;
let expected: Cycle;
let writes: readonly Buffer[] = [];

let fail: (error: Error) => void;
/** Rejects where an answer was wrong or a connection was lost. */
const failed = new Promise<never>((_, reject) => {
  fail = reject;
});
// It is looked at by whichever command runs next.
failed.catch(() => {});

/** An end that writes the pattern's writes in turn. */
class Actor {
  readonly sink = new CycleChecker(expected, (payloadBytes) => this.#onMessage(payloadBytes));
  readonly #endpoint: Endpoint;
  #nextWrite = 0;
  #due = 0;
  #wroteAt = 0;
  /** What it does once all that was due has come. */
  #onAll: () => void;

  constructor(endpoint: Endpoint, onAll: (actor: Actor) => void) {
    this.#endpoint = endpoint;
    this.#onAll = () => onAll(this);
    this.#due = expected.messagesPerWrite;
    endpoints.add(this);
  }

  get due(): number {
    return this.#due;
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  onFault(error: Error): void {
    endpoints.delete(this);
    fail(error);
  }

  /** Writes, and looks forward to an answer. */
  ask(onAll: () => void): void {
    this.#onAll = onAll;
    this.#due = expected.messagesPerWrite;
    this.#wroteAt = performance.now();
    this.write();
  }

  write(): boolean {
    const bytes = writes[this.#nextWrite] as Buffer;
    this.#nextWrite = (this.#nextWrite + 1) % writes.length;
    return this.#endpoint.write(bytes);
  }

  #onMessage(payloadBytes: number): void {
    tally.onMessage(payloadBytes);
    if (--this.#due > 0) return;
    this.#due = expected.messagesPerWrite;
    if (this.#wroteAt > 0) tally.onLatency(performance.now() - this.#wroteAt);
    this.#onAll();
  }
}

function prepare(side: 'client' | 'server', { pattern, expect = pattern }: Patterns): void {
  cycle = cycleOf(pattern);
  expected = cycleOf(expect);
  writes = encodeWrites(side, cycle);
}

export const commands = {
  /** Opens clients; all are open when it is done. */
  async connect(options: ConnectOptions): Promise<void> {
    prepare('client', options);
    const { port, paths, connections } = options;
    const open = async (i: number) => {
      const path = paths[i % paths.length] as string;
      await Endpoint.open(port, path, (endpoint) => new Actor(endpoint, () => {}));
    };
    await Promise.race([failed, inLanes(connections, LANES, open)]);
  },

  /** Serves agents, each on a port of its own. @returns their ports */
  async serve(options: ServeOptions): Promise<number[]> {
    prepare('server', options);
    for (let i = 0; i < options.agents; i++) {
      const onAll = (actor: Actor) => {
        if (options.answers) actor.write();
      };
      servers.push(await Endpoint.serve((endpoint) => new Actor(endpoint, onAll)));
    }
    return servers.map((server) => (server.address() as net.AddressInfo).port);
  },

  /** Each end writes, and writes again once all of the answer has come. Counts messages that came back. */
  async roundTrips(counting: Counting): Promise<Counted> {
    let asking = true;
    const underWay = new Set(endpoints);
    for (const actor of endpoints) {
      const ask = () => {
        if (asking) actor.ask(ask);
        else underWay.delete(actor);
      };
      ask();
    }
    const counted = await Promise.race([failed, countWindow(counting, tally)]);
    asking = false;
    const endsAt = performance.now() + PATIENCE_MS;
    while (underWay.size > 0) {
      if (performance.now() > endsAt) throw new Error(`${underWay.size} connections got no answer`);
      await Promise.race([failed, delay(10)]);
    }
    return counted;
  },

  /**
   * Each end writes on and on: as fast as it is taken, or so many writes a second, spread evenly over the ends. It goes on
   * until the process ends.
   */
  async pour({ writesPerSecond }: { writesPerSecond?: number }): Promise<void> {
    if (writesPerSecond === undefined) {
      for (const actor of endpoints) pourInto(actor);
    } else {
      paced([...endpoints], writesPerSecond);
    }
  },

  /** Registers agents, each over an uplink of its own that stays open. Not counted. */
  async register({ port, nodes }: { port: number; nodes: readonly AgentNode[] }): Promise<void> {
    const register = async (i: number) => {
      uplinks.push(await Uplink.register(port, nodes[i] as AgentNode, fail));
    };
    await Promise.race([failed, inLanes(nodes.length, LANES, register)]);
  },

  /** Opens dashboards, and waits until each has its roster. From then on `count` counts the pushes they get. */
  async watch({ port, connections }: { port: number; connections: number }): Promise<void> {
    const open = async (i: number) => {
      // One of them reads what all of them are given.
      dashboards.push(await Dashboard.open(port, i === 0, tally, fail));
    };
    await Promise.race([failed, inLanes(connections, LANES, open)]);
  },

  /** Waits until all dashboards have got as much, and the one that reads has as many active nodes. */
  async settle({ activeNodes }: { activeNodes: number }): Promise<void> {
    const endsAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const roster = dashboards.find(({ roster }) => roster !== null)?.roster;
      const active = [...(roster?.values() ?? [])].filter(({ status }) => status === NodeStatus.ACTIVE).length;
      const got = new Set(dashboards.map(({ events }) => events));
      if (active === activeNodes && got.size === 1) return;
      if (performance.now() > endsAt) {
        throw new WrongAnswer(
          `${active} active nodes, not ${activeNodes}; dashboards got ${[...got].join(' or ')} events`,
        );
      }
      await Promise.race([failed, delay(10)]);
    }
  },

  /** Counts what arrives, whoever causes it. */
  async count(counting: Counting): Promise<Counted> {
    return Promise.race([failed, countWindow(counting, tally)]);
  },
};

export type Commands = typeof commands;

function pourInto(actor: Actor): void {
  const more = () => {
    while (actor.write());
  };
  actor.endpoint.socket.on('drain', more);
  more();
}

/** One of them after the other, so that all writes of one end are as far apart as can be. */
function paced(actors: readonly Actor[], writesPerSecond: number): void {
  const begin = performance.now();
  let written = 0;
  setInterval(() => {
    const due = Math.floor(((performance.now() - begin) / 1000) * writesPerSecond * actors.length);
    for (; written < due; written++) actors[written % actors.length]?.write();
  }, TICK_MS);
}
