/** Registry endpoints over real sockets, with a roster, and a host that does as the test says. */
import { once } from 'node:events';
import net from 'node:net';
import { Hubs, type HubsLimits } from '../../src/join/hubs.ts';
import type { UpperHub } from '../../src/protocol/hub.ts';
import { WaysBack } from '../../src/proxy/ways-back.ts';
import { type EndpointContext, type EndpointLimits, RegistryEndpoint } from '../../src/registry/endpoint.ts';
import type { Caller, Machine } from '../../src/registry/methods.ts';
import type { NodeInfo } from '../../src/registry/node-info.ts';
import { Roster } from '../../src/registry/roster.ts';
import { Connection, SOCKET_OPTIONS } from '../../src/transport/connection.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { clientFrame, RawPeer, TEXT } from '../support/raw-peer.ts';

/** Small sizes, and times so long that none passes in a test that isn't about it. */
const LIMITS: EndpointLimits = {
  maxMessageBytes: 64 * 1024,
  maxFragments: 8,
  eagerInitBytes: 1024,
  initDelayMs: 60_000,
  pingIntervalMs: 60_000,
  frameTimeoutMs: 60_000,
  closingTimeoutMs: 60_000,
  laggardTimeoutMs: 60_000,
  maxPingsPerSecond: 100,
  maxConcurrentRequests: 2,
  maxUnreadBytes: 64 * 1024,
};

export const OWN_ID = '0'.repeat(32);

export interface HouseOptions {
  limits?: Partial<EndpointLimits>;
  machine?: Partial<Machine>;
  nodeTtlMs?: number;
  backlogBudgetBytes?: number;
  hubLimits?: Partial<HubsLimits>;
}

export interface OpenOptions {
  fromBrowser?: boolean;
  rest?: Buffer;
}

export class House {
  readonly deadlines = new Deadlines();
  readonly faults: unknown[] = [];
  readonly connections = new Connections(this.deadlines, (error) => this.faults.push(error));
  readonly roster: Roster;
  readonly hubs: Hubs;
  /** What became of hubs, in words. */
  readonly hubEvents: string[] = [];
  /** The hubs that this one joins. */
  readonly up: UpperHub[] = [];
  laggardsClosed = 0;
  /** The connections that have registered, in order. */
  readonly callers: Caller[] = [];
  /** Called with each change of the roster. */
  onEvent = () => {};
  readonly #context: EndpointContext;
  readonly #server = net.createServer(SOCKET_OPTIONS);
  readonly #peers: RawPeer[] = [];

  constructor({ limits, machine, nodeTtlMs = 60_000, backlogBudgetBytes = 16 * 1024, hubLimits }: HouseOptions) {
    const { deadlines } = this;
    this.roster = new Roster({
      nodeTtlMs,
      maxNodes: 10_000,
      maxRosterBytes: 64 * 1024 * 1024,
      backlogBudgetBytes,
      deadlines,
      judge: (_machine, address) => ({ address, isHere: false, namesHere: false }),
      onEvent: () => this.onEvent(),
    });
    const hubBounds = { maxNodes: 10_000, maxRosterBytes: 64 * 1024 * 1024 };
    this.hubs = new Hubs({
      own: {
        id: OWN_ID,
        name: 'desk',
        host: 'desk',
        version: '1.2.3',
        since: 1,
        vitals: () => ({ load: 0.5, cpus: 2, memory_free: null, memory: 4096 }),
        up: () => this.up,
      },
      roster: this.roster,
      waysBack: new WaysBack({
        deadlines,
        limits: { ...hubBounds, pingIntervalMs: 60_000, maxHeadBytes: 16_384, maxHeadFields: 100 },
      }),
      deadlines,
      limits: { ...hubBounds, maxHubs: 3, hubTtlMs: 60_000, hubRequestTimeoutMs: 60_000, ...hubLimits },
      events: {
        onJoined: ({ name }) => this.hubEvents.push(`joined ${name}`),
        onLost: ({ name }) => this.hubEvents.push(`lost ${name}`),
        onLeft: ({ name }) => this.hubEvents.push(`left ${name}`),
        onLeftOut: ({ name, nodes }) => this.hubEvents.push(`left out ${nodes} of ${name}`),
        onMachinesChanged: () => {},
      },
    });
    const nothing = async () => ({});
    this.#context = {
      roster: this.roster,
      hubs: this.hubs,
      machine: {
        listDirectories: nothing,
        listSessions: nothing,
        spawnAgent: nothing,
        spawnStatus: () => ({ status: 'starting' }),
        ...machine,
      },
      limits: { ...LIMITS, ...limits },
      version: '1.2.3',
      onRegistered: (caller) => this.callers.push(caller),
      onFault: (error) => this.faults.push(error),
      onLaggard: () => this.laggardsClosed++,
    };
  }

  /** Runs the test in a house of its own, and clears up. */
  static async with(options: HouseOptions, test: (house: House) => Promise<void>): Promise<void> {
    const house = new House(options);
    house.#server.listen(0, '127.0.0.1');
    await once(house.#server, 'listening');
    try {
      await test(house);
    } finally {
      for (const { socket } of house.#peers) socket.destroy();
      for (const connection of house.connections) connection.destroy();
      await house.connections.empty();
      house.hubs.close();
      house.roster.close();
      house.#server.close();
      await once(house.#server, 'close');
    }
  }

  /** A peer whose opening handshake is done. It leaves its side open when the daemon ends its own. */
  async open({ fromBrowser = false, rest = Buffer.alloc(0) }: OpenOptions = {}): Promise<Visitor> {
    const { port } = this.#server.address() as net.AddressInfo;
    const accepted = once(this.#server, 'connection');
    const peer = new RawPeer(net.connect({ host: '127.0.0.1', port, allowHalfOpen: true }));
    this.#peers.push(peer);
    const [[socket]] = await Promise.all([accepted, once(peer.socket, 'connect')]);
    const connection = new Connection(socket, this.connections);
    new RegistryEndpoint(connection, this.#context, fromBrowser, rest);
    return new Visitor(peer, connection);
  }

  /** Puts nodes of about 4 KiB each into the roster, apart from any connection. */
  fill(count: number): void {
    for (let i = 0; i < count; i++)
      this.roster.register({}, info(`node-${i}`, { port: 1 + i, cwd: 'x'.repeat(4000) }), '10.0.0.1');
  }
}

/** Both ends of a connection: what the test does as the peer, and what the daemon holds. */
export class Visitor {
  readonly peer: RawPeer;
  readonly connection: Connection;

  constructor(peer: RawPeer, connection: Connection) {
    this.peer = peer;
    this.connection = connection;
  }

  /** Sends messages, all in one segment. A string goes as it is, anything else as JSON. */
  send(...messages: unknown[]): void {
    const texts = messages.map((message) => (typeof message === 'string' ? message : JSON.stringify(message)));
    this.write(...texts.map((text) => clientFrame(TEXT, text)));
  }

  write(...frames: Buffer[]): void {
    this.peer.socket.write(Buffer.concat(frames));
  }

  /** The next messages. Other frames fail the test. */
  async messages(count: number): Promise<Record<string, unknown>[]> {
    const messages = [];
    for (let i = 0; i < count; i++) {
      const { opcode, payload } = await this.peer.frame();
      if (opcode !== TEXT) throw new Error(`a frame with opcode ${opcode}: ${payload.toString('latin1')}`);
      messages.push(JSON.parse(payload.toString()));
    }
    return messages;
  }

  async message(): Promise<Record<string, unknown>> {
    return (await this.messages(1))[0] as Record<string, unknown>;
  }

  async call(request: object): Promise<Record<string, unknown>> {
    this.send(request);
    return this.message();
  }
}

export function info(id: string, fields: Partial<NodeInfo> = {}): NodeInfo {
  return { id, machine: 'laptop', cwd: '/work', port: 8080, ...fields };
}

export function registration(nodeInfo: NodeInfo, id: string | number = 'register'): object {
  return { id, method: 'register', params: { ...nodeInfo, status: 'active' } };
}

/** Waits until it is so. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 10_000; !isSo(); ) {
    if (performance.now() > end) throw new Error(`it never came to this: ${what}`);
    await sleep(5);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
