/**
 * The commands of a load's process. It holds either clients (`connect`) or agents (`serve`). Each of them writes one
 * pattern and expects another; further commands say what to do with them, and what to count. Those for registries are in
 * registry-commands.ts, those for bare connections in connection-commands.ts.
 */
import type net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { inLanes } from '../../test/support/measure.ts';
import { CycleChecker, VerbatimChecker } from './checker.ts';
import { connectionCommands } from './connection-commands.ts';
import { Endpoint, openBack } from './endpoint.ts';
import { type Cycle, cycleOf, encodeWrites, WRITES_A_TURN, type WritePattern } from './pattern.ts';
import { LANES, Uplink } from './registry.ts';
import { registryCommands } from './registry-commands.ts';
import { clockUs, stamped } from './stamp.ts';
import { fail, failed, tally } from './state.ts';
import { countTurns } from './turns.ts';
import { type Counted, type Counting, countWindow } from './window.ts';

interface Patterns {
  /** The pattern that is written. */
  pattern: WritePattern;
  /** The pattern that must come; the same, unless said otherwise. */
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
  /** Clients come and go, so the end of a connection is no fault. */
  clientsLeave?: boolean;
}

/** Clients that come, say one thing, are answered, and leave. */
export interface Visits extends Patterns {
  port: number;
  path: string;
  atATime: number;
}

/** How long messages that are under way at the end of a window may take to come back. */
const PATIENCE_MS = 10_000;
const TICK_MS = 1;

const endpoints = new Set<Actor>();
const servers: net.Server[] = [];
let cycle: Cycle;
let expected: Cycle;
let writes: readonly Buffer[] = [];
let clientsLeave = false;

/** An end that writes the pattern's writes in turn. */
class Actor {
  readonly sink = new CycleChecker(expected, (payloadBytes, stampUs) => this.#onMessage(payloadBytes, stampUs));
  readonly chunks = expected.verbatim
    ? new VerbatimChecker(expected, (payloadBytes) => this.#onMessage(payloadBytes, 0))
    : undefined;
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

  onFault(error: Error): void {
    endpoints.delete(this);
    if (!clientsLeave) fail(error);
  }

  /** Ends the connection without a word. */
  leave(): void {
    endpoints.delete(this);
    this.#endpoint.leave();
  }

  /** Has the kernel taken all that was written? */
  get unblocked(): boolean {
    return this.#endpoint.socket.writableLength === 0;
  }

  /** Writes, and looks forward to an answer. */
  ask(onAll: () => void): void {
    this.#onAll = onAll;
    this.#due = expected.messagesPerWrite;
    this.#wroteAt = performance.now();
    this.write();
  }

  write(onTaken?: () => void): void {
    const index = this.#nextWrite;
    const bytes = writes[index] as Buffer;
    this.#nextWrite = (index + 1) % writes.length;
    const offset = cycle.stamped ? bytes.length - (cycle.payloads[index] as Buffer).length : null;
    this.#endpoint.write(offset === null ? bytes : stamped(bytes, offset), onTaken);
  }

  #onMessage(payloadBytes: number, stampUs: number): void {
    tally.onMessage(payloadBytes);
    if (stampUs > 0) tally.onLatency((clockUs() - stampUs) / 1000);
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
  ...registryCommands,
  ...connectionCommands,

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
    clientsLeave = options.clientsLeave ?? false;
    for (let i = 0; i < options.agents; i++) {
      const onAll = (actor: Actor) => {
        if (options.answers) actor.write();
      };
      servers.push(await Endpoint.serve((endpoint) => new Actor(endpoint, onAll)));
    }
    return servers.map((server) => (server.address() as net.AddressInfo).port);
  },

  /**
   * TCP connect, upgrade, one write there, its answer back, TCP close without a closing handshake, again and again,
   * each on a connection of its own. Counts the answers; the latency is that from the connect to the answer.
   */
  async visitAgent(options: Visits & Counting): Promise<Counted> {
    prepare('client', options);
    const { port, path, atATime, ...counting } = options;
    return countTurns(counting, atATime, async () => {
      let actor: Actor | undefined;
      await Endpoint.open(port, path, (endpoint) => {
        actor = new Actor(endpoint, () => {});
        return actor;
      });
      await new Promise<void>((resolve) => actor?.ask(resolve));
      actor?.leave();
    });
  },

  /**
   * The first agent cannot be dialled: it opens connections to the daemon, and serves them as if it had accepted them.
   */
  async dialBack({ port, id }: { port: number; id: string }): Promise<void> {
    const [server] = servers;
    const onTicket = (ticket: string) => openBack(port, ticket, (socket) => server?.emit('connection', socket));
    await Promise.race([failed, Uplink.registerBack(port, id, onTicket, fail)]);
  },

  /** Waits until so many have come to the agents: a relay may take a client before it has an agent. */
  async accepted({ connections }: { connections: number }): Promise<void> {
    const endsAt = performance.now() + PATIENCE_MS;
    while (endpoints.size < connections) {
      if (performance.now() > endsAt) throw new Error(`${endpoints.size} of ${connections} came to the agents`);
      await Promise.race([failed, delay(10)]);
    }
  },

  /** Each end writes once and waits for all of the answer, so many ends at a time; then all are idle. Not counted. */
  async exchange({ lanes }: { lanes: number }): Promise<void> {
    const actors = [...endpoints];
    const exchange = (i: number) => new Promise<void>((resolve) => actors[i]?.ask(resolve));
    await Promise.race([failed, inLanes(actors.length, lanes, exchange)]);
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
   * Each end writes on and on: as fast as the kernel takes it, or so many writes a second, each end in its turn. Only
   * the messages of one write of the pattern leave together. It goes on until the process ends.
   */
  async pour({ writesPerSecond }: { writesPerSecond?: number }): Promise<void> {
    if (writesPerSecond === undefined) pourInto(endpoints);
    else paced([...endpoints], writesPerSecond);
  },

  /** Counts arriving messages from any cause. */
  async count(counting: Counting): Promise<Counted> {
    return Promise.race([failed, countWindow(counting, tally)]);
  },
};

export type Commands = typeof commands;

/**
 * Ends write in turn. An end's turn begins once the kernel has taken its last write, and ends if the kernel does not take
 * a write at once, or after enough of them. (A stream would join writes that wait.)
 */
function pourInto(actors: Iterable<Actor>): void {
  let ready = [...actors];
  const turn = () => {
    const writing = ready;
    ready = [];
    for (const actor of writing) {
      for (let written = 1; written < WRITES_A_TURN && actor.unblocked; written++) actor.write();
      actor.write(() => {
        if (ready.push(actor) === 1) setImmediate(turn);
      });
    }
  };
  turn();
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
