/**
 * The hypivisor: the only place that knows every room.
 *
 *   socket ─▶ admission ─▶ head ─▶ gate ─▶ route ─┬▶ registry endpoint
 *                                                 ├▶ relay
 *                                                 └▶ page, health, refusal
 */
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type net from 'node:net';
import os from 'node:os';
import { loadAssets } from './assets.ts';
import { listDirectories } from './host/directories.ts';
import { hostError } from './host/error.ts';
import { Jail } from './host/jail.ts';
import { removeAbandoned, truncateOversized } from './host/output.ts';
import { spawnAgent } from './host/spawn.ts';
import { HttpError, TlsHelloError } from './http/error.ts';
import { createGate, type Gate, withoutTokens } from './http/gate.ts';
import { encodeUpgradeResponse, readUpgradeRequest, type UpgradeRequest, wantsUpgrade } from './http/handshake.ts';
import type { RequestHead } from './http/message.ts';
import { encodeResponse, errorResponse, type Response, respond, textResponse } from './http/response.ts';
import { Assets } from './http/static.ts';
import { complete, type HypivisorOptions, type Settings } from './options.ts';
import { type Node, NodeStatus, REGISTRY_PATH, type RosterEvent } from './protocol/registry.ts';
import { SUBPROTOCOL } from './protocol/subprotocol.ts';
import { ownAddresses } from './proxy/address.ts';
import type { Locality, Target } from './proxy/destination.ts';
import { Relay, type RelayContext } from './proxy/relay.ts';
import { Resolver } from './proxy/resolver.ts';
import { Reception } from './reception.ts';
import { type EndpointContext, RegistryEndpoint } from './registry/endpoint.ts';
import type { AgentAddress } from './registry/registry.ts';
import { Roster } from './registry/roster.ts';
import { RpcError } from './registry/rpc.ts';
import { isOpen, routeOf } from './route.ts';
import { Connection, type ConnectionHandler } from './transport/connection.ts';
import { Connections } from './transport/connections.ts';
import { Deadline, Deadlines } from './transport/deadlines.ts';
import { maxConnectionsOfProcess } from './transport/descriptors.ts';
import { endAfter } from './transport/linger.ts';
import { Listener } from './transport/listener.ts';

export type { HypivisorOptions, Limits } from './options.ts';
export type { Node, RosterEvent } from './protocol/registry.ts';

const require = createRequire(import.meta.url);
export const { version } = require('../package.json') as { version: string };

/** What happens, for whoever wants to log or show it. */
export interface HypivisorEvents {
  /** A change of the roster. */
  roster: [event: RosterEvent];
  /** A peer began a TLS handshake, which this port does not speak. It was refused, and is not told as `refused`. */
  tlsRefused: [peer: { remoteAddress: string }];
  /** A request was refused; the connection is closing. */
  refused: [refusal: { status: number; reason: string; remoteAddress: string }];
  relayOpened: [relay: { nodeId: string; remoteAddress: string }];
  /** The client was told why there is no relay. */
  relayRefused: [relay: { nodeId: string; reason: string }];
  relayClosed: [relay: { nodeId: string }];
  /** A reader of the roster that did not read was closed. */
  laggardClosed: [];
  /** Something on this machine that somebody should mend, in one sentence; each is told once. */
  warning: [sentence: string];
  /** A fault of the daemon's own: it has cost one request or one connection. */
  fault: [error: unknown];
}

export interface HypivisorAddress {
  port: number;
  /** The IP addresses it listens on; `::` or `0.0.0.0` is every interface. */
  hosts: string[];
}

/** A daemon that is not listening yet. It logs nowhere: it emits events. */
export function createHypivisor(options: HypivisorOptions = {}): Hypivisor {
  return new Hypivisor(complete(options));
}

export class Hypivisor extends EventEmitter<HypivisorEvents> {
  readonly #settings: Settings;
  readonly #deadlines = new Deadlines();
  readonly #connections: Connections;
  readonly #listener: Listener;
  readonly #gate: Gate;
  readonly #roster: Roster;
  readonly #endpoints: EndpointContext;
  readonly #relays: RelayContext;
  readonly #outputCheck = new Deadline({ onDeadline: () => void this.#checkOutput() });
  /** Stands for one `listen` until the next `close`; a `listen` that finds another here, or null, was closed meanwhile. */
  #generation: symbol | null = null;
  /** Settled once the last `listen` has opened its port or given it up; and once the last `close` has ended. */
  #opened: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> = Promise.resolve();
  #laggardsClosed = 0;
  /** The warnings that were told. */
  readonly #warnings = new Set<string>();
  /** The dashboard; empty until it listens, and if none was built. */
  #assets = new Assets();

  constructor(settings: Settings) {
    super();
    this.#settings = settings;
    const { limits, token, allowOrigins, allowHosts, nodeTtlMs } = settings;
    const onFault = (error: unknown) => this.#tell('fault', error);
    const deadlines = this.#deadlines;
    this.#connections = new Connections(deadlines, onFault);
    this.#listener = new Listener((socket) => this.#accept(socket), onFault);
    this.#gate = createGate({ token, allowOrigins, allowHosts, hostName: os.hostname() });
    this.#roster = new Roster({
      nodeTtlMs,
      maxNodes: limits.maxNodes,
      backlogBudgetBytes: limits.backlogBudgetBytes,
      deadlines,
      onEvent: (event) => this.#tell('roster', event),
    });
    this.#endpoints = {
      roster: this.#roster,
      host: {
        listDirectories: (params) => this.#asCaller((jail) => listDirectories(jail, params.path)),
        spawnAgent: (params) => this.#asCaller((jail) => this.#spawn(jail, params)),
      },
      limits,
      version,
      onFault,
      onLaggard: () => {
        this.#laggardsClosed++;
        this.#tell('laggardClosed');
      },
    };
    this.#relays = {
      connections: this.#connections,
      resolver: new Resolver(),
      limits,
      locality: () => this.#locality(),
    };
  }

  /** Where it listens, or null while it does not. */
  get address(): HypivisorAddress | null {
    const addresses = this.#generation === null ? [] : this.#listener.addresses;
    const [first] = addresses;
    return first === undefined ? null : { port: first.port, hosts: addresses.map(({ address }) => address) };
  }

  /** The roster at this moment. */
  get nodes(): Node[] {
    return JSON.parse(this.#roster.nodesJson) as Node[];
  }

  /** Connections open, readers brought up to date by a fresh roster, and readers closed for not reading. */
  get counters(): { connections: number; resyncs: number; laggardsClosed: number } {
    return { connections: this.#connections.size, resyncs: this.#roster.resyncs, laggardsClosed: this.#laggardsClosed };
  }

  /**
   * Listens. A `close` that is still under way ends first, so that the port is free again.
   *
   * @throws the system's error if the address cannot be listened on, mostly `EADDRINUSE`; an Error if it is listening
   *   already, or was closed meanwhile
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
    // Not awaited: the folder may be on a mount that never answers.
    void this.#checkOutput();
    return this.address as HypivisorAddress;
  }

  /** A dashboard that cannot be read costs nobody the registry. */
  async #loadDashboard(): Promise<void> {
    const { dashboardDirectory } = this.#settings;
    try {
      this.#assets = dashboardDirectory === null ? new Assets() : await loadAssets(dashboardDirectory);
    } catch (error) {
      this.#tell('fault', new Error(`the dashboard cannot be served: ${(error as Error).message}`));
    }
  }

  /** Accepts nothing more, says goodbye to everyone (1001), and resolves once all connections are gone, by force if need be. */
  close(): Promise<void> {
    this.#generation = null;
    this.#listener.close();
    this.#closed = Promise.all([this.#opened, this.#closed]).then(() => this.#drain());
    return this.#closed;
  }

  async #drain(): Promise<void> {
    await this.#connections.shutDown(this.#settings.limits.drainTimeoutMs);
    this.#roster.close();
    this.#deadlines.clear(this.#outputCheck);
  }

  #warn(sentence: string): void {
    if (this.#warnings.has(sentence)) return;
    this.#warnings.add(sentence);
    this.#tell('warning', sentence);
  }

  /** What a listener throws is told as a fault, and costs no client anything. */
  #tell<E extends keyof HypivisorEvents>(event: E, ...args: HypivisorEvents[E]): void {
    const emit: (event: E, ...args: HypivisorEvents[E]) => boolean = this.emit.bind(this) as never;
    try {
      emit(event, ...args);
    } catch (error) {
      // One that throws at faults too has nobody left to tell.
      if (event !== 'fault') this.#tell('fault', error);
    }
  }

  #accept(socket: net.Socket): void {
    const { limits } = this.#settings;
    const connection = new Connection(socket, this.#connections, IGNORE);
    if (!this.#connections.admit(connection)) {
      this.#refuse(connection, new HttpError(503, 'Too many connections'));
      return;
    }
    connection.handler = new Reception(connection, limits, {
      onRequest: (head, rest) => this.#serve(connection, head, rest),
      onRefused: (error) => this.#refuse(connection, error),
    });
  }

  /** Gate and route: 401 before anything else is told, but for what is open to everyone. */
  #serve(connection: Connection, head: RequestHead, rest: Buffer): void {
    const route = routeOf(head.path, this.#assets);
    const upgrades = wantsUpgrade(head);
    try {
      if (upgrades || !isOpen(route)) this.#gate.authorise(head);
      if (upgrades) this.#gate.admit(head);
      switch (route.kind) {
        case 'registry':
          this.#openRegistry(connection, head, rest);
          break;
        case 'relay':
          this.#openRelay(connection, head, rest, route.nodeId);
          break;
        case 'missing-node-id':
          throw new HttpError(400, 'Missing node ID');
        case 'unknown':
          throw new HttpError(404, 'Not Found');
        default:
          if (upgrades) throw new HttpError(404, 'Not Found');
          this.#answer(connection, head);
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(connection, error, head.method === 'HEAD');
    }
  }

  #openRegistry(connection: Connection, head: RequestHead, rest: Buffer): void {
    const upgrade = readUpgradeRequest(head);
    this.#connections.prove(connection);
    connection.write(encodeUpgradeResponse(upgrade.key, fallbackSubprotocol(upgrade), null));
    new RegistryEndpoint(connection, this.#endpoints, head.fields.has('origin'), rest);
  }

  #openRelay(connection: Connection, head: RequestHead, rest: Buffer, nodeId: string): void {
    const upgrade = readUpgradeRequest(head);
    this.#connections.prove(connection);
    const { remoteAddress } = connection;
    const address = this.#roster.addressOf(nodeId);
    const offer = {
      ...upgrade,
      subprotocols: withoutTokens(upgrade.subprotocols),
      fallbackSubprotocol: fallbackSubprotocol(upgrade),
      dialKey: address?.dialKey ?? null,
    };
    new Relay(connection, this.#relays, offer, this.#targetOf(nodeId, address), rest, {
      onOpened: () => this.#tell('relayOpened', { nodeId, remoteAddress }),
      onRefused: (reason) => this.#tell('relayRefused', { nodeId, reason }),
      onClosed: () => this.#tell('relayClosed', { nodeId }),
    });
  }

  /** @returns where the agent is, or the sentence that says why there is no way to it */
  #targetOf(nodeId: string, address: AgentAddress | null): Target | string {
    if (address === null) return 'Agent not found';
    if (this.#roster.get(nodeId)?.status === NodeStatus.OFFLINE) return 'Agent is offline';
    return address;
  }

  /** @throws HttpError 405 */
  #answer(connection: Connection, head: RequestHead): void {
    const response = respond(head, () => this.#assets.get(head) ?? this.#text(head.path));
    this.#end(connection, response, head.method === 'HEAD');
  }

  #text(path: string): Response {
    return textResponse(200, path === '/' ? this.#description() : 'ok');
  }

  #refuse(connection: Connection, error: HttpError, isHead = false): void {
    const { status, message } = error;
    const { remoteAddress } = connection;
    if (error instanceof TlsHelloError) this.#tell('tlsRefused', { remoteAddress });
    else this.#tell('refused', { status, reason: message, remoteAddress });
    this.#end(connection, errorResponse(error), isHead);
  }

  #end(connection: Connection, response: Response, isHead: boolean): void {
    const date = new Date().toUTCString();
    endAfter(connection, encodeResponse(response, date, isHead), this.#settings.limits.lingerTimeoutMs);
  }

  #description(): string {
    return `hypivisor ${version}: the control plane of your coding agents. Agents and dashboards connect to ${REGISTRY_PATH}.`;
  }

  #locality(): Locality {
    return {
      hostName: os.hostname(),
      ownAddresses: ownAddresses(),
      ownPorts: new Set(this.#listener.addresses.map(({ port }) => port)),
      onlyWhereRegistered: this.#settings.token === null,
    };
  }

  /** What a caller asks of this machine, within the home folder. Its errors are sentences for the caller. */
  async #asCaller<T>(act: (jail: Jail) => Promise<T>): Promise<T> {
    try {
      return await act(await Jail.open(this.#settings.home));
    } catch (error) {
      // What is no HostError yet, a missing home folder for one, is this machine's trouble too, and becomes a sentence.
      throw new RpcError(hostError('Cannot use the home folder', error).message);
    }
  }

  #spawn(jail: Jail, params: Record<string, unknown>): Promise<unknown> {
    const { environment, outputDirectory, spawnCommand, token } = this.#settings;
    // The agent is to register with this very daemon.
    const env: NodeJS.ProcessEnv = { ...environment, HYPIVISOR_WS: this.#ownUrl() };
    if (token !== null) env.HYPI_TOKEN = token;
    return spawnAgent(jail, { command: spawnCommand, env, outputDirectory }, params);
  }

  #ownUrl(): string {
    const { port, hosts } = this.address as HypivisorAddress;
    const everywhere = ['127.0.0.1', '::', '0.0.0.0'];
    const host = hosts.some((address) => everywhere.includes(address)) ? 'localhost' : (hosts[0] as string);
    return `ws://${host.includes(':') ? `[${host}]` : host}:${port}${REGISTRY_PATH}`;
  }

  async #checkOutput(): Promise<void> {
    const { outputDirectory, limits } = this.#settings;
    const warn = (path: string, { message }: Error) =>
      this.#warn(`Cannot tend the agents' output in ${path}: ${message}`);
    try {
      await truncateOversized(outputDirectory, limits.maxOutputBytes, warn);
      await removeAbandoned(outputDirectory, limits.outputRetentionMs, Date.now(), warn);
    } catch (error) {
      warn(outputDirectory, error as Error);
    }
    if (this.address !== null) this.#deadlines.set(this.#outputCheck, limits.outputCheckIntervalMs);
  }
}

/** Loopback only without a token: nobody else is to drive this machine's agents unless somebody chose so. */
function hostsToListenOn({ host, token }: Settings): (string | undefined)[] {
  if (host === 'localhost' || (host === null && token === null)) return ['127.0.0.1', '::1'];
  return [host ?? undefined];
}

/** Clients fail where they offered and nothing was chosen. */
function fallbackSubprotocol({ subprotocols }: UpgradeRequest): string | null {
  return subprotocols.includes(SUBPROTOCOL) ? SUBPROTOCOL : null;
}

/** Between the accept and its handler. */
const IGNORE: ConnectionHandler = {
  onData() {},
  onEof() {},
  onDrain() {},
  onDeadline() {},
  onGone() {},
  onShutdown() {},
};
