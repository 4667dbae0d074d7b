/**
 * A WebSocket on a connection, on either side: a `Session` that reads from and writes to a `Connection`, and keeps time.
 *
 *   Connection ─ chunks ─▶ Session ─ messages ─▶ handler
 *   Connection ◀ frames ── Session ◀── send ──── handler
 *
 *   OPEN ──close()──▶ CLOSING ──the peer's close──▶ CLOSED ──the peer's FIN──▶ gone
 *     │                  └──────closingTimeoutMs──────┼──────────────────────────▲
 *     │                                               └────closingTimeoutMs──────┤
 *     ├── the peer's close, answered; fail(); a protocol error ──▶ CLOSED ───────┤
 *     └── the peer's FIN without a close; a silent or stuck peer; destroy() ─────┘
 *
 * While it is OPEN a silent peer is pinged, and is dead after three intervals. A peer that does not take what is written to
 * it is not asked, because the ping would only join the queue: it is dead once the kernel has taken nothing for as long. A
 * frame or a message must be whole in time, and pings have a quota. The handler is told of messages, of the end, and when
 * all that was written is out. The handler decides, by `unsentBytes`, how to treat a peer that reads too slowly.
 *
 * It knows no roster, no options and no log: its limits are given, and everything it has to say goes to the handler.
 */
import type { Close } from '../frame/close.ts';
import type { DataOpcode, MessageLimits } from '../frame/message.ts';
import { Session, type SessionSink, SessionState } from '../frame/session.ts';
import { CloseCode, type Side } from '../frame/vocabulary.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import { keepalive } from '../transport/keepalive.ts';
import { PingQuota } from './ping-quota.ts';

/** All of them in milliseconds, unless the name says otherwise; Infinity is no limit. */
export interface WebSocketLimits extends MessageLimits {
  /** Silence after which the peer is pinged; after three times as long it is dead. */
  pingIntervalMs: number;
  /** How long a frame or a fragmented message may take from its first byte to its last. Else the peer gets 1008. */
  frameTimeoutMs: number;
  /** How long the peer may take to answer a close, and after that to end its side of the connection. */
  closingTimeoutMs: number;
  /** Pings that the peer may send a second; twice as many in a burst. Else it gets 1008. */
  maxPingsPerSecond: number;
}

/** The user of a WebSocket. If one of these throws, the peer gets 1011 and the connection is closed. */
export interface WebSocketHandler {
  /**
   * A whole message. The payload may be a view of memory that is used again: it is valid only during the call. Messages that
   * are sent during the call leave in one write, together with all others that the same chunk of bytes has caused.
   */
  onMessage(payload: Buffer, opcode: DataOpcode): void;
  /**
   * The end: nothing more comes and nothing can be sent. Called once, and nothing is called after it.
   *
   * @param close the peer's close, or the one that it was sent; 1006 if the connection ended without one
   */
  onClosed(close: Close): void;
  /**
   * The messages of a chunk have been received, and some of what was sent meanwhile has to wait; `onDrain` follows. A handler
   * that only answers pauses here, so that no more is asked than is read.
   */
  onBlocked?(): void;
  /** All that was written has gone to the kernel, after some of it had to wait: see `blocked`. */
  onDrain?(): void;
  /** The time that `setTimer` was given has passed. */
  onTimer?(): void;
  /** A ping has come and has been answered: a pong more that the peer has to read. */
  onPing?(): void;
  /** The process is about to end. The default closes with 1001. */
  onShutdown?(): void;
}

const NO_PAYLOAD = Buffer.alloc(0);

export class WebSocketConnection implements ConnectionHandler, SessionSink {
  /** For its address, its clock, and to `cork` it. Its handler and its deadline belong to the WebSocket. */
  readonly connection: Connection;
  readonly #session: Session;
  readonly #limits: WebSocketLimits;
  readonly #handler: WebSocketHandler;
  /** Null until the first ping. */
  #pings: PingQuota | null = null;
  /** When the frame or message began that is not whole yet, or when we went on reading it; null between two messages. */
  #messageBegunAt: number | null = null;
  /** When the peer was pinged last, or would have been if it had read. */
  #askedAt = 0;
  /** When the handler's timer is due; null if it is not set. */
  #timerAt: number | null = null;
  #paused = false;
  /** A chunk is being parsed. */
  #reading = false;
  /** Bytes that were read and not parsed when `pause` was called. */
  #unparsed: Buffer | null = null;
  /** The peer's FIN has come behind it. */
  #endsBehind = false;

  /**
   * Takes over a connection whose opening handshake is done. Messages may be sent at once; none is received before `start`.
   *
   * @param side 'server' if the peer opened the WebSocket, 'client' if we did
   */
  constructor(connection: Connection, side: Side, limits: WebSocketLimits, handler: WebSocketHandler) {
    this.connection = connection;
    this.#session = new Session(side, limits, connection, this);
    this.#limits = limits;
    this.#handler = handler;
    connection.handler = this;
  }

  /**
   * Begins to receive, and to keep time.
   *
   * @param rest bytes behind the peer's half of the opening handshake; messages in them are received during the call
   */
  start(rest: Buffer = NO_PAYLOAD): void {
    const { connection } = this;
    this.#setDeadline();
    if (!this.#paused) connection.resume();
    if (rest.length > 0) connection.deliver(rest);
    // It ended before we took it over, and told only its former handler.
    if (connection.gone) connection.dispatch('onGone');
  }

  /** True until either side has sent a close, or the connection has ended. Messages sent after that are dropped. */
  get isOpen(): boolean {
    return this.#session.state === SessionState.OPEN;
  }

  /** Bytes that were sent and that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.connection.unsentBytes;
  }

  /** True while the kernel has not taken all that was sent; `onDrain` follows. */
  get blocked(): boolean {
    return this.connection.blocked;
  }

  /** True between `pause` and `resume`. */
  get paused(): boolean {
    return this.#paused;
  }

  sendText(text: string): void {
    if (!this.connection.gone) this.#session.sendText(text);
  }

  /** @param payload is copied; UTF-8 if the opcode is TEXT */
  sendMessage(payload: Buffer, opcode: DataOpcode): void {
    if (!this.connection.gone) this.#session.sendMessage(payload, opcode);
  }

  /** @param frames whole messages as `encodeText` or `encodeFrame` made them for this side; not changed any more */
  sendFrames(frames: Buffer): void {
    if (this.isOpen) this.connection.write(frames);
  }

  /**
   * Receives no more messages until `resume`, not even those that came in the same chunk. The peer feels it once the
   * kernel's buffers are full. It is not taken for dead meanwhile.
   */
  pause(): void {
    if (this.#paused || !this.isOpen) return;
    this.#paused = true;
    this.#session.stop();
    this.connection.pause();
  }

  /** Receives again; messages that have come already are received during the call. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.connection.gone) return;
    this.connection.resume();
    // A message that has begun could not go on meanwhile.
    if (this.#messageBegunAt !== null) this.#messageBegunAt = this.connection.now;
    this.#setDeadline();
    if (!this.#reading) this.#parseRest();
  }

  /**
   * Begins the closing handshake. Messages that still come are dropped.
   *
   * @throws RangeError for a code that may not be sent, or a reason over 123 bytes of UTF-8
   */
  close(closeCode: number = CloseCode.NORMAL, closeReason = ''): void {
    if (!this.isOpen) return;
    this.#session.sendClose(closeCode, closeReason);
    this.connection.setDeadline(this.#limits.closingTimeoutMs);
    // All that is left to receive is the peer's close.
    this.resume();
  }

  /** Tells the peer why, and does not wait for its answer. @throws RangeError as `close` */
  fail(closeCode: number, closeReason: string): void {
    this.#session.fail(closeCode, closeReason);
  }

  /** Closes the connection at once, without a close frame. Bytes that the kernel has not taken are lost. */
  destroy(): void {
    this.connection.destroy();
  }

  /** Sets, or moves, the handler's one timer. It is dropped when the WebSocket closes. */
  setTimer(delayMs: number): void {
    this.#timerAt = this.connection.now + delayMs;
    this.#setDeadline();
  }

  clearTimer(): void {
    this.#timerAt = null;
  }

  // ConnectionHandler

  onData(chunk: Buffer): void {
    if (this.#paused) {
      this.#keep(chunk);
      return;
    }
    const { connection } = this;
    const corked = connection.cork();
    this.#reading = true;
    try {
      let rest = this.#session.receive(chunk);
      while (rest !== null && (!this.#paused || connection.gone)) rest = this.#session.receive(rest);
      if (rest !== null) this.#keep(rest);
    } finally {
      this.#reading = false;
      if (corked) connection.uncork();
    }
    if (connection.blocked && this.#session.state !== SessionState.CLOSED) this.#handler.onBlocked?.();
    if (this.#endsBehind && this.#unparsed === null) this.#session.receiveEof();
    if (this.#session.atBoundary) {
      this.#messageBegunAt = null;
    } else if (this.#messageBegunAt === null) {
      this.#messageBegunAt = connection.now;
      this.#setDeadline();
    }
  }

  onEof(): void {
    // A client waits for this: "the client SHOULD wait for the server to close the connection" (RFC 6455, section 5.5.1).
    if (this.#session.state === SessionState.CLOSED) this.connection.end();
    else if (this.#unparsed !== null) this.#endsBehind = true;
    else this.#session.receiveEof();
  }

  onDrain(): void {
    if (this.#session.state !== SessionState.CLOSED) this.#handler.onDrain?.();
  }

  onDeadline(): void {
    const { connection } = this;
    if (!this.isOpen) {
      // The peer did not answer the close, or did not end its side.
      connection.destroy();
      return;
    }
    connection.lookForProgress();
    const { now } = connection;
    if (this.#timerAt !== null && now >= this.#timerAt) {
      this.#timerAt = null;
      this.#handler.onTimer?.();
      if (!this.isOpen) return;
    }
    const { frameTimeoutMs, pingIntervalMs } = this.#limits;
    const begunAt = this.#readingSince;
    if (begunAt !== null && now - begunAt >= frameTimeoutMs) {
      this.fail(CloseCode.POLICY_VIOLATION, 'message took too long');
      return;
    }
    if (now >= this.#askAt) {
      if (keepalive(now - this.#signOfLifeAt, pingIntervalMs).action === 'dead') {
        connection.destroy();
        return;
      }
      this.#askedAt = now;
      if (!connection.blocked) this.#session.sendPing(NO_PAYLOAD);
    }
    this.#setDeadline();
  }

  onGone(): void {
    // Messages that came before the end are received all the same.
    this.#paused = false;
    this.#parseRest();
    this.#session.receiveEof();
  }

  onShutdown(): void {
    if (this.#handler.onShutdown === undefined) this.close(CloseCode.GOING_AWAY);
    else if (this.#session.state !== SessionState.CLOSED) this.#handler.onShutdown();
  }

  onFault(): void {
    this.#session.fail(CloseCode.INTERNAL_ERROR, 'internal error');
  }

  // SessionSink

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    // Any unfinished frame after this message started in this chunk, so restart its timer.
    this.#messageBegunAt = null;
    this.#handler.onMessage(payload, opcode);
  }

  onPing(): void {
    const { now } = this.connection;
    this.#pings ??= new PingQuota(this.#limits.maxPingsPerSecond, now);
    if (this.#pings.take(now)) this.#handler.onPing?.();
    else this.fail(CloseCode.POLICY_VIOLATION, 'too many pings');
  }

  onClosed(close: Close): void {
    const { connection } = this;
    this.#paused = false;
    this.#unparsed = null;
    this.#handler.onClosed(close);
    if (connection.gone) return;
    if (close.closeCode === CloseCode.ABNORMAL && connection.unsentBytes === 0) {
      // The peer has ended, and has all that was for it. If thousands leave at once, a FIN for each costs time.
      connection.destroy();
      return;
    }
    connection.resume();
    if (this.#session.side === 'server' || close.closeCode === CloseCode.ABNORMAL) connection.end();
    connection.setDeadline(this.#limits.closingTimeoutMs);
  }

  /** Keeps bytes until `resume`, behind those that are kept already. */
  #keep(bytes: Buffer): void {
    this.connection.keepChunk();
    this.#unparsed = this.#unparsed === null ? bytes : Buffer.concat([this.#unparsed, bytes]);
  }

  #parseRest(): void {
    const rest = this.#unparsed;
    if (rest === null) return;
    this.#unparsed = null;
    this.connection.deliver(rest);
  }

  /** When the frame or message began that we are reading and the peer has not finished. */
  get #readingSince(): number | null {
    return this.#paused ? null : this.#messageBegunAt;
  }

  /** When the peer last showed that it lives. */
  get #signOfLifeAt(): number {
    const { connection } = this;
    if (connection.blocked) return connection.blockedSince;
    // It may have spoken while we do not listen.
    return this.#paused ? connection.now : connection.aliveAt;
  }

  /** When the peer is to be pinged, or found dead. */
  get #askAt(): number {
    return Math.max(this.#signOfLifeAt, this.#askedAt) + this.#limits.pingIntervalMs;
  }

  /** Sets the one deadline to the first moment at which something is due. */
  #setDeadline(): void {
    // The closing handshake has set its own.
    if (!this.isOpen) return;
    const begunAt = this.#readingSince;
    let dueAt = this.#askAt;
    if (begunAt !== null) dueAt = Math.min(dueAt, begunAt + this.#limits.frameTimeoutMs);
    if (this.#timerAt !== null) dueAt = Math.min(dueAt, this.#timerAt);
    this.connection.setDeadline(Math.max(0, dueAt - this.connection.now));
  }
}
