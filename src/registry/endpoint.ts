/**
 * One connection to the registry: an agent, a dashboard, or both.
 *
 *   connection ─ chunks ─▶ Session ─ messages ─▶ requests ─▶ Roster, Host ─ answers ─▶ Session ─▶ connection
 *                                                   Roster ─ pushes ────────────────────────────▶ connection
 *
 * It is greeted with the roster at once, or, where that is large and no browser asks, on its first message: an agent
 * that comes back among ten thousand registers first and needs no roster.
 */
import type { Close } from '../frame/close.ts';
import type { DataOpcode, MessageLimits } from '../frame/message.ts';
import { Session, type SessionSink, SessionState, type WriteBuffer } from '../frame/session.ts';
import { CloseCode, Opcode } from '../frame/vocabulary.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import { keepalive } from '../transport/keepalive.ts';
import type { Subscriber, Subscription } from './broadcast.ts';
import { readNodeInfo } from './node-info.ts';
import type { Roster } from './roster.ts';
import { encodeError, encodeResult, parseRequest, type Request, type RequestId, RpcError } from './rpc.ts';

const NO_PAYLOAD = Buffer.alloc(0);

/** A chunk can hold thousands of requests, each for the whole roster. After so many the others have their turn. */
const MAX_REQUESTS_A_TURN = 128;

export interface EndpointLimits extends MessageLimits {
  /** A roster larger than this, in bytes, waits for the first message of a connection that is no browser's. */
  eagerInitBytes: number;
  /** How long it waits, in milliseconds. */
  initDelayMs: number;
  pingIntervalMs: number;
  /** How long a frame or a fragmented message may take from its first byte to its last. */
  frameTimeoutMs: number;
  closingTimeoutMs: number;
  /** How long a subscriber over its budget may go on without reading. */
  laggardTimeoutMs: number;
  /** Pings a second; twice as many in a burst. */
  maxPingsPerSecond: number;
  /** Requests of one connection that wait for this machine's disk. */
  maxConcurrentRequests: number;
  /** Past this many bytes of answers not read, further requests wait. */
  maxUnreadBytes: number;
}

/** What a caller may have done on this machine. Rejects with RpcError, whose sentence the caller is told. */
export interface Host {
  listDirectories(params: Record<string, unknown>): Promise<unknown>;
  spawnAgent(params: Record<string, unknown>): Promise<unknown>;
}

/** What all endpoints share. */
export interface EndpointContext {
  roster: Roster;
  host: Host;
  limits: EndpointLimits;
  version: string;
  /** A fault of our own; the caller is told `Internal error`. */
  onFault: (error: unknown) => void;
  /** A subscriber that did not read was closed. */
  onLaggard: () => void;
}

export class RegistryEndpoint implements ConnectionHandler, SessionSink, WriteBuffer, Subscriber {
  readonly #connection: Connection;
  readonly #context: EndpointContext;
  readonly #session: Session;
  #greeted = false;
  /** The roster was due, and what came until then is being read. */
  #rosterDue = false;
  #subscription: Subscription | null = null;
  /** What came while too many answers were unread, in order. */
  #waiting: string[] = [];
  /** What has been served, and written, in this turn of the event loop. */
  #turnRequests = 0;
  #turnBytes = 0;
  #awaitsTurn = false;
  #inFlight = 0;
  /** When the frame or message began that is not whole yet, or when we went on reading it. */
  #owedSince: number | null = null;
  #laggingSince: number | null = null;
  #pingAllowance: number;
  #pingedAt = 0;

  /**
   * Takes the connection over once its 101 is written.
   *
   * @param fromBrowser the request carried an Origin
   * @param rest bytes that came behind the request
   */
  constructor(connection: Connection, context: EndpointContext, fromBrowser: boolean, rest: Buffer) {
    this.#connection = connection;
    this.#context = context;
    this.#session = new Session('server', context.limits, this, this);
    this.#pingAllowance = 2 * context.limits.maxPingsPerSecond;
    connection.handler = this;
    if (fromBrowser || context.roster.initBytes <= context.limits.eagerInitBytes) this.#greet();
    else connection.setDeadline(context.limits.initDelayMs);
    if (rest.length > 0) this.onData(rest);
  }

  // ConnectionHandler

  onData(chunk: Buffer): void {
    this.#beginTurn();
    this.#session.receive(chunk);
    if (!this.#session.owed) {
      this.#owedSince = null;
    } else if (this.#owedSince === null) {
      this.#owedSince = this.#connection.now;
      // Before the greeting the deadline is near, and sees to this too.
      if (this.#greeted) this.#awaitDeadline();
    }
  }

  onEof(): void {
    this.#session.receiveEof();
  }

  onDrain(): void {
    this.#beginTurn();
    if (this.#subscription !== null) {
      this.#laggingSince = null;
      this.#context.roster.drained(this.#subscription);
    }
    this.#serveWaiting();
  }

  onDeadline(): void {
    if (this.#session.state !== SessionState.OPEN) {
      // The peer did not finish the closing handshake, or did not close its end.
      this.#connection.destroy();
      return;
    }
    if (!this.#greeted && !this.#rosterDue) {
      this.#rosterDue = true;
      // Where thousands come at once, its register may be here and wait to be read.
      setImmediate(() => {
        if (this.#mayGreet) this.#connection.onDeadline();
      });
      return;
    }
    this.#greet();
    const { frameTimeoutMs, laggardTimeoutMs, pingIntervalMs } = this.#context.limits;
    const now = this.#connection.now;
    if (this.#readingSince !== null && now - this.#readingSince >= frameTimeoutMs) {
      this.#session.fail(CloseCode.POLICY_VIOLATION, 'message took too long');
      return;
    }
    if (this.#idleSince !== null && now - this.#idleSince >= laggardTimeoutMs) {
      this.#context.onLaggard();
      this.#session.fail(CloseCode.TRY_AGAIN_LATER, 'too far behind');
      return;
    }
    const due = keepalive(now - this.#connection.aliveAt, pingIntervalMs);
    if (due.action === 'dead') {
      this.#connection.destroy();
      return;
    }
    // A blocked connection shows by draining that it is alive; a ping would only join the queue.
    if (due.action === 'ping' && !this.#connection.blocked) this.#session.sendPing(NO_PAYLOAD);
    this.#awaitDeadline(due.nextMs);
  }

  onGone(): void {
    this.#session.receiveEof();
  }

  onShutdown(): void {
    // "The application MUST NOT send any more data frames after sending a Close frame." (RFC 6455, section 5.5.1)
    this.#unsubscribe();
    this.#waiting = [];
    // All that is left to read is the peer's close.
    this.#connection.resume();
    this.#session.sendClose(CloseCode.GOING_AWAY, 'hypivisor is shutting down');
    this.#connection.setDeadline(this.#context.limits.closingTimeoutMs);
  }

  // SessionSink, WriteBuffer, Subscriber

  write(bytes: Buffer): void {
    this.#turnBytes += bytes.length;
    this.#connection.write(bytes);
  }

  bufferFor(length: number): Buffer | null {
    return this.#connection.bufferFor(length);
  }

  get offset(): number {
    return this.#connection.offset;
  }

  advance(length: number): void {
    this.#turnBytes += length;
    this.#connection.advance(length);
  }

  onLagging(): void {
    this.#laggingSince = this.#connection.now;
    this.#awaitDeadline();
  }

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    // What is owed behind it has begun in this very chunk.
    this.#owedSince = null;
    if (opcode === Opcode.BINARY) {
      this.#greet();
      return;
    }
    const text = payload.toString();
    if (this.#waiting.length === 0 && !this.#mustWait()) {
      this.#serve(text);
    } else {
      this.#waiting.push(text);
      this.#stopReading();
    }
  }

  onPing(): void {
    const { maxPingsPerSecond } = this.#context.limits;
    const now = this.#connection.now;
    const regained = ((now - this.#pingedAt) * maxPingsPerSecond) / 1000;
    this.#pingAllowance = Math.min(2 * maxPingsPerSecond, this.#pingAllowance + regained) - 1;
    this.#pingedAt = now;
    if (this.#pingAllowance < 0) this.#session.fail(CloseCode.POLICY_VIOLATION, 'too many pings');
    else if (this.#congested()) this.#stopReading();
  }

  onClosed({ closeCode }: Close): void {
    this.#unsubscribe();
    // What it said before its end is done, and not answered.
    for (const text of this.#waiting.splice(0)) this.#serve(text);
    this.#context.roster.disconnect(this);
    if (this.#connection.gone) return;
    if (closeCode === CloseCode.ABNORMAL && this.#connection.unsentBytes === 0) {
      // The peer has ended, and has all that was for it: where thousands leave at once, a FIN of its own for each costs time.
      this.#connection.destroy();
      return;
    }
    this.#connection.resume();
    this.#connection.end();
    this.#connection.setDeadline(this.#context.limits.closingTimeoutMs);
  }

  // Requests

  #serve(text: string): void {
    this.#turnRequests++;
    let id: RequestId | undefined;
    try {
      const request = parseRequest(text);
      id = request.id;
      // Its answer must not come before the roster; who registers has an empty one.
      if (request.method !== 'register') this.#greet();
      this.#perform(request);
    } catch (error) {
      this.#greet();
      this.#refuse(id, error);
    }
  }

  /** @throws RpcError what the caller is told */
  #perform(request: Request): void {
    const { roster, host } = this.#context;
    switch (request.method) {
      case 'register':
        this.#register(request);
        break;
      case 'deregister':
        this.#deregister(request);
        break;
      case 'list_nodes':
        this.#answer(request.id, roster.nodesJson);
        break;
      case 'ping':
        this.#answer(request.id, this.#health());
        break;
      case 'list_directories':
        this.#ask(request.id, () => host.listDirectories(request.params ?? {}));
        break;
      case 'spawn_agent':
        this.#spawnAgent(request);
        break;
      default:
        throw new RpcError(`Method not found: ${request.method}`);
    }
  }

  #register({ id, params }: Request): void {
    this.#context.roster.register(this, readNodeInfo(params), this.#connection.remoteAddress);
    // Who registers needs no roster, from now on and for good.
    this.#unsubscribe();
    if (this.#mayGreet) {
      this.#setGreeted();
      this.write(this.#context.roster.emptyInit);
    }
    this.#answer(id, '{"status":"registered"}');
  }

  #deregister({ id, params }: Request): void {
    const nodeId = params?.id;
    if (typeof nodeId !== 'string') throw new RpcError('Missing params.id');
    this.#answer(id, JSON.stringify({ status: this.#context.roster.deregister(this, nodeId) }));
  }

  #health(): string {
    const { roster, version } = this.#context;
    return JSON.stringify({ status: 'healthy', nodes: roster.size, version });
  }

  #spawnAgent({ id, params }: Request): void {
    if (params === undefined) throw new RpcError('Missing params');
    this.#ask(id, () => this.#context.host.spawnAgent(params));
  }

  /** What must wait for the disk holds up nothing that came after it. */
  #ask(id: RequestId | undefined, ask: () => Promise<unknown>): void {
    if (this.#inFlight === this.#context.limits.maxConcurrentRequests) {
      throw new RpcError(`Too many requests at once: ${this.#inFlight}`);
    }
    void this.#answerLater(id, ask);
  }

  async #answerLater(id: RequestId | undefined, ask: () => Promise<unknown>): Promise<void> {
    this.#inFlight++;
    try {
      this.#answer(id, JSON.stringify(await ask()));
    } catch (error) {
      this.#refuse(id, error);
    } finally {
      this.#inFlight--;
    }
  }

  #answer(id: RequestId | undefined, result: string): void {
    this.#session.sendText(encodeResult(id, result));
  }

  #refuse(id: RequestId | undefined, error: unknown): void {
    if (error instanceof RpcError) {
      this.#session.sendText(encodeError(id ?? error.id, error.message));
    } else {
      this.#context.onFault(error);
      this.#session.sendText(encodeError(id, 'Internal error'));
    }
  }

  #congested(): boolean {
    return this.#connection.unsentBytes > this.#context.limits.maxUnreadBytes;
  }

  /** Too much is unread, or this turn has done its share. */
  #mustWait(): boolean {
    const { maxUnreadBytes } = this.#context.limits;
    return this.#turnRequests >= MAX_REQUESTS_A_TURN || this.#turnBytes > maxUnreadBytes || this.#congested();
  }

  #beginTurn(): void {
    this.#turnRequests = 0;
    this.#turnBytes = 0;
  }

  #stopReading(): void {
    if (this.#connection.paused) return;
    this.#connection.pause();
    // The answers in hand are written after this chunk. Where the kernel takes them all at once, nothing will drain.
    this.#serveNextTurn();
  }

  #serveNextTurn(): void {
    if (this.#awaitsTurn) return;
    this.#awaitsTurn = true;
    setImmediate(() => {
      this.#awaitsTurn = false;
      this.#beginTurn();
      this.#serveWaiting();
    });
  }

  #serveWaiting(): void {
    let served = 0;
    while (served < this.#waiting.length && !this.#mustWait()) this.#serve(this.#waiting[served++] as string);
    this.#waiting.splice(0, served);
    if (!this.#connection.paused || this.#congested()) return;
    if (this.#waiting.length > 0) {
      this.#serveNextTurn();
      return;
    }
    this.#connection.resume();
    // It could not go on while we did not read.
    if (this.#owedSince !== null) this.#owedSince = this.#connection.now;
    this.#awaitDeadline();
  }

  // Deadlines

  /** When the frame or message began that we are reading and the peer has not finished. */
  get #readingSince(): number | null {
    return this.#connection.paused ? null : this.#owedSince;
  }

  /** Since when a subscriber over its budget has taken nothing of what was written to it. */
  get #idleSince(): number | null {
    return this.#laggingSince === null ? null : Math.max(this.#laggingSince, this.#connection.blockedSince);
  }

  /**
   * Sets the one deadline to the first moment at which something is due.
   *
   * @param keepaliveMs when the keepalive is; an interval from now where the peer has just given a sign of life
   */
  #awaitDeadline(keepaliveMs = this.#context.limits.pingIntervalMs): void {
    // The closing handshake has set its own.
    if (this.#session.state !== SessionState.OPEN) return;
    const { frameTimeoutMs, laggardTimeoutMs } = this.#context.limits;
    const now = this.#connection.now;
    let dueMs = keepaliveMs;
    if (this.#readingSince !== null) dueMs = Math.min(dueMs, this.#readingSince + frameTimeoutMs - now);
    if (this.#idleSince !== null) dueMs = Math.min(dueMs, this.#idleSince + laggardTimeoutMs - now);
    this.#connection.setDeadline(Math.max(0, dueMs));
  }

  // The roster

  /** It has not been, and nothing may follow a close frame. */
  get #mayGreet(): boolean {
    return !this.#greeted && this.#session.state === SessionState.OPEN;
  }

  #greet(): void {
    if (!this.#mayGreet) return;
    this.#setGreeted();
    this.#subscription = this.#context.roster.subscribe(this.#connection, this);
  }

  #setGreeted(): void {
    this.#greeted = true;
    this.#awaitDeadline();
  }

  #unsubscribe(): void {
    if (this.#subscription === null) return;
    this.#context.roster.unsubscribe(this.#subscription);
    this.#subscription = null;
    this.#laggingSince = null;
  }
}
