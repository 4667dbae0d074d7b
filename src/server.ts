/**
 * The whole daemon. It puts the rooms together, listens, closes, and emits events.
 *
 *   Listener ─▶ FrontDesk ─┬▶ RegistryEndpoint ─▶ Roster, LocalMachine
 *                          └▶ Relay
 */

import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import os from 'node:os';
import { loadAssets } from './assets.ts';
import type { HypivisorEvents } from './events.ts';
import { FrontDesk } from './front-desk.ts';
import { createGate } from './http/gate.ts';
import { Assets } from './http/static.ts';
import { Hubs, type OwnHub } from './join/hubs.ts';
import type { Asker } from './join/link.ts';
import { Uppers } from './join/uppers.ts';
import { LocalMachine } from './local-machine.ts';
import { type HypivisorOptions, type Settings, withDefaults } from './options.ts';
import { adviseOnOrigin } from './origin-advice.ts';
import type { HubFeature, HubRequestMethod, SharedMachine, UpperHub } from './protocol/hub.ts';
import { type Node, Reach } from './protocol/registry.ts';
import { TOKEN_SUBPROTOCOL_PREFIX } from './protocol/subprotocol.ts';
import { registryUrl } from './protocol/url.ts';
import { Locality } from './proxy/locality.ts';
import { Prover } from './proxy/prover.ts';
import { Resolver } from './proxy/resolver.ts';
import { Turns } from './proxy/turns.ts';
import { NO_CONNECTION } from './proxy/way-back.ts';
import { WaysBack } from './proxy/ways-back.ts';
import { hubIdOf } from './registry/hub-params.ts';
import type { Caller } from './registry/methods.ts';
import type { NodeInfo } from './registry/node-info.ts';
import { Roster } from './registry/roster.ts';
import { Connections } from './transport/connections.ts';
import { Deadlines } from './transport/deadlines.ts';
import { maxConnectionsOfProcess } from './transport/descriptors.ts';
import { Listener } from './transport/listener.ts';
import { vitals } from './vitals.ts';

export type { AgentEnd, AgentProcess, HypivisorEvents } from './events.ts';
export type { HypivisorOptions, JoinOptions, Limits } from './options.ts';
export type { HubFeature, UpperHub } from './protocol/hub.ts';
export type { Node, RosterEvent } from './protocol/registry.ts';

const require = createRequire(import.meta.url);
export const { version } = require('../package.json') as { version: string };

/** Numbers of events since the start, and of things that exist now. */
export interface Counters {
  /** Open connections. */
  connections: number;
  /** Backlogs that a fresh roster replaced. */
  resyncs: number;
  /** Readers of the roster that were closed because they did not read. */
  laggardsClosed: number;
  /** Agents that open connections to the daemon for its relays. */
  waysBack: number;
  /** Connections from such agents that wait for a relay. */
  spares: number;
  /** Hubs that have joined this one, with those that are lost. */
  hubs: number;
  /** Refused tickets: guessed, used before, late, or given to an agent that has left. */
  ticketsRefused: number;
}

export interface HypivisorAddress {
  port: number;
  /** The IP addresses that the daemon listens on. `::` or `0.0.0.0` is every interface. */
  hosts: string[];
}

/** Creates a daemon, which does not listen yet. It emits events and writes no log. */
export function createHypivisor(options: HypivisorOptions = {}): Hypivisor {
  return new Hypivisor(withDefaults(options));
}

export class Hypivisor extends EventEmitter<HypivisorEvents> {
  readonly #settings: Settings;
  readonly #deadlines = new Deadlines();
  readonly #connections: Connections;
  readonly #listener: Listener;
  readonly #roster: Roster;
  readonly #waysBack: WaysBack;
  readonly #prover: Prover;
  readonly #hubs: Hubs;
  readonly #machine: LocalMachine;
  readonly #frontDesk: FrontDesk;
  /** The hubs that this one joins. */
  readonly #uppers: Uppers;
  /** Identifies the last `listen` until the next `close`. A `listen` that no longer finds its own here was closed. */
  #generation: symbol | null = null;
  /** Settles once the last `listen` has opened its port or failed. */
  #opened: Promise<unknown> = Promise.resolve();
  /** Settles once the last `close` has ended. */
  #closed: Promise<void> = Promise.resolve();
  #laggardsClosed = 0;
  /** The warnings so far. Each is emitted once. */
  readonly #warnings = new Set<string>();

  constructor(settings: Settings) {
    super();
    this.#settings = settings;
    const { limits, token, allowOrigins, allowHosts, nodeTtlMs } = settings;
    const tell = this.#tell.bind(this);
    const onFault = (error: unknown) => tell('fault', error);
    const deadlines = this.#deadlines;
    const connections = new Connections(deadlines, onFault);
    const locality = new Locality({
      now: () => deadlines.now(),
      ownPort: () => this.#listener.port,
      onlyWhereRegistered: token === null,
    });
    const waysBack = new WaysBack({ deadlines, limits });
    const roster = new Roster({
      nodeTtlMs,
      maxNodes: limits.maxNodes,
      maxRosterBytes: limits.maxRosterBytes,
      backlogBudgetBytes: limits.backlogBudgetBytes,
      deadlines,
      judge: (agentMachine, peerAddress) => locality.judge(agentMachine, peerAddress),
      onEvent: (event) => {
        this.#uppers.noteNode(event.event === 'node_joined' ? event.node.id : event.id);
        if (event.event === 'node_updated') return;
        const nodeId = event.event === 'node_joined' ? event.node.id : event.id;
        const owner = roster.addressOf(nodeId)?.owner ?? null;
        waysBack.keepOnly(nodeId, owner);
        prover.keepOnly(nodeId, owner);
        if (event.event === 'node_joined' && event.node.hub === undefined) this.#machine.noteRegistration(event.node);
        tell('roster', event);
      },
    });
    const resolver = new Resolver(deadlines);
    const prover = new Prover({
      connections,
      resolver,
      surroundings: locality,
      limits,
      targetOf: (nodeId, registration) => {
        const address = roster.addressOf(nodeId);
        return address?.owner === registration ? { ...address, wayBack: null } : null;
      },
      onProved: (nodeId, registration, sentence) => {
        if (roster.addressOf(nodeId)?.owner !== registration) return;
        roster.noteReach(nodeId, sentence === null ? Reach.DIRECT : Reach.UNPROVEN, sentence);
        if (sentence !== null) waysBack.get(nodeId)?.prove();
      },
    });
    const warn = (sentence: string) => this.#warn(sentence);
    const machine = new LocalMachine({ settings, deadlines, ownUrl: () => this.#ownUrl(), warn, tell });
    const onLaggard = () => {
      this.#laggardsClosed++;
      tell('laggardClosed');
    };
    const onRegistered = (caller: Caller, { id, dialBack }: NodeInfo) => {
      if (dialBack) this.#addWayBack(id, caller);
      else waysBack.keepOnly(id, null);
      if (dialBack && !this.#isNextDoor(id)) prover.keepOnly(id, null);
      else prover.add(id, caller);
    };
    const { hubName } = settings;
    const hubKey = settings.hubKey ?? randomBytes(16).toString('hex');
    const own: OwnHub = {
      id: hubIdOf(hubKey),
      name: hubName,
      host: os.hostname(),
      version,
      since: Math.floor(Date.now() / 1000),
      vitals,
      up: () => this.#uppers.up,
    };
    const hubs = new Hubs({
      own,
      roster,
      waysBack,
      deadlines,
      limits,
      events: {
        onJoined: (hub) => tell('hubJoined', hub),
        onLost: (hub) => tell('hubLost', hub),
        onLeft: (hub) => tell('hubLeft', hub),
        onLeftOut: (hub) => tell('sharedLeftOut', hub),
        onMachinesChanged: () => this.#uppers.noteMachines(),
      },
    });
    this.#uppers = new Uppers(
      settings.join,
      {
        id: own.id,
        key: hubKey,
        name: hubName,
        version,
        epoch: randomBytes(8).toString('hex'),
        environment: process.env,
        connections,
        roster,
        below: () => hubs.below,
        machines: () => [
          this.#ownMachine(own),
          ...hubs.sharedMachines().map((it) => ({ ...it, path: [...it.path, own.id] })),
        ],
        perform: (method, params, asker) => this.#performFor(method, params, asker),
      },
      {
        onChanged: (upper, before, features) => this.#onUpperChanged(upper, before, features),
        onDialledBack: (connection, rest, client) => this.#frontDesk.receiveBack(connection, rest, client),
      },
    );
    this.#waysBack = waysBack;
    this.#prover = prover;
    this.#hubs = hubs;
    this.#connections = connections;
    this.#roster = roster;
    this.#machine = machine;
    this.#frontDesk = new FrontDesk({
      connections,
      gate: createGate({
        token,
        tokenSubprotocolPrefix: TOKEN_SUBPROTOCOL_PREFIX,
        allowOrigins,
        allowHosts,
        hostName: os.hostname(),
        explain: adviseOnOrigin,
      }),
      endpoints: { roster, machine, hubs, limits, version, onFault, onLaggard, onRegistered },
      waysBack,
      prover,
      hubs,
      relays: {
        connections,
        resolver,
        turns: new Turns(limits),
        limits,
        surroundings: locality,
      },
      limits,
      version,
      hubName,
      health: () => `ok\n${this.#uppers.health}`,
      tell,
    });
    this.#listener = new Listener((socket) => this.#frontDesk.receive(socket), onFault);
  }

  /** The port and addresses that the daemon listens on; null while it does not listen. */
  get address(): HypivisorAddress | null {
    const addresses = this.#generation === null ? [] : this.#listener.addresses;
    const [first] = addresses;
    return first === undefined ? null : { port: first.port, hosts: addresses.map(({ address }) => address) };
  }

  /** The current roster. */
  get nodes(): Node[] {
    return JSON.parse(this.#roster.nodesJson) as Node[];
  }

  /** How it stands with each hub that this one joins, in the order of the options. */
  get uppers(): UpperHub[] {
    return this.#uppers.up;
  }

  get counters(): Counters {
    return {
      connections: this.#connections.size,
      resyncs: this.#roster.resyncs,
      laggardsClosed: this.#laggardsClosed,
      waysBack: this.#waysBack.size,
      spares: this.#waysBack.spares,
      hubs: this.#hubs.size,
      ticketsRefused: this.#waysBack.ticketsRefused,
    };
  }

  /**
   * Starts to listen. A `close` that has not ended yet ends first, so the port is free again.
   *
   * @throws the system's error if the port cannot be opened, usually `EADDRINUSE`; an Error if the daemon listens
   *   already, or was closed before it listened
   */
  async listen(): Promise<HypivisorAddress> {
    if (this.#generation !== null) throw new Error('hypivisor is listening already');
    const generation = Symbol('generation');
    this.#generation = generation;
    const opened = this.#closed.then(() => this.#open(generation));
    this.#opened = opened.catch(() => {});
    return opened;
  }

  async #open(generation: symbol): Promise<HypivisorAddress> {
    const { limits, port } = this.#settings;
    try {
      this.#connections.max = Math.min(limits.maxConnections, await maxConnectionsOfProcess());
      await this.#loadDashboard();
      if (this.#generation === generation) await this.#listener.listen(hostsToListenOn(this.#settings), port);
      if (this.#generation !== generation) throw new Error('hypivisor was closed before it listened');
    } catch (error) {
      if (this.#generation === generation) this.#generation = null;
      this.#listener.close();
      throw error;
    }
    this.#roster.watchExpiry();
    this.#machine.tendOutput();
    this.#uppers.start();
    return this.address as HypivisorAddress;
  }

  /** Loads the dashboard. If that fails, the daemon serves the registry without it. */
  async #loadDashboard(): Promise<void> {
    const { dashboardDirectory } = this.#settings;
    try {
      this.#frontDesk.assets = dashboardDirectory === null ? new Assets() : await loadAssets(dashboardDirectory);
    } catch (error) {
      this.#tell('fault', new Error(`the dashboard cannot be served: ${(error as Error).message}`));
    }
  }

  /**
   * Stops accepting, closes every connection with 1001, and resolves once all are gone. Connections that take too long
   * are destroyed.
   */
  close(): Promise<void> {
    this.#generation = null;
    this.#listener.close();
    this.#uppers.stop();
    this.#closed = Promise.all([this.#opened, this.#closed]).then(() => this.#drain());
    return this.#closed;
  }

  async #drain(): Promise<void> {
    this.#prover.close();
    await this.#connections.shutDown(this.#settings.limits.drainTimeoutMs);
    this.#prover.close();
    this.#hubs.close();
    this.#roster.close();
    this.#machine.close();
  }

  #warn(sentence: string): void {
    if (this.#warnings.has(sentence)) return;
    this.#warnings.add(sentence);
    this.#tell('warning', sentence);
  }

  /** This machine, as it is told to the hubs above; each gets the features that it has. */
  #ownMachine({ id, name, since }: OwnHub): SharedMachine {
    const { memory_free, ...numbers } = vitals();
    const facts = { id, name, version, since, nodes: this.#roster.localSize, features: [], ...numbers };
    return { ...facts, ...(memory_free !== null && { memory_free }), path: [id] };
  }

  /** Does what a hub above asks for, on this machine or on one below. */
  async #performFor(method: HubRequestMethod, params: Record<string, unknown>, asker: Asker): Promise<unknown> {
    const caller: Caller = { ...NOBODY, ...asker };
    const ask = this.#hubs.elsewhere(method, params, caller);
    if (ask !== null) return ask();
    switch (method) {
      case 'list_directories':
        return this.#machine.listDirectories(params);
      case 'list_sessions':
        return this.#machine.listSessions(params);
      case 'spawn_agent':
        return this.#machine.spawnAgent(params, caller);
      case 'spawn_status':
        return this.#machine.spawnStatus(params);
    }
  }

  #onUpperChanged(upper: UpperHub, before: UpperHub['status'], features: readonly HubFeature[]): void {
    this.#hubs.noteOwnChange();
    if (upper.status === 'joined') this.#tell('joined', { ...upper, features });
    else if (upper.status === 'refused') this.#tell('joinRefused', upper);
    else if (before === 'joined') this.#tell('joinLost', upper);
    else this.#tell('joinFailed', upper);
  }

  #addWayBack(nodeId: string, caller: Caller): void {
    const roster = this.#roster;
    const isOwned = () => roster.addressOf(nodeId)?.owner === caller;
    const way = this.#waysBack.add(nodeId, caller, {
      ask: (ticket) => caller.askBack(ticket),
      onProved: (works) => {
        if (!isOwned()) return;
        if (works) roster.noteReach(nodeId, Reach.DIAL_BACK);
        else roster.noteReach(nodeId, Reach.UNPROVEN, NO_CONNECTION);
      },
    });
    roster.noteReach(nodeId, Reach.UNPROVEN);
    // The answer to the registration goes first. The daemon dials a program on this machine, and asks it to connect
    // only if that fails.
    if (!this.#isNextDoor(nodeId)) setImmediate(() => way.start());
  }

  /** Whether the agent is known to be a program on this machine. */
  #isNextDoor(nodeId: string): boolean {
    const { isHere = false, namesHere = false } = this.#roster.addressOf(nodeId)?.registrant ?? {};
    return isHere && namesHere;
  }

  /** Emits an event. If a listener throws, the error is emitted as a fault and affects no client. */
  #tell<E extends keyof HypivisorEvents>(event: E, ...args: HypivisorEvents[E]): void {
    const emit: (event: E, ...args: HypivisorEvents[E]) => boolean = this.emit.bind(this) as never;
    try {
      emit(event, ...args);
    } catch (error) {
      // If a listener for faults throws, no listener is left for its error.
      if (event !== 'fault') this.#tell('fault', error);
    }
  }

  #ownUrl(): string {
    const { port, hosts } = this.address as HypivisorAddress;
    const everywhere = ['127.0.0.1', '::', '0.0.0.0'];
    const host = hosts.some((address) => everywhere.includes(address)) ? 'localhost' : (hosts[0] as string);
    return registryUrl(`http://${host.includes(':') ? `[${host}]` : host}:${port}`, null);
  }
}

/**
 * The hosts to listen on: only loopback without a token, so no other machine can drive this machine's agents unless its
 * owner allows that.
 */
function hostsToListenOn({ host, token }: Settings): (string | undefined)[] {
  if (host === 'localhost' || (host === null && token === null)) return ['127.0.0.1', '::1'];
  return [host ?? undefined];
}

/** What a caller that comes through a hub above is not told, because it has no connection here. */
const NOBODY = {
  onRegistered() {},
  onSubscribe: () => false,
  askBack() {},
  onJoined() {},
  dismiss() {},
  onMachine() {},
  isCongested: false,
  push() {},
};
