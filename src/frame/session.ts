/**
 * One WebSocket connection after its opening handshake, on either side. It knows no socket: chunks go in; bytes,
 * messages and the end come out.
 *
 *            close() sent                 peer's close
 *   OPEN ───────────────────▶ CLOSING ───────────────────▶ CLOSED
 *     │                                                      ▲
 *     └── peer's close (answered), a protocol error, or EOF ─┘
 *
 * Only the session performs the closing handshake. It knows no time: its owner limits the wait for the peer's close.
 */
import { type Close, encodeClose } from './close.ts';
import { encodeFrame, encodeText, frameLength, putFrame, putText } from './encode.ts';
import { type DataOpcode, MessageAssembler, type MessageLimits, type MessageSink } from './message.ts';
import { FrameParser } from './parser.ts';
import { CloseCode, MAX_CONTROL_PAYLOAD_BYTES, Opcode, ProtocolError, type Side } from './vocabulary.ts';

export const SessionState = { OPEN: 'open', CLOSING: 'closing', CLOSED: 'closed' } as const;
export type SessionState = (typeof SessionState)[keyof typeof SessionState];

export interface SessionSink {
  /** Called with a whole message, until this side sends a close. The payload is valid only during the call. */
  onMessage(payload: Buffer, opcode: DataOpcode): void;
  /** Called with a ping whose pong has been written. */
  onPing?(payload: Buffer): void;
  onPong?(payload: Buffer): void;
  /**
   * Called once, when the session is CLOSED. "The server MUST close the underlying TCP connection immediately; the
   * client SHOULD wait for the server to close the connection" (5.5.1).
   *
   * @param close the peer's close, or this side's code and reason if it failed the connection; 1006 if the connection
   *   ended without a close
   */
  onClosed(close: Close): void;
}

/** Consecutive frames that leave in one write. */
export interface FrameBatch {
  /** Holds the frames. `claim` may replace it. */
  readonly buffer: Buffer;
  /**
   * Adds the next `length` bytes of `buffer` to the batch. The caller must fill them before it does anything else.
   *
   * @returns their offset in `buffer`, or -1 if the batch has no room for them
   */
  claim(length: number): number;
}

/** Takes the frames of a session, one by one or in a batch that leaves in one write. */
export interface FrameWriter {
  /** The batch that the next frame is encoded into; null if each frame is written by itself. */
  readonly batch: FrameBatch | null;
  /** Writes whole frames, after those in the batch. The Buffer must not be changed afterwards. */
  write(frames: Buffer): void;
}

/** Parses the bytes that a session receives. Between two messages it keeps nothing of either. */
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

  /** False if a frame or a fragmented message has begun and not ended. */
  get atBoundary(): boolean {
    return this.parser.atBoundary && !this.assembler.midMessage;
  }
}

/**
 * Only one chunk is parsed at a time, and most chunks end on a message boundary, so sessions share one reader. It keeps
 * the last session that used it alive until another session uses it.
 */
let spare: Reader | null = null;

function takeReader(side: Side, limits: MessageLimits, sink: MessageSink): Reader {
  const reader = spare;
  if (reader === null || reader.side !== side || !areEqual(reader.limits, limits)) {
    return new Reader(side, limits, sink);
  }
  spare = null;
  reader.assembler.sink = sink;
  return reader;
}

function areEqual(a: MessageLimits, b: MessageLimits): boolean {
  return a === b || (a.maxMessageBytes === b.maxMessageBytes && a.maxFragments === b.maxFragments);
}

export class Session implements MessageSink {
  readonly side: Side;
  readonly #limits: MessageLimits;
  readonly #writer: FrameWriter;
  readonly #sink: SessionSink;
  /** Null between two messages, unless a chunk is being parsed. */
  #reader: Reader | null = null;
  #state: SessionState = SessionState.OPEN;

  constructor(side: Side, limits: MessageLimits, writer: FrameWriter, sink: SessionSink) {
    this.side = side;
    this.#limits = limits;
    this.#writer = writer;
    this.#sink = sink;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** False if a frame or a fragmented message has begun and not ended. */
  get atBoundary(): boolean {
    return this.#reader === null || this.#reader.atBoundary;
  }

  /**
   * Takes bytes from the peer. Masked payload in them is unmasked in place. Once CLOSED, bytes are ignored. A breach of
   * the protocol fails the connection and is not thrown, even if the sink found it. Any other error of the sink fails
   * the connection with 1011 and is thrown on, because the rest of the chunk is lost and the session cannot continue.
   *
   * @returns the bytes after the frame in which `stop` was called, for a later `receive`; null if there are none
   */
  receive(chunk: Buffer): Buffer | null {
    if (this.#state === SessionState.CLOSED) return null;
    this.#reader ??= takeReader(this.side, this.#limits, this);
    const reader = this.#reader;
    let taken: number;
    try {
      taken = reader.parser.push(chunk);
    } catch (error) {
      if (error instanceof ProtocolError) {
        this.fail(error.closeCode, error.message);
        return null;
      }
      this.fail(CloseCode.INTERNAL_ERROR, 'internal error');
      throw error;
    }
    // The session was closed meanwhile.
    if (this.#reader === null) return null;
    if (reader.atBoundary) {
      this.#reader = null;
      spare = reader;
    }
    return taken < chunk.length ? chunk.subarray(taken) : null;
  }

  /** Stops `receive` after the current frame of the chunk. */
  stop(): void {
    this.#reader?.parser.stop();
  }

  /** Notes that the peer will send no more bytes. */
  receiveEof(): void {
    this.#finish({ closeCode: CloseCode.ABNORMAL, closeReason: '' });
  }

  // "The application MUST NOT send any more data frames after sending a Close frame." (5.5.1) Later calls are ignored.

  sendText(text: string): void {
    if (this.#state !== SessionState.OPEN) return;
    const { batch } = this.#writer;
    if (batch !== null) {
      const payloadLength = Buffer.byteLength(text);
      const start = batch.claim(frameLength(this.side, payloadLength));
      if (start >= 0) {
        putText(batch.buffer, start, this.side, text, payloadLength);
        return;
      }
    }
    this.#writer.write(encodeText(this.side, text));
  }

  /** @param payload the message, which is copied; it must be UTF-8 if the opcode is TEXT */
  sendMessage(payload: Buffer, opcode: DataOpcode): void {
    if (this.#state === SessionState.OPEN) this.#sendFrame(opcode, payload);
  }

  /** @throws RangeError for a payload over 125 bytes */
  sendPing(payload: Buffer): void {
    if (payload.length > MAX_CONTROL_PAYLOAD_BYTES) throw new RangeError('a ping is at most 125 bytes');
    if (this.#state === SessionState.OPEN) this.#sendFrame(Opcode.PING, payload);
  }

  /** Begins the closing handshake. @throws RangeError for a code that may not be sent or a reason over 123 bytes */
  sendClose(closeCode: number, closeReason = ''): void {
    if (this.#state !== SessionState.OPEN) return;
    const payload = encodeClose(closeCode, closeReason);
    // The state changes before the write, in which the sink may learn that the connection is gone and end the session.
    this.#state = SessionState.CLOSING;
    this.#sendFrame(Opcode.CLOSE, payload);
  }

  /**
   * "_Fail the WebSocket Connection_" (7.1.7): sends a close with the reason, unless one was sent, and becomes CLOSED.
   */
  fail(closeCode: number, closeReason: string): void {
    this.sendClose(closeCode, closeReason);
    this.#finish({ closeCode, closeReason });
  }

  // MessageSink, for the assembler

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    if (this.#state === SessionState.OPEN) this.#sink.onMessage(payload, opcode);
  }

  onPing(payload: Buffer): void {
    // "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already received a Close
    // frame." (5.5.2) This side also stays silent once it has sent a close, because nothing may follow it.
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
    const { batch } = this.#writer;
    if (batch !== null) {
      const start = batch.claim(frameLength(this.side, payload.length));
      if (start >= 0) {
        putFrame(batch.buffer, start, this.side, opcode, payload);
        return;
      }
    }
    this.#writer.write(encodeFrame(this.side, opcode, payload));
  }

  #finish(close: Close): void {
    if (this.#state === SessionState.CLOSED) return;
    this.#state = SessionState.CLOSED;
    this.#reader?.parser.stop();
    this.#reader = null;
    this.#sink.onClosed(close);
  }
}
