/**
 * One WebSocket connection after its opening handshake, as either side, knowing no socket: chunks in; bytes, messages
 * and the end out.
 *
 *            close() sent                 peer's close
 *   OPEN ───────────────────▶ CLOSING ───────────────────▶ CLOSED
 *     │                                                      ▲
 *     └── peer's close (answered), a protocol error, or EOF ─┘
 *
 * The session alone owns the closing handshake. It keeps no time: whoever holds it bounds the wait for the peer's
 * close.
 */
import type { Close } from './close.ts';
import { type Allocator, encodeCloseFrame, encodeFrame, encodeText } from './encode.ts';
import { type DataOpcode, MessageAssembler, type MessageLimits, type MessageSink } from './message.ts';
import { FrameParser } from './parser.ts';
import { CloseCode, Opcode, ProtocolError, type Side } from './vocabulary.ts';

export const SessionState = { OPEN: 'open', CLOSING: 'closing', CLOSED: 'closed' } as const;
export type SessionState = (typeof SessionState)[keyof typeof SessionState];

export interface SessionSink {
  /** Bytes for the peer. */
  write(bytes: Buffer): void;
  /** A whole message; the payload is valid only during the call. Not called once we have sent a close. */
  onMessage(payload: Buffer, opcode: DataOpcode): void;
  /** A ping came and its pong has been written. */
  onPing?(payload: Buffer): void;
  onPong?(payload: Buffer): void;
  /**
   * The session is CLOSED; called once. "The server MUST close the underlying TCP connection immediately; the client
   * SHOULD wait for the server to close the connection" (5.5.1).
   *
   * @param close what the peer said, or what we failed with; 1006 where the connection just ended
   */
  onClosed(close: Close): void;
}

export class Session implements MessageSink {
  readonly side: Side;
  readonly #sink: SessionSink;
  readonly #assembler: MessageAssembler;
  readonly #parser: FrameParser;
  readonly #allocator: Allocator | undefined;
  #state: SessionState = SessionState.OPEN;

  /** @param allocator where frames are put together that the sink is then given; left out, each is a Buffer of its own */
  constructor(side: Side, limits: MessageLimits, sink: SessionSink, allocator?: Allocator) {
    this.side = side;
    this.#sink = sink;
    this.#allocator = allocator;
    this.#assembler = new MessageAssembler(limits, this);
    this.#parser = new FrameParser(side, this.#assembler);
  }

  get state(): SessionState {
    return this.#state;
  }

  /** True while a frame or a fragmented message has begun and not ended: the peer owes bytes. */
  get owed(): boolean {
    return !this.#parser.atBoundary || this.#assembler.midMessage;
  }

  /**
   * Bytes from the peer; masked payload in them is unmasked in place. Ignored once CLOSED. What breaks the protocol
   * fails the connection and is not thrown, also where the sink found it. Anything else the sink throws fails it with
   * 1011 and is thrown on: the rest of the chunk is lost, so there is no going on.
   */
  receive(chunk: Buffer): void {
    try {
      this.#parser.push(chunk);
    } catch (error) {
      if (error instanceof ProtocolError) {
        this.fail(error.closeCode, error.message);
        return;
      }
      this.fail(CloseCode.INTERNAL_ERROR, 'internal error');
      throw error;
    }
  }

  /** The peer's bytes have ended. */
  receiveEof(): void {
    this.#finish({ closeCode: CloseCode.ABNORMAL, closeReason: '' });
  }

  // "The application MUST NOT send any more data frames after sending a Close frame." (5.5.1) What comes later is
  // dropped.

  sendText(text: string): void {
    if (this.#state === SessionState.OPEN) this.#sink.write(encodeText(this.side, text, this.#allocator));
  }

  /** @param payload is copied; UTF-8 where the opcode is TEXT */
  sendMessage(payload: Buffer, opcode: DataOpcode): void {
    if (this.#state === SessionState.OPEN) this.#sendFrame(opcode, payload);
  }

  /** @throws RangeError for a payload over 125 bytes */
  sendPing(payload: Buffer): void {
    if (this.#state === SessionState.OPEN) this.#sendFrame(Opcode.PING, payload);
  }

  /** Begins the closing handshake. @throws RangeError for a code that may not be sent or a reason over 123 bytes */
  sendClose(closeCode: number, closeReason = ''): void {
    if (this.#state !== SessionState.OPEN) return;
    const frame = encodeCloseFrame(this.side, closeCode, closeReason, this.#allocator);
    // Before the write, for the sink may learn in it that the connection is gone and end the session.
    this.#state = SessionState.CLOSING;
    this.#sink.write(frame);
  }

  /** "_Fail the WebSocket Connection_" (7.1.7): tells the peer why, if it has not been told yet, and is CLOSED. */
  fail(closeCode: number, closeReason: string): void {
    this.sendClose(closeCode, closeReason);
    this.#finish({ closeCode, closeReason });
  }

  // From the assembler.

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    if (this.#state === SessionState.OPEN) this.#sink.onMessage(payload, opcode);
  }

  onPing(payload: Buffer): void {
    // "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already received a Close
    // frame." (5.5.2) We also stay silent once we have sent one, for nothing may follow it.
    if (this.#state !== SessionState.OPEN) return;
    this.#sendFrame(Opcode.PONG, payload);
    this.#sink.onPing?.(payload);
  }

  onPong(payload: Buffer): void {
    this.#sink.onPong?.(payload);
  }

  onClose(close: Close): void {
    // "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send a Close
    // frame in response. … it typically echos the status code it received." (5.5.1)
    this.sendClose(close.closeCode);
    this.#finish(close);
  }

  #sendFrame(opcode: Opcode, payload: Buffer): void {
    this.#sink.write(encodeFrame(this.side, opcode, payload, true, this.#allocator));
  }

  #finish(close: Close): void {
    if (this.#state === SessionState.CLOSED) return;
    this.#state = SessionState.CLOSED;
    this.#parser.stop();
    this.#sink.onClosed(close);
  }
}
