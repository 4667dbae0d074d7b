/**
 * The link to a hub above: connects as a client, joins, shares the roster, opens the connections that the hub asks for,
 * carries out its requests on this machine, and reconnects for ever.
 *
 *   CONNECTING ──(connected)──▶ JOINING ──(joined)──▶ JOINED
 *     ▲     ▲                      │                    │
 *     │     └──(after a pause)─────┼────────(lost)──────┘
 *     └──(after a pause)── REFUSED ◀──(the hub says no: a loop, a wrong token, one that is too old)
 *
 * The hub above is not trusted beyond the features that it was given: any other message can at most end the link.
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
import {
  HUB_LIMITS,
  HUB_REQUEST_METHODS,
  HubFeature,
  type HubRequestMethod,
  type JoinParams,
  type RespondParams,
  type SharedMachine,
  type UpperHub,
} from '../protocol/hub.ts';
import type { SpawnEnded } from '../protocol/registry.ts';
import { subprotocols } from '../protocol/subprotocol.ts';
import { backUrl, registryUrl } from '../protocol/url.ts';
import { RpcError } from '../registry/rpc.ts';
import { fieldsOf } from '../registry/values.ts';
import type { Connection } from '../transport/connection.ts';
import type { Connections } from '../transport/connections.ts';
import { Deadline } from '../transport/deadlines.ts';
import { Quota } from '../websocket/quota.ts';
import { WebSocketConnection, type WebSocketHandler, type WebSocketLimits } from '../websocket/websocket.ts';
import { Share, type SharedRoster, type SharePosition } from './share.ts';

const LIMITS: WebSocketLimits = {
  /** A hub that cannot be joined, because it is too old, may send its whole roster before it says so. */
  maxMessageBytes: 32 * 1024 * 1024,
  maxFragments: 4096,
  frameTimeoutMs: 60_000,
  /** A laptop that wakes up in another network should be back within half a minute. */
  pingIntervalMs: 10_000,
  closingTimeoutMs: 1000,
  maxPingsPerSecond: 100,
};

const CONNECT_TIMEOUT_MS = 10_000;
/** How long the hub may take to answer the join, and any share. */
const ANSWER_TIMEOUT_MS = 15_000;
const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 60_000;
const LASTING_MS = 10_000;

/** The time between two messages with changes. */
const SHARE_INTERVAL_MS = 50;
/** How often the link looks whether the numbers of a machine are due. */
const MACHINES_INTERVAL_MS = 5000;
/** With more unsent bytes, changes wait. Several changes of a node are then sent as one. */
const MAX_UNSENT_BYTES = 1024 * 1024;
/** With so many messages not answered they wait too. */
const MAX_UNANSWERED = 16;
/** A hub that refuses so many snapshots in a row does not understand us. */
const MAX_REFUSED_SNAPSHOTS = 5;

/** A server that sends more than this is no hub, and the link to it is ended. */
const MAX_BYTES_PER_SECOND = 8 * 1024 * 1024;
const MAX_MESSAGES_PER_SECOND = 2000;
/** A page that turns to all agents at once opens hundreds of relays in a second. */
const MAX_DIAL_BACKS_PER_SECOND = 1000;
/** Messages for this hub are small: a request from another client, passed on, is at most this long. */
const MAX_READ_BYTES = 1024 * 1024;
/** Requests of the hub that wait for this machine. */
const MAX_REQUESTS = 16;
/** A longer answer is no use to the hub, which would close a connection that sent it. */
const MAX_ANSWER_BYTES = 512 * 1024;
/** A hub with so many unread bytes of answers does not read. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024;
/** Connections for the hub that are being opened, or wait for a relay. */
const MAX_WAITING_BACKS = 32;

/** The caller of a request from a hub above. */
export interface Asker {
  /** The hub's IP address. */
  readonly remoteAddress: string;
  /** An agent that was started for it has ended. */
  readonly onSpawnEnded: (ended: SpawnEnded) => void;
}

export interface LinkOptions {
  /** The URL of the hub above: `ws:`, `wss:`, `http:` or `https:`. */
  readonly url: string;
  readonly token: string | null;
  /** Certificates in PEM to trust instead of Node's own; null for Node's. */
  readonly ca: string | null;
  /** The rights of the hub above. */
  readonly features: readonly HubFeature[];
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly version: string;
  /** Random, one for each run. */
  readonly epoch: string;
  /** The environment, for the proxy's variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly connections: Connections;
  readonly roster: SharedRoster;
  /** @returns the URL by which another link has joined that hub; null if there is none */
  readonly joinedBy: (upperId: string) => string | null;
  /** The ids of all hubs below this one. */
  readonly below: () => readonly string[];
  /** This machine, and all below. */
  readonly machines: () => SharedMachine[];
  /** Does something on this machine, or on one below that `params.machine` names. Rejects with RpcError. */
  readonly perform: (method: HubRequestMethod, params: Record<string, unknown>, asker: Asker) => Promise<unknown>;
}

export interface LinkSink {
  onStatus(status: UpperHub): void;
  /**
   * A connection that the hub asked for: it serves a relay of the hub as if it had been accepted here.
   *
   * @param onUsed to be called once a request has come on it
   */
  onDialledBack(connection: Connection, rest: Buffer, onUsed: () => void): void;
}

type State = 'waiting' | 'joining' | 'joined';

export class Link implements WebSocketHandler {
  readonly #options: LinkOptions;
  readonly #sink: LinkSink;
  readonly #target: ConnectTarget;
  /** The id of the hub that answered last. */
  #upperId: string | null = null;
  /** The URL for people: without token, user and password. */
  readonly #shownUrl: string;
  readonly #share: Share;
  readonly #reconnect: Reconnect;
  readonly #flush = new Deadline({ onDeadline: () => this.#onFlushDue() });
  #socket: WebSocketConnection | null = null;
  #state: State = 'waiting';
  #status: UpperHub;
  /** Why this side ends the connection; null if the other side does. */
  #reason: { status: 'connecting' | 'refused'; reason: string } | null = null;
  #flushesNext = false;
  #flushedAt = 0;
  #unanswered = 0;
  #refusedSnapshots = 0;
  #requests = 0;
  readonly #backs = new Set<Connection | Attempt>();
  readonly #bytes: Quota;
  readonly #messages: Quota;
  readonly #dialBacks: Quota;

  /** @throws TypeError, with a sentence for the user, if the URL or that of the proxy cannot be used */
  constructor(options: LinkOptions, sink: LinkSink) {
    const { url, token, ca, environment, connections, epoch, id, features, machines } = options;
    this.#options = options;
    this.#sink = sink;
    const now = connections.deadlines.now();
    this.#bytes = new Quota(MAX_BYTES_PER_SECOND, now, MAX_BYTES_PER_SECOND);
    this.#messages = new Quota(MAX_MESSAGES_PER_SECOND, now, MAX_MESSAGES_PER_SECOND);
    this.#dialBacks = new Quota(MAX_DIAL_BACKS_PER_SECOND, now, MAX_DIAL_BACKS_PER_SECOND);
    const tls = ca === null ? {} : { ca };
    this.#target = connectTarget(registryUrl(url, null), {
      ...tls,
      token,
      subprotocols: subprotocols(null),
      environment,
    });
    this.#shownUrl = registryUrl(url, null);
    const roster = features.includes(HubFeature.ROSTER) ? options.roster : null;
    const told = (it: SharedMachine) => (it.id === id ? { ...it, features: [...features] } : it);
    this.#share = new Share({ epoch, ownId: id, roster, machines: () => machines().map(told) });
    this.#status = { url: this.#shownUrl, status: 'connecting', since: seconds() };
    this.#reconnect = new Reconnect({
      deadlines: connections.deadlines,
      connect: (connectSink) => this.#connect(connectSink),
      onOpened: (opened) => this.#onOpened(opened),
      onFailed: (failure) => this.#onFailed(failure),
      firstDelayMs: FIRST_DELAY_MS,
      maxDelayMs: MAX_DELAY_MS,
      lastingMs: LASTING_MS,
    });
  }

  get status(): UpperHub {
    return this.#status;
  }

  /** Whether it has joined the hub with that id. */
  hasJoined(upperId: string): boolean {
    return this.#state === 'joined' && this.#upperId === upperId;
  }

  /** Whether this node is shared with the hub above now. */
  shares(nodeId: string): boolean {
    return this.#state === 'joined' && this.#share.shares(nodeId);
  }

  start(): void {
    this.#reconnect.start();
  }

  /** Leaves, and comes back no more. */
  stop(): void {
    this.#reconnect.stop();
    this.#options.connections.deadlines.clear(this.#flush);
    for (const back of this.#backs) drop(back);
    this.#backs.clear();
    this.#socket?.close();
  }

  /** A node of the roster is new, has changed, or is no more. */
  noteNode(id: string): void {
    this.#share.note(id);
    this.#flushSoon();
  }

  /** A machine below is new, has changed, or is no more. */
  noteMachines(): void {
    this.#flushSoon();
  }

  // The reconnect

  #connect(sink: ConnectSink): Attempt {
    const { connections, joinedBy } = this.#options;
    return attempt(() => {
      // Two links to one hub would take each other's place there, again and again.
      const url = this.#upperId === null ? null : joinedBy(this.#upperId);
      if (url !== null) throw new Error(`it is the hub that is joined already: ${url}`);
      return connect(this.#target, connections, CONNECT_TIMEOUT_MS, sink);
    }, sink);
  }

  #onFailed({ reason, code, status }: ConnectFailure): void {
    if (status === 401) this.#setStatus('refused', 'it refuses the token');
    else if (status === 403) this.#setStatus('refused', 'it refuses this connection');
    else if (status !== null) this.#setStatus('refused', `no hypivisor is there: ${reason}`);
    else this.#setStatus('connecting', code === null ? reason : `${reason} (${code})`);
  }

  #onOpened({ connection, rest }: Opened): void {
    const { id, key, name, version, features, below } = this.#options;
    const socket = new WebSocketConnection(connection, 'client', LIMITS, this);
    this.#socket = socket;
    this.#state = 'joining';
    this.#reason = null;
    this.#unanswered = 0;
    this.#refusedSnapshots = 0;
    const params: JoinParams = {
      id,
      key,
      name,
      version,
      features: [...features],
      // The hub above would refuse more. The paths of nodes show any loop through a hub that is left out.
      below: [...below()].slice(0, HUB_LIMITS.below),
      now: seconds(),
    };
    this.#request('join', 'join', JSON.stringify(params));
    socket.setTimer(ANSWER_TIMEOUT_MS);
    socket.start(rest);
  }

  // WebSocketHandler

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    if (opcode !== Opcode.TEXT || this.#isFlooded(payload.length) || payload.length > MAX_READ_BYTES) return;
    const message = parse(payload.toString());
    if (message === null) return;
    if (message.event === 'dial_back') this.#dialBack(message.ticket);
    else if (message.event === 'request') this.#serve(message);
    else if (message.id === 'join') this.#onJoinAnswered(message);
    else if (typeof message.id === 'number') this.#onShareAnswered(message.id, message);
  }

  onTimer(): void {
    if (this.#state === 'joining') this.#giveUp('it does not answer');
    else if (this.#unanswered > 0) this.#giveUp('it does not answer what is shared with it');
  }

  onDrain(): void {
    this.#flushSoon();
  }

  onClosed({ closeCode, closeReason }: Close): void {
    this.#socket = null;
    this.#state = 'waiting';
    this.#options.connections.deadlines.clear(this.#flush);
    this.#reconnect.lost();
    const { status, reason } = this.#reason ?? { status: 'connecting', reason: whyClosed(closeCode, closeReason) };
    this.#setStatus(status, reason);
  }

  onShutdown(): void {
    this.#reconnect.stop();
    this.#socket?.close(CloseCode.GOING_AWAY);
  }

  #onJoinAnswered({ result, error }: Message): void {
    const socket = this.#socket;
    if (this.#state !== 'joining' || socket === null) return;
    const { status, id, name, epoch, seq } = fieldsOf(result);
    if (typeof error === 'string') {
      this.#refused(error.startsWith('Method not found') ? 'it is too old to be joined' : shorten(error));
      return;
    }
    if (status !== 'joined' || typeof id !== 'string' || typeof name !== 'string') {
      this.#refused('it gives no answer that we understand');
      return;
    }
    const held: SharePosition | null = typeof epoch === 'string' && isCount(seq) ? { epoch, seq } : null;
    this.#state = 'joined';
    this.#upperId = id;
    socket.clearTimer();
    this.#share.begin(id, held);
    this.#setStatus('joined', null, shorten(name));
    this.#flushNow();
  }

  #onShareAnswered(seq: number, { error }: Message): void {
    const socket = this.#socket;
    // An answer to no request would start a new snapshot.
    if (socket === null || this.#unanswered === 0) return;
    this.#unanswered--;
    if (this.#unanswered === 0) socket.clearTimer();
    else socket.setTimer(ANSWER_TIMEOUT_MS);
    if (typeof error !== 'string') {
      this.#refusedSnapshots = 0;
    } else if (this.#share.outOfStep(seq) && ++this.#refusedSnapshots > MAX_REFUSED_SNAPSHOTS) {
      this.#giveUp(`it refuses what is shared with it: ${shorten(error)}`);
      return;
    }
    this.#flushSoon();
  }

  // Requests from the hub above

  #serve({ request_id, method, params }: Message): void {
    const socket = this.#socket;
    if (socket === null || this.#state !== 'joined' || typeof request_id !== 'string' || request_id.length > 64) return;
    const answer = (response: Omit<RespondParams, 'request_id'>) => {
      if (this.#socket === socket) this.#respond({ request_id, ...response });
    };
    const { features, name, perform } = this.#options;
    const known = HUB_REQUEST_METHODS.find((it) => it === method);
    if (known === undefined) {
      answer({ error: `Method not found: ${typeof method === 'string' ? shorten(method) : typeof method}` });
    } else if (!features.includes(HubFeature.SPAWN)) {
      answer({ error: `Machine ${name} does not let other hubs see its folders or start agents (--join-only)` });
    } else if (this.#requests >= MAX_REQUESTS) {
      answer({ error: `Too many requests at once: ${this.#requests}` });
    } else {
      this.#requests++;
      const { remoteAddress } = socket.connection;
      perform(known, fieldsOf(params), { remoteAddress, onSpawnEnded: (push) => answer({ push }) })
        .then(
          (result) => answer({ result }),
          (error: unknown) => {
            if (!(error instanceof RpcError)) this.#options.connections.onFault(error);
            answer({ error: error instanceof RpcError ? error.message : 'Internal error' });
          },
        )
        .finally(() => this.#requests--);
    }
  }

  #dialBack(ticket: unknown): void {
    const { url, ca, environment, connections, features } = this.#options;
    if (this.#state !== 'joined' || !features.includes(HubFeature.RELAY)) return;
    if (typeof ticket !== 'string' || !/^[A-Za-z0-9_-]{1,128}$/.test(ticket)) return;
    if (!this.#dialBacks.take(connections.deadlines.now()) || !connections.hasRoom()) return;
    for (const back of this.#backs) if ('gone' in back && back.gone) this.#backs.delete(back);
    // The hub waits for the newest connection; it may have forgotten older ones.
    const [oldest] = this.#backs;
    if (this.#backs.size >= MAX_WAITING_BACKS && oldest !== undefined) {
      this.#backs.delete(oldest);
      drop(oldest);
    }
    const tls = ca === null ? {} : { ca };
    const target = connectTarget(backUrl(url, ticket), { ...tls, environment });
    const dial: Attempt = connect(target, connections, CONNECT_TIMEOUT_MS, {
      onOpened: ({ connection, rest }) => {
        this.#backs.delete(dial);
        if (this.#state !== 'joined') {
          connection.destroy();
          return;
        }
        this.#backs.add(connection);
        this.#sink.onDialledBack(connection, rest, () => this.#backs.delete(connection));
      },
      // The hub asks again if it wants one.
      onFailed: () => this.#backs.delete(dial),
    });
    this.#backs.add(dial);
  }

  // Messages to the hub above

  #respond(params: RespondParams): void {
    const json = JSON.stringify(params);
    if (Buffer.byteLength(json) <= MAX_ANSWER_BYTES) {
      this.#request('respond', 'respond', json);
    } else if (params.push === undefined) {
      const { request_id } = params;
      this.#respond({ request_id, error: 'The answer is too long to be passed on' });
    }
  }

  /** @param params as JSON */
  #request(method: 'join' | 'share' | 'respond', id: string | number, params: string): void {
    const socket = this.#socket;
    if (socket === null) return;
    socket.sendText(`{"id":${JSON.stringify(id)},"method":"${method}","params":${params}}`);
    if (socket.unsentBytes > MAX_UNREAD_BYTES) this.#giveUp('it does not read what it asks for');
  }

  /** Sends changes at the end of this turn, or when the time since the last flush is over. Several become one. */
  #flushSoon(): void {
    if (this.#state !== 'joined' || this.#flushesNext) return;
    const { deadlines } = this.#options.connections;
    const waitMs = this.#flushedAt + SHARE_INTERVAL_MS - deadlines.now();
    if (waitMs > 0) {
      deadlines.set(this.#flush, waitMs);
      return;
    }
    this.#flushesNext = true;
    setImmediate(() => this.#flushNow());
  }

  #onFlushDue(): void {
    this.#flushNow();
  }

  #flushNow(): void {
    this.#flushesNext = false;
    const socket = this.#socket;
    if (this.#state !== 'joined' || socket === null) return;
    const { deadlines } = this.#options.connections;
    this.#flushedAt = deadlines.now();
    while (socket.isOpen && socket.unsentBytes <= MAX_UNSENT_BYTES && this.#unanswered < MAX_UNANSWERED) {
      const params = this.#share.next({ unixSeconds: seconds(), steadyMs: deadlines.now() });
      if (params === null) break;
      if (this.#unanswered++ === 0) socket.setTimer(ANSWER_TIMEOUT_MS);
      this.#request('share', this.#share.seq, params);
    }
    deadlines.set(this.#flush, MACHINES_INTERVAL_MS);
  }

  // The end of a connection

  #refused(reason: string): void {
    this.#reason = { status: 'refused', reason };
    this.#socket?.close();
  }

  #giveUp(reason: string): void {
    this.#reason = { status: 'connecting', reason };
    this.#socket?.destroy();
  }

  /** Counts messages and bytes, and hangs up if they are more than a hub would send. */
  #isFlooded(bytes: number): boolean {
    if (this.#socket === null) return true;
    const now = this.#options.connections.deadlines.now();
    // The roster of a hub that knows no join comes once, at the beginning.
    if (this.#messages.take(now) && (this.#state === 'joining' || this.#bytes.take(now, bytes))) return false;
    this.#giveUp('it sends more than a hub would');
    return true;
  }

  #setStatus(status: UpperHub['status'], reason: string | null, name = this.#status.name): void {
    const before = this.#status;
    const since = before.status === status ? before.since : seconds();
    this.#status = { url: this.#shownUrl, status, since };
    if (name !== undefined) this.#status.name = name;
    if (reason !== null) this.#status.reason = reason;
    if (before.status !== status || before.reason !== this.#status.reason) this.#sink.onStatus(this.#status);
  }
}

interface Message {
  id?: unknown;
  event?: unknown;
  ticket?: unknown;
  result?: unknown;
  error?: unknown;
  request_id?: unknown;
  method?: unknown;
  params?: unknown;
}

function parse(text: string): Message | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Turns text of the hub above into one short line for people. */
function shorten(text: string): string {
  const line = text.slice(0, 201).replace(/[\p{C}\u2028\u2029]/gu, ' ');
  return line.length <= 200 ? line : `${line.slice(0, 199)}…`;
}

function drop(back: Connection | Attempt): void {
  if ('cancel' in back) back.cancel();
  else back.destroy();
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}

function whyClosed(closeCode: number, closeReason: string): string {
  if (closeCode === CloseCode.ABNORMAL) return 'the connection was lost';
  return closeReason === '' ? `it closed the connection (${closeCode})` : `it closed: ${shorten(closeReason)}`;
}
