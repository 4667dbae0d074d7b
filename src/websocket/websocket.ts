/**
 * A WebSocket on a connection, on either side: a `Session` that reads from and writes to a `Connection`, with time
 * limits.
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
 * In OPEN, a silent peer is pinged, and is dead after three intervals. A peer that does not read is not pinged, because
 * the ping would only join the queue. It is dead if the kernel has taken none of its bytes for three intervals. A frame
 * or a message must be whole in time, and pings have a quota. The handler gets the messages, the end, and a call when
 * everything written has left. It decides by `unsentBytes` what to do about a peer that reads too slowly.
 *
 * This room knows no roster, no options and no log. The caller passes the limits, and the handler gets all events.
 */
import type { Close } from '../frame/close.ts';
import type { DataOpcode, MessageLimits } from '../frame/message.ts';
import { Session, type SessionSink, SessionState } from '../frame/session.ts';
import { CloseCode, type Side } from '../frame/vocabulary.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import { keepalive } from '../transport/keepalive.ts';
import { Quota } from './quota.ts';

/** Times are in milliseconds. Infinity means no limit. */
export interface WebSocketLimits extends MessageLimits {
  /** After this much silence the peer is pinged. After three times as much it is dead. */
  pingIntervalMs: number;
  /** How long a frame or a fragmented message may take from its first byte to its last; then the peer gets 1008. */
  frameTimeoutMs: number;
  /** How long the peer may take to answer a close, and then again to end its side of the connection. */
  closingTimeoutMs: number;
  /** The pings that the peer may send per second; a burst may have twice as many. With more it gets 1008. */
  maxPingsPerSecond: number;
}

/** The user of a WebSocket. If one of its methods throws, the peer gets 1011 and the connection is closed. */
export interface WebSocketHandler {
  /**
   * Called with a whole message. The payload is valid only during the call, because its memory is reused. Messages that
   * are sent during the calls for one chunk of bytes leave in one write.
   */
  onMessage?(payload: Buffer, opcode: DataOpcode): void;
  /**
   * Called once, at the end. Nothing is called after it, and nothing can be sent any more.
   *
   * @param close the peer's close, or the close that this side sent; 1006 if the connection ended without one
   */
  onClosed?(close: Close): void;
  /**
   * Called after the messages of a chunk, if bytes that were sent meanwhile have to wait. `onDrain` follows. A handler
   * that only answers should pause here, so that a peer cannot ask for more than it reads.
   */
  onBlocked?(): void;
  /** Called when the kernel has taken everything, after some bytes had to wait: see `blocked`. */
  onDrain?(): void;
  /** Called when the time given to `setTimer` has passed. */
  onTimer?(): void;
  /** Called when a ping has been answered, so the peer has one more pong to read. */
  onPing?(): void;
  /** Called when the process is about to end. By default the WebSocket closes with 1001. */
  onShutdown?(): void;
}

const NO_PAYLOAD = Buffer.alloc(0);

export class WebSocketConnection implements ConnectionHandler, SessionSink {
  /** The connection, for its address, its clock, and `cork`. Its handler and its deadline belong to the WebSocket. */
  readonly connection: Connection;
  readonly #session: Session;
  readonly #limits: WebSocketLimits;
  readonly #handler: WebSocketHandler;
  /** Null until the first ping. */
  #pings: Quota | null = null;
  /** When the unfinished frame or message began, or when reading it was resumed; null between two messages. */
  #messageBegunAt: number | null = null;
  /** When the peer was last pinged, or would have been pinged if it read. */
  #askedAt = 0;
  /** When the handler's timer is due; null if it is not set. */
  #timerAt: number | null = null;
  #paused = false;
  /** True while a chunk is being parsed. */
  #reading = false;
  /** The bytes that were read and not yet parsed when `pause` was called. */
  #unparsed: Buffer | null = null;
  /** True if the peer's FIN has come after the unparsed bytes. */
  #endsBehind = false;

  /**
   * Takes over a connection after its opening handshake. Messages may be sent at once; none is received before `start`.
   *
   * @param side 'server' if the peer opened the WebSocket, 'client' if this side did
   */
  constructor(connection: Connection, side: Side, limits: WebSocketLimits, handler: WebSocketHandler) {
    this.connection = connection;
    this.#session = new Session(side, limits, connection, this);
    this.#limits = limits;
    this.#handler = handler;
    connection.handler = this;
  }

  /**
   * Starts to receive, and starts the time limits.
   *
   * @param rest the bytes after the peer's half of the opening handshake; messages in them are received during the call
   */
  start(rest: Buffer = NO_PAYLOAD): void {
    const { connection } = this;
    this.#setDeadline();
    if (!this.#paused) connection.resume();
    if (rest.length > 0) connection.deliver(rest);
    // If the connection had ended before, only its former handler was called.
    if (connection.gone) connection.dispatch('onGone');
  }

  /** True until either side has sent a close, or the connection has ended. Messages sent after that are dropped. */
  get isOpen(): boolean {
    return this.#session.state === SessionState.OPEN;
  }

  /** The number of sent bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.connection.unsentBytes;
  }

  /** True while the kernel has not taken everything that was sent. `onDrain` follows. */
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

  /** @param payload the message, which is copied; it must be UTF-8 if the opcode is TEXT */
  sendMessage(payload: Buffer, opcode: DataOpcode): void {
    if (!this.connection.gone) this.#session.sendMessage(payload, opcode);
  }

  /** @param frames whole messages, encoded for this side by `encodeText` or `encodeFrame`; they must not be changed */
  sendFrames(frames: Buffer): void {
    if (this.isOpen) this.connection.write(frames);
  }

  /**
   * Receives no more messages until `resume`, not even those in the same chunk. The peer is held up once the kernel's
   * buffers are full. It is not taken for dead meanwhile.
   */
  pause(): void {
    if (this.#paused || !this.isOpen) return;
    this.#paused = true;
    this.#session.stop();
    this.connection.pause();
  }

  /** Receives again. Messages that have already come are received during the call. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.connection.gone) return;
    this.connection.resume();
    // An unfinished message could not continue while paused, so its time limit starts again.
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
    // Only the peer's close is still needed.
    this.resume();
  }

  /** Sends a close with the reason, and does not wait for the peer's answer. @throws RangeError see `close` */
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
    // This is the end of a client: "the client SHOULD wait for the server to close the connection" (RFC 6455, section
    // 5.5.1).
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
    // Messages that came before the end are still received.
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
    this.#handler.onMessage?.(payload, opcode);
  }

  onPing(): void {
    const { now } = this.connection;
    this.#pings ??= new Quota(this.#limits.maxPingsPerSecond, now);
    if (this.#pings.take(now)) this.#handler.onPing?.();
    else this.fail(CloseCode.POLICY_VIOLATION, 'too many pings');
  }

  onClosed(close: Close): void {
    const { connection } = this;
    this.#paused = false;
    this.#unparsed = null;
    this.#handler.onClosed?.(close);
    if (connection.gone) return;
    if (close.closeCode === CloseCode.ABNORMAL && connection.unsentBytes === 0) {
      // The peer has ended and has received everything. If thousands leave at once, a FIN for each would cost time.
      connection.destroy();
      return;
    }
    connection.resume();
    if (this.#session.side === 'server' || close.closeCode === CloseCode.ABNORMAL) connection.end();
    connection.setDeadline(this.#limits.closingTimeoutMs);
  }

  /** Keeps bytes until `resume`, after those that are already kept. */
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

  /** When the unfinished frame or message began; null between two messages and while paused. */
  get #readingSince(): number | null {
    return this.#paused ? null : this.#messageBegunAt;
  }

  /** When the peer last gave a sign of life. */
  get #signOfLifeAt(): number {
    const { connection } = this;
    if (connection.blocked) return connection.blockedSince;
    // While paused, this side does not see whether the peer sends anything.
    return this.#paused ? connection.now : connection.aliveAt;
  }

  /** When the peer must be pinged, or is dead. */
  get #askAt(): number {
    return Math.max(this.#signOfLifeAt, this.#askedAt) + this.#limits.pingIntervalMs;
  }

  /** Sets the one deadline to the first moment at which something is due. */
  #setDeadline(): void {
    // The closing handshake has its own deadline.
    if (!this.isOpen) return;
    const begunAt = this.#readingSince;
    let dueAt = this.#askAt;
    if (begunAt !== null) dueAt = Math.min(dueAt, begunAt + this.#limits.frameTimeoutMs);
    if (this.#timerAt !== null) dueAt = Math.min(dueAt, this.#timerAt);
    this.connection.setDeadline(Math.max(0, dueAt - this.connection.now));
  }
}
