/**
 * One connection to the registry: an agent, a dashboard, or both.
 *
 *   WebSocket ─ messages ─▶ methods ─▶ Roster, Machine ─ answers ─▶ WebSocket
 *                                      Roster ─ pushes ───────────▶ its connection
 *
 * The first message that a peer gets is the roster. Browsers get it at once. Other peers get a large roster with the
 * answer to their first message, or after a while: if ten thousand agents reconnect, each registers first, and none
 * needs the roster.
 */
import type { DataOpcode } from '../frame/message.ts';
import { CloseCode, Opcode } from '../frame/vocabulary.ts';
import type { MachineEvent } from '../protocol/hub.ts';
import { type DialBack, Feature, type SpawnEnded } from '../protocol/registry.ts';
import type { Connection } from '../transport/connection.ts';
import { WebSocketConnection, type WebSocketHandler, type WebSocketLimits } from '../websocket/websocket.ts';
import type { Subscriber, Subscription } from './broadcast.ts';
import { MachineFeed } from './machine-feed.ts';
import { type Caller, HUB_METHODS, METHODS, type MethodContext, SLOW_METHODS } from './methods.ts';
import type { Roster } from './roster.ts';
import { encodeError, encodeResult, parseRequest, type Request, type RequestId, RpcError } from './rpc.ts';

/**
 * The most requests of one connection that are served before other connections have their turn. A chunk can hold
 * thousands of requests, each for the whole roster.
 */
const MAX_REQUESTS_A_TURN = 128;

/**
 * A message of a hub may change ten thousand nodes, and be short. If a hub's messages of one turn take longer than this, in
 * milliseconds, it is not read for a few times as long, so that others are served however much it says.
 */
const MAX_HUB_TURN_MS = 5;
const REST_FACTOR = 3;
const MAX_REST_MS = 1000;

/**
 * Whether the first `init` has been sent.
 *
 *   WAITING ──(initDelayMs)──▶ DUE ──(one more turn of the event loop)──▶ SENT
 *      └────────(the first message, or no need to wait)─────────────────────▲
 */
const FirstInit = { WAITING: 0, DUE: 1, SENT: 2 } as const;
type FirstInit = (typeof FirstInit)[keyof typeof FirstInit];

export interface EndpointLimits extends WebSocketLimits {
  /** A roster larger than this, in bytes, is sent to a program only after its first message. */
  eagerInitBytes: number;
  /** How long such a roster waits for that message, in milliseconds. */
  initDelayMs: number;
  /** How long a subscriber over its budget may go without reading, in milliseconds. */
  laggardTimeoutMs: number;
  /** The most requests of one connection that wait for this machine's disk. */
  maxConcurrentRequests: number;
  /** If more bytes of answers than this are unread, further requests wait. */
  maxUnreadBytes: number;
}

/** Shared by all endpoints. */
export interface EndpointContext extends MethodContext {
  roster: Roster;
  limits: EndpointLimits;
  /** Called with a fault of the daemon's own. The caller's answer is `Internal error`. */
  onFault: (error: unknown) => void;
  /** Called when a subscriber was closed because it did not read. */
  onLaggard: () => void;
}

export class RegistryEndpoint implements WebSocketHandler, Subscriber, Caller {
  readonly #webSocket: WebSocketConnection;
  readonly #context: EndpointContext;
  #firstInit: FirstInit = FirstInit.WAITING;
  #subscription: Subscription | null = null;
  /** When the backlog was dropped; null unless a fresh `init` is due. */
  #laggingSince: number | null = null;
  /** Requests served, and characters of answers sent, since other connections had their turn. */
  #turnRequests = 0;
  #turnLength = 0;
  #awaitsTurn = false;
  /** How long the messages of a hub have taken since then, in milliseconds. */
  #turnMs = 0;
  #rests = false;
  /** The number of requests that wait for this machine. */
  #inFlight = 0;
  #hearsOfSpawns = false;
  /** It has joined as a hub. */
  #isHub = false;
  /** What it is to be told of machines once it reads again; null unless it subscribed. */
  #machines: MachineFeed | null = null;

  /**
   * Takes over a connection whose 101 has been written.
   *
   * @param fromBrowser whether the request had an Origin
   * @param rest the bytes that came after the request
   */
  constructor(connection: Connection, context: EndpointContext, fromBrowser: boolean, rest: Buffer) {
    this.#context = context;
    this.#webSocket = new WebSocketConnection(connection, 'server', context.limits, this);
    if (fromBrowser || context.roster.initBytes <= context.limits.eagerInitBytes) this.#sendInit();
    else this.#webSocket.setTimer(context.limits.initDelayMs);
    this.#webSocket.start(rest);
  }

  // WebSocketHandler, Subscriber

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    if (opcode === Opcode.BINARY) {
      this.#sendInit();
      return;
    }
    if (this.#isHub) this.#serveHub(payload.toString());
    else this.#serve(payload.toString());
    if (this.#hasDoneItsShare || this.#congested) this.#yield();
  }

  onPing(): void {
    if (this.#congested) this.#yield();
  }

  onDrain(): void {
    if (this.#subscription !== null) {
      this.#noteProgress();
      this.#context.roster.drained(this.#subscription);
    }
    this.#sendMachines();
    if (!this.#awaitsTurn) this.#goOn();
  }

  onTimer(): void {
    if (this.#rests) {
      this.#rests = false;
      if (!this.#awaitsTurn) this.#goOn();
    } else if (this.#laggingSince !== null) {
      this.#closeLaggard(this.#laggingSince);
    } else if (this.#firstInit === FirstInit.WAITING) {
      // If thousands connect at once, this peer's `register` may have arrived and not been read yet.
      this.#firstInit = FirstInit.DUE;
      this.#webSocket.setTimer(0);
    } else {
      this.#sendInit();
    }
  }

  onShutdown(): void {
    this.#unsubscribe();
    this.#webSocket.close(CloseCode.GOING_AWAY, 'hypivisor is shutting down');
  }

  onClosed(): void {
    this.#unsubscribe();
    this.#context.roster.disconnect(this);
    if (this.#isHub || this.#machines !== null) this.#context.hubs.leave(this);
  }

  onLagging(): void {
    this.#laggingSince = this.#webSocket.connection.now;
    this.#webSocket.setTimer(this.#context.limits.laggardTimeoutMs);
  }

  // Requests

  #serve(text: string): void {
    this.#turnRequests++;
    let id: RequestId | undefined;
    try {
      const request = parseRequest(text);
      id = request.id;
      // The roster must come before the answer. An agent that registers gets an empty roster.
      if (request.method !== 'register' && request.method !== 'join') this.#sendInit();
      this.#perform(request);
    } catch (error) {
      this.#sendInit();
      this.#refuse(id, error);
    }
  }

  /** @throws RpcError with the sentence for the caller */
  #perform({ id, method, params }: Request): void {
    if (this.#isHub && !HUB_METHODS.has(method)) throw new RpcError('A hub that has joined may not ask for that');
    const ask = params?.machine === undefined ? null : this.#context.hubs.elsewhere(method, params, this);
    if (ask !== null) {
      this.#answerLater(id, ask);
      return;
    }
    const serve = METHODS.get(method);
    const serveLater = SLOW_METHODS.get(method);
    if (serve !== undefined) this.#answer(id, serve(this.#context, this, params));
    else if (serveLater !== undefined) this.#answerLater(id, () => serveLater(this.#context.machine, this, params));
    else throw new RpcError(`Method not found: ${method}`);
  }

  /** Serves a request that has to wait, without holding up later requests. */
  #answerLater(id: RequestId | undefined, serve: () => Promise<unknown>): void {
    const { maxConcurrentRequests } = this.#context.limits;
    if (this.#inFlight === maxConcurrentRequests) throw new RpcError(`Too many requests at once: ${this.#inFlight}`);
    const serving = serve();
    this.#inFlight++;
    serving
      .then((result) => this.#answer(id, JSON.stringify(result)))
      .catch((error: unknown) => this.#refuse(id, error))
      .finally(() => this.#inFlight--);
  }

  #answer(id: RequestId | undefined, result: string): void {
    this.#send(encodeResult(id, result));
  }

  #refuse(id: RequestId | undefined, error: unknown): void {
    if (error instanceof RpcError) {
      this.#send(encodeError(id ?? error.id, error.message));
    } else {
      this.#context.onFault(error);
      this.#send(encodeError(id, 'Internal error'));
    }
  }

  #send(text: string): void {
    this.#turnLength += text.length;
    this.#webSocket.sendText(text);
  }

  // Caller

  get remoteAddress(): string {
    return this.#webSocket.connection.remoteAddress;
  }

  onRegistered(): void {
    // An agent never needs the roster.
    this.#unsubscribe();
    if (!this.#maySendInit) return;
    this.#noteInitSent();
    this.#webSocket.sendFrames(this.#context.roster.emptyInit);
  }

  onSubscribe(feature: Feature): boolean {
    switch (feature) {
      case Feature.UPDATES:
        // Agents get no news of other nodes.
        if (this.#subscription === null) return false;
        this.#context.roster.sendUpdates(this.#subscription);
        return true;
      case Feature.SPAWNS:
        this.#hearsOfSpawns = true;
        return true;
      case Feature.MACHINES:
        this.#machines ??= new MachineFeed();
        this.#context.hubs.watch(this);
        return true;
    }
  }

  askBack(ticket: string): void {
    const push: DialBack = { event: 'dial_back', ticket };
    this.#webSocket.sendText(JSON.stringify(push));
  }

  onSpawnEnded(ended: SpawnEnded): void {
    if (this.#hearsOfSpawns) this.#webSocket.sendText(JSON.stringify(ended));
  }

  onJoined(): void {
    this.#isHub = true;
    // It shares its own roster, and needs no other.
    this.onRegistered();
  }

  dismiss(reason: string): void {
    this.#webSocket.close(CloseCode.POLICY_VIOLATION, reason);
  }

  onMachine(event: MachineEvent, text: string): void {
    if (this.#machines?.isEmpty && !this.isCongested) this.#webSocket.sendText(text);
    else this.#machines?.keep(event);
  }

  push(text: string): void {
    this.#webSocket.sendText(text);
  }

  get isCongested(): boolean {
    return this.#congested;
  }

  #sendMachines(): void {
    if (this.#machines === null || this.#machines.isEmpty || this.#congested) return;
    for (const event of this.#machines.take()) this.#webSocket.sendText(JSON.stringify(event));
  }

  // Turns

  get #hasDoneItsShare(): boolean {
    return this.#turnRequests >= MAX_REQUESTS_A_TURN || this.#turnLength > this.#context.limits.maxUnreadBytes;
  }

  /** Whether too many bytes of answers are unread. */
  get #congested(): boolean {
    return this.#webSocket.unsentBytes > this.#context.limits.maxUnreadBytes;
  }

  /** Stops serving until other connections have had their turn and the peer has read enough of its answers. */
  #yield(): void {
    this.#webSocket.pause();
    if (this.#awaitsTurn) return;
    this.#awaitsTurn = true;
    // The pending answers are written before this callback. If the kernel takes all of them, `onDrain` is not called.
    setImmediate(() => {
      this.#awaitsTurn = false;
      this.#goOn();
    });
  }

  #goOn(): void {
    this.#turnRequests = 0;
    this.#turnLength = 0;
    this.#turnMs = 0;
    // If it is still congested, `onDrain` continues.
    if (!this.#congested && !this.#rests) this.#webSocket.resume();
  }

  /** Only hubs are timed: nobody else pays for the clock. */
  #serveHub(text: string): void {
    const began = performance.now();
    this.#serve(text);
    this.#turnMs += performance.now() - began;
    if (this.#turnMs > MAX_HUB_TURN_MS) this.#rest();
  }

  /** A hub has no roster to wait for, so the timer is free. */
  #rest(): void {
    if (!this.#webSocket.isOpen) return;
    this.#rests = true;
    this.#webSocket.pause();
    this.#webSocket.setTimer(Math.min(this.#turnMs * REST_FACTOR, MAX_REST_MS));
  }

  // The roster

  /** Whether an `init` is due and allowed: nothing may follow a close frame. */
  get #maySendInit(): boolean {
    return this.#firstInit !== FirstInit.SENT && this.#webSocket.isOpen;
  }

  #sendInit(): void {
    if (!this.#maySendInit) return;
    this.#noteInitSent();
    this.#subscription = this.#context.roster.subscribe(this.#webSocket.connection, this);
  }

  #noteInitSent(): void {
    this.#firstInit = FirstInit.SENT;
    this.#webSocket.clearTimer();
  }

  #unsubscribe(): void {
    if (this.#subscription === null) return;
    this.#context.roster.unsubscribe(this.#subscription);
    this.#subscription = null;
    this.#noteProgress();
  }

  #noteProgress(): void {
    if (this.#laggingSince === null) return;
    this.#laggingSince = null;
    this.#webSocket.clearTimer();
  }

  #closeLaggard(laggingSince: number): void {
    const { connection } = this.#webSocket;
    connection.lookForProgress();
    const { now, blockedSince } = connection;
    // The peer is not closed while it takes some of the bytes written to it.
    const idleMs = now - Math.max(laggingSince, blockedSince);
    const { laggardTimeoutMs } = this.#context.limits;
    if (idleMs < laggardTimeoutMs) {
      this.#webSocket.setTimer(laggardTimeoutMs - idleMs);
      return;
    }
    this.#context.onLaggard();
    this.#webSocket.fail(CloseCode.TRY_AGAIN_LATER, 'too far behind');
  }
}
