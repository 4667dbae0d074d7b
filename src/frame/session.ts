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
import { type Close, encodeClose } from './close.ts';
import { encodeFrame, encodeText, frameLength, putFrame, putText } from './encode.ts';
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

/** Where frames can be put together one behind the other, so that none needs a Buffer of its own. */
export interface WriteBuffer {
  /** Where the next bytes go in the buffer. */
  readonly offset: number;
  /** @returns the buffer, with room for so many bytes from `offset` on; null where there is none now */
  bufferFor(length: number): Buffer | null;
  /** So many bytes have been put there; they are written, as if the sink had been given them. */
  advance(length: number): void;
}

/** What a session is read with. Between two messages it knows nothing of them. */
class Reader {
  readonly side: Side;
  readonly limits: MessageLimits;
  readonly assembler: MessageAssembler;
  readonly parser: FrameParser;

  constructor(side: Side, limits: MessageLimits, sink: MessageSink) {
    this.side = side;
    this.limits = limits;
    this.assembler = new MessageAssembler(limits, sink);
    this.parser = new FrameParser(side, this.assembler);
  }

  /** True while a frame or a fragmented message has begun and not ended. */
  get busy(): boolean {
    return !this.parser.atBoundary || this.assembler.midMessage;
  }
}

/**
 * One chunk is read at a time, mostly to its end and that of its last message: so one reader serves nearly all sessions. It
 * keeps the last of them alive until it reads for another.
 */
let spare: Reader | null = null;

function takeReader(side: Side, limits: MessageLimits, sink: MessageSink): Reader {
  if (spare === null || spare.side !== side || spare.limits !== limits) return new Reader(side, limits, sink);
  const reader = spare;
  spare = null;
  reader.assembler.sink = sink;
  return reader;
}

export class Session implements MessageSink {
  readonly side: Side;
  readonly #limits: MessageLimits;
  readonly #sink: SessionSink;
  /** While a chunk is read, and as long as the next must be read with the same; an idle session has none. */
  #reader: Reader | null = null;
  readonly #writeBuffer: WriteBuffer | null;
  #state: SessionState = SessionState.OPEN;

  /** @param writeBuffer where frames are put as long as it has room; without one the sink is given all of them */
  constructor(side: Side, limits: MessageLimits, sink: SessionSink, writeBuffer: WriteBuffer | null = null) {
    this.side = side;
    this.#sink = sink;
    this.#writeBuffer = writeBuffer;
    this.#limits = limits;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** True while a frame or a fragmented message has begun and not ended: the peer owes bytes. */
  get owed(): boolean {
    return this.#reader?.busy ?? false;
  }

  /**
   * Bytes from the peer; masked payload in them is unmasked in place. Ignored once CLOSED. What breaks the protocol
   * fails the connection and is not thrown, also where the sink found it. Anything else the sink throws fails it with
   * 1011 and is thrown on: the rest of the chunk is lost, so there is no going on.
   */
  receive(chunk: Buffer): void {
    if (this.#state === SessionState.CLOSED) return;
    this.#reader ??= takeReader(this.side, this.#limits, this);
    const reader = this.#reader;
    try {
      reader.parser.push(chunk);
    } catch (error) {
      if (error instanceof ProtocolError) {
        this.fail(error.closeCode, error.message);
        return;
      }
      this.fail(CloseCode.INTERNAL_ERROR, 'internal error');
      throw error;
    }
    if (this.#reader === null || reader.busy) return;
    this.#reader = null;
    spare = reader;
  }

  /** The peer's bytes have ended. */
  receiveEof(): void {
    this.#finish({ closeCode: CloseCode.ABNORMAL, closeReason: '' });
  }

  // "The application MUST NOT send any more data frames after sending a Close frame." (5.5.1) What comes later is
  // dropped.

  sendText(text: string): void {
    if (this.#state !== SessionState.OPEN) return;
    const payloadLength = Buffer.byteLength(text);
    const length = frameLength(this.side, payloadLength);
    const writeBuffer = this.#writeBuffer;
    const buffer = writeBuffer === null ? null : writeBuffer.bufferFor(length);
    if (writeBuffer === null || buffer === null) {
      this.#sink.write(encodeText(this.side, text));
      return;
    }
    putText(buffer, writeBuffer.offset, this.side, text, payloadLength);
    writeBuffer.advance(length);
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
    const payload = encodeClose(closeCode, closeReason);
    // Before the write, for the sink may learn in it that the connection is gone and end the session.
    this.#state = SessionState.CLOSING;
    this.#sendFrame(Opcode.CLOSE, payload);
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
    const length = frameLength(this.side, payload.length);
    const writeBuffer = this.#writeBuffer;
    const buffer = writeBuffer === null ? null : writeBuffer.bufferFor(length);
    if (writeBuffer === null || buffer === null) {
      this.#sink.write(encodeFrame(this.side, opcode, payload));
      return;
    }
    putFrame(buffer, writeBuffer.offset, this.side, opcode, payload);
    writeBuffer.advance(length);
  }

  #finish(close: Close): void {
    if (this.#state === SessionState.CLOSED) return;
    this.#state = SessionState.CLOSED;
    this.#reader?.parser.stop();
    this.#reader = null;
    this.#sink.onClosed(close);
  }
}
