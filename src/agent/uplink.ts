/**
 * The connection to the daemon. It registers the agent, sends its changes, opens the connections that the daemon asks
 * for, and reconnects for ever.
 *
 *   OFFLINE ──(connected)──▶ REGISTERING ──(registered)──▶ ONLINE
 *      ▲                          └──(refused, silent)──┐     │
 *      └──────(the reconnect waits, and connects)───────┴─────┘ (lost)
 *
 * The daemon is not trusted: its messages, or its silence, cost at most this connection.
 */
import type { Close } from '../frame/close.ts';
import type { DataOpcode } from '../frame/message.ts';
import { CloseCode, Opcode } from '../frame/vocabulary.ts';
import {
  type Attempt,
  attempt,
  type ConnectFailure,
  type ConnectSink,
  type ConnectTarget,
  connect,
  type Opened,
} from '../opening/connect.ts';
import { Reconnect } from '../opening/reconnect.ts';
import { connectTarget } from '../opening/target.ts';
import type { NodeDetails, Params, RegisterParams } from '../protocol/registry.ts';
import { SUBPROTOCOL, subprotocols } from '../protocol/subprotocol.ts';
import { backUrl, registryUrl } from '../protocol/url.ts';
import type { Connection } from '../transport/connection.ts';
import type { Connections } from '../transport/connections.ts';
import { Quota } from '../websocket/quota.ts';
import { WebSocketConnection, type WebSocketHandler, type WebSocketLimits } from '../websocket/websocket.ts';
import { encode, parseObject } from './json.ts';
import { difference } from './presence.ts';

const LIMITS: WebSocketLimits = {
  /** An older daemon sends the whole roster. */
  maxMessageBytes: 32 * 1024 * 1024,
  maxFragments: 4096,
  frameTimeoutMs: 60_000,
  pingIntervalMs: 25_000,
  closingTimeoutMs: 1000,
  maxPingsPerSecond: 100,
};

const CONNECT_TIMEOUT_MS = 10_000;
/** How long the daemon may take to answer the registration. */
const REGISTER_TIMEOUT_MS = 15_000;
/** The time between two updates. */
const UPDATE_INTERVAL_MS = 250;
/** The time between two questions for the number of agents. */
const PING_INTERVAL_MS = 30_000;
/** Larger messages are not parsed. Those for the agent are small, and parsing a roster would cost pi time. */
const MAX_READ_BYTES = 64 * 1024;
/** A peer that sends more is no registry, and is disconnected. */
const MAX_BYTES_PER_SECOND = 8 * 1024 * 1024;
const MAX_MESSAGES_PER_SECOND = 20_000;
const MAX_DIAL_BACKS_PER_SECOND = 64;
const LASTING_MS = 10_000;

export interface UplinkOptions {
  readonly url: string;
  readonly token: string | null;
  readonly connections: Connections;
  /** The environment, for the variables of an HTTP proxy. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Whether the agent offers to open connections to the daemon. */
  readonly dialsBack: boolean;
  /** The fields that never change during the session. */
  readonly identity: Omit<RegisterParams, keyof NodeDetails | 'dial_back'>;
  /** The fields that change. */
  readonly details: () => NodeDetails;
  readonly ages: () => { state_age: number; tool_age?: number };
}

export interface UplinkSink {
  onStatus(status: UplinkStatus): void;
  onRegistered(registration: Registration): void;
  /** Called with a connection that the daemon asked for. The daemon's own opening handshake follows on it. */
  onDialledBack(connection: Connection, rest: Buffer): void;
}

export interface Registration {
  /** Whether the daemon asks for connections instead of dialling. */
  readonly dialsBack: boolean;
  /** Whether the daemon is this package's, and not an older one. */
  readonly isOurs: boolean;
  /** The daemon's address, and this end's address on the way to it. */
  readonly remoteAddress: string;
  readonly localAddress: string;
}

export interface UplinkStatus {
  readonly state: 'offline' | 'registering' | 'online';
  /** The number of agents, including this one; null if unknown. */
  readonly agents: number | null;
  /** Why the agent is offline, in words. */
  readonly reason: string | null;
}

type State = 'offline' | 'registering' | 'online';

export class Uplink implements WebSocketHandler {
  readonly #options: UplinkOptions;
  readonly #sink: UplinkSink;
  readonly #targets: { bearer: ConnectTarget; query: ConnectTarget };
  /** Older daemons read the token only from the query, which logs may show. */
  #tokenInQuery = false;
  readonly #reconnect: Reconnect;
  #socket: WebSocketConnection | null = null;
  #isOurs = false;
  #state: State = 'offline';
  #agents: number | null = null;
  #reason: string | null = null;
  /** The details that the daemon has. */
  #told: NodeDetails = {};
  #updateDue = false;
  #updatedAt = 0;
  #pingedAt = 0;
  readonly #bytes: Quota;
  readonly #messages: Quota;
  readonly #dialBacks: Quota;

  /** @throws TypeError, with a sentence for the user, if the URL cannot be used */
  constructor(options: UplinkOptions, sink: UplinkSink) {
    const { url, token, environment, connections, firstDelayMs, maxDelayMs } = options;
    this.#options = options;
    this.#sink = sink;
    const now = connections.deadlines.now();
    this.#bytes = new Quota(MAX_BYTES_PER_SECOND, now, MAX_BYTES_PER_SECOND);
    this.#messages = new Quota(MAX_MESSAGES_PER_SECOND, now, MAX_MESSAGES_PER_SECOND);
    this.#dialBacks = new Quota(MAX_DIAL_BACKS_PER_SECOND, now, MAX_DIAL_BACKS_PER_SECOND);
    const offer = { subprotocols: subprotocols(null), environment };
    this.#targets = {
      bearer: connectTarget(registryUrl(url, null), { ...offer, token }),
      query: connectTarget(registryUrl(url, token), offer),
    };
    this.#reconnect = new Reconnect({
      deadlines: connections.deadlines,
      connect: (sink) => this.#connect(sink),
      onOpened: (opened) => this.#onOpened(opened),
      onFailed: (failure) => this.#onFailed(failure),
      firstDelayMs,
      maxDelayMs,
      lastingMs: LASTING_MS,
    });
  }

  get status(): UplinkStatus {
    return { state: this.#state, agents: this.#agents, reason: this.#reason };
  }

  start(): void {
    this.#reconnect.start();
  }

  /** Connects at once, without waiting for the end of the pause. */
  retryNow(): void {
    this.#reconnect.retryNow();
  }

  /**
   * Disconnects and does not reconnect.
   *
   * @param successor the id of the node of the next session, if there is one
   * @param returns true if the same node will be back in a moment, so that it stays in the roster
   */
  stop({ successor, returns = false }: { successor?: string; returns?: boolean }): void {
    this.#reconnect.stop();
    const socket = this.#socket;
    if (socket === null) return;
    if (this.#state === 'online' && !returns) {
      if (successor !== undefined && this.#isOurs) this.#request('update', 'goodbye', { successor });
      this.#request('deregister', 'goodbye', { id: this.#options.identity.id });
    }
    socket.close();
  }

  /** Sends the changed details to the daemon, now or after UPDATE_INTERVAL_MS. */
  update(): void {
    this.#updateDue = true;
    const socket = this.#socket;
    if (this.#state !== 'online' || !this.#isOurs || socket === null) return;
    const waitMs = this.#updatedAt + UPDATE_INTERVAL_MS - socket.connection.now;
    if (waitMs <= 0) this.#sendUpdate();
    else socket.setTimer(waitMs);
  }

  // The reconnect

  get #target(): ConnectTarget {
    return this.#tokenInQuery ? this.#targets.query : this.#targets.bearer;
  }

  #connect(sink: ConnectSink): Attempt {
    return attempt(() => connect(this.#target, this.#options.connections, CONNECT_TIMEOUT_MS, sink), sink);
  }

  #onFailed(failure: ConnectFailure): void {
    this.#setStatus('offline', describe(failure));
    if (failure.status !== 401 || this.#options.token === null) return;
    this.#tokenInQuery = !this.#tokenInQuery;
    if (this.#tokenInQuery) this.#reconnect.retryNow();
  }

  #onOpened({ connection, subprotocol, rest }: Opened): void {
    this.#isOurs = subprotocol === SUBPROTOCOL;
    const socket = new WebSocketConnection(connection, 'client', LIMITS, this);
    this.#socket = socket;
    this.#setStatus('registering', null);
    this.#told = this.#options.details();
    const { identity, dialsBack } = this.#options;
    const params: RegisterParams = { ...identity, ...this.#told, ...this.#options.ages() };
    if (dialsBack) params.dial_back = true;
    this.#request('register', 'register', params);
    socket.setTimer(REGISTER_TIMEOUT_MS);
    socket.start(rest);
  }

  // WebSocketHandler

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    if (opcode !== Opcode.TEXT || this.#isFlooded(payload.length) || payload.length > MAX_READ_BYTES) return;
    const message: Message | null = parseObject(payload.toString());
    if (message === null) return;
    switch (message.id) {
      case 'register':
        this.#onRegistered(message);
        break;
      case 'ping':
        this.#onPong(message.result);
        break;
      default:
        if (message.event === 'dial_back' && typeof message.ticket === 'string') this.#dialBack(message.ticket);
    }
  }

  onTimer(): void {
    const socket = this.#socket;
    if (socket === null) return;
    if (this.#state === 'registering') {
      this.#reason = 'it does not answer the registration';
      socket.destroy();
      return;
    }
    const { now } = socket.connection;
    if (this.#updateDue && this.#isOurs && now - this.#updatedAt >= UPDATE_INTERVAL_MS) this.#sendUpdate();
    if (now - this.#pingedAt >= PING_INTERVAL_MS) this.#ping();
    socket.setTimer(this.#updateDue && this.#isOurs ? UPDATE_INTERVAL_MS : PING_INTERVAL_MS);
  }

  onClosed({ closeCode, closeReason }: Close): void {
    this.#socket = null;
    this.#agents = null;
    this.#reconnect.lost();
    this.#setStatus('offline', this.#reason ?? whyClosed(closeCode, closeReason));
  }

  onShutdown(): void {
    this.#socket?.close(CloseCode.GOING_AWAY);
  }

  // Messages from the daemon

  #onRegistered({ result, error }: Message): void {
    const socket = this.#socket;
    if (this.#state !== 'registering' || socket === null) return;
    if (typeof error === 'string') {
      this.#reason = `it refused the registration: ${error.slice(0, 200)}`;
      socket.close();
      return;
    }
    const { dial_back } = asObject(result);
    this.#setStatus('online', null);
    const { remoteAddress, localAddress } = socket.connection;
    this.#sink.onRegistered({ dialsBack: dial_back === true, isOurs: this.#isOurs, remoteAddress, localAddress });
    this.#ping();
    socket.setTimer(UPDATE_INTERVAL_MS);
  }

  #onPong(result: unknown): void {
    const { nodes } = asObject(result);
    if (typeof nodes !== 'number' || !Number.isSafeInteger(nodes) || nodes === this.#agents) return;
    this.#agents = nodes;
    this.#sink.onStatus(this.status);
  }

  #dialBack(ticket: string): void {
    const { url, environment, connections, dialsBack } = this.#options;
    if (!dialsBack || !this.#dialBacks.take(connections.deadlines.now())) return;
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(ticket)) return;
    const target = connectTarget(backUrl(url, ticket), { environment });
    connect(target, connections, CONNECT_TIMEOUT_MS, {
      onOpened: ({ connection, rest }) => {
        if (this.#state === 'online') this.#sink.onDialledBack(connection, rest);
        else connection.destroy();
      },
      // The daemon asks again if it needs a connection.
      onFailed() {},
    });
  }

  // Messages to the daemon

  #sendUpdate(): void {
    const socket = this.#socket as WebSocketConnection;
    this.#updateDue = false;
    this.#updatedAt = socket.connection.now;
    const details = this.#options.details();
    const changes = difference(this.#told, details);
    this.#told = details;
    if (changes === null) return;
    const ages = this.#options.ages();
    if ('state' in changes) changes.state_age = ages.state_age;
    if (changes.tool != null && ages.tool_age !== undefined) changes.tool_age = ages.tool_age;
    this.#request('update', 'update', changes);
  }

  #ping(): void {
    this.#pingedAt = this.#socket?.connection.now ?? 0;
    this.#request('ping', 'ping', {});
  }

  #request<M extends 'register' | 'update' | 'deregister' | 'ping'>(method: M, id: string, params: Params<M>): void {
    this.#socket?.sendText(encode({ id, method, params }));
  }

  /** Counts the received messages, and disconnects a peer that sends more than a registry would. */
  #isFlooded(bytes: number): boolean {
    if (this.#socket === null) return true;
    const now = this.#options.connections.deadlines.now();
    // An older daemon sends its roster once, at the beginning.
    if (this.#messages.take(now) && (this.#state === 'registering' || this.#bytes.take(now, bytes))) return false;
    this.#reason = 'it sends more than a registry would';
    this.#socket.destroy();
    return true;
  }

  #setStatus(state: State, reason: string | null): void {
    this.#state = state;
    this.#sink.onStatus({ state, agents: this.#agents, reason });
    this.#reason = state === 'online' ? null : reason;
  }
}

interface Message {
  id?: unknown;
  event?: unknown;
  ticket?: unknown;
  result?: unknown;
  error?: unknown;
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function describe({ reason, status }: ConnectFailure): string {
  if (status === 401) return 'it refuses the token';
  if (status === 403) return 'it refuses this connection';
  return reason;
}

function whyClosed(closeCode: number, closeReason: string): string {
  if (closeCode === CloseCode.ABNORMAL) return 'the connection was lost';
  return closeReason === '' ? `it closed the connection (${closeCode})` : `it closed: ${closeReason.slice(0, 200)}`;
}
