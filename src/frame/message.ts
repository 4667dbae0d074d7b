/**
 * Frames → messages. Fragments are joined within limits, text is validated as it arrives, and control frames pass
 * between fragments (RFC 6455, sections 5.4 and 5.5).
 *
 * If a message lies whole in one chunk, the sink gets a view of the chunk. Other messages are gathered in one buffer
 * that doubles. So ten thousand fragments of one byte cost ten thousand bytes and not ten thousand buffers, and a peer
 * that announces a large frame and sends nothing costs nothing.
 */
import { isUtf8 } from 'node:buffer';
import { isControl } from './check.ts';
import { type Close, decodeClose } from './close.ts';
import type { FrameHeader } from './header.ts';
import type { FrameSink } from './parser.ts';
import { Utf8Validator } from './utf8.ts';
import { CloseCode, MAX_CONTROL_PAYLOAD_BYTES, Opcode, ProtocolError } from './vocabulary.ts';

export interface MessageLimits {
  /** The largest message, in bytes of payload over all its fragments. */
  maxMessageBytes: number;
  /** The most frames one message may be cut into, at least 1. */
  maxFragments: number;
}

/** The opcode of a whole message. */
export type DataOpcode = typeof Opcode.TEXT | typeof Opcode.BINARY;

/** Takes messages. Payloads are valid only during the call, because they may be views of the current chunk. */
export interface MessageSink {
  onMessage(payload: Buffer, opcode: DataOpcode): void;
  onPing(payload: Buffer): void;
  onPong(payload: Buffer): void;
  onClose(close: Close): void;
}

/** The first buffer has at least twice this size, so small messages that were cut in two fit. */
const FIRST_GATHER_BYTES = 512;

/**
 * The buffer of a gathered message is kept for the next such message of any connection, because that memory is warm,
 * and every page of fresh memory faults.
 */
const MAX_SPARE_BYTES = 128 * 1024;
let spare: Buffer | null = null;

function takeBuffer(length: number): Buffer {
  if (spare === null || spare.length < length) return Buffer.allocUnsafeSlow(length);
  const taken = spare;
  spare = null;
  return taken;
}

function giveBack(buffer: Buffer): void {
  if (buffer.length > MAX_SPARE_BYTES) return;
  if (spare === null || spare.length < buffer.length) spare = buffer;
}

export class MessageAssembler implements FrameSink {
  /** Receives the messages. It may be replaced between two of them. */
  sink: MessageSink;
  readonly #limits: MessageLimits;
  /** Validates a text that comes in pieces. It is made when first needed, because most messages come whole. */
  #utf8: Utf8Validator | null = null;

  // The current frame.
  #frameOpcode: number = Opcode.CONTINUATION;
  #frameFin = false;
  /**
   * The payload of a control frame that came in pieces. It has its own buffer, because it may come between fragments.
   */
  #control: Buffer | null = null;
  #controlLength = 0;

  // The current message. `#opcode` is CONTINUATION while there is none.
  #opcode: number = Opcode.CONTINUATION;
  #fragments = 0;
  #announcedBytes = 0;
  #gathered: Buffer | null = null;
  #gatheredLength = 0;

  constructor(limits: MessageLimits, sink: MessageSink) {
    this.sink = sink;
    this.#limits = limits;
  }

  /** True if a message has begun and not ended. */
  get midMessage(): boolean {
    return this.#opcode !== Opcode.CONTINUATION;
  }

  /** @throws ProtocolError 1002 for a frame out of order, 1008 for too many fragments, 1009 for a message too large */
  onHeader(header: FrameHeader): void {
    const { opcode, fin, payloadLength } = header;
    this.#frameOpcode = opcode;
    this.#frameFin = fin;
    if (isControl(opcode)) return;

    if (opcode === Opcode.CONTINUATION) {
      if (!this.midMessage) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'continuation of no message');
      // Fragments have their own limit, because empty ones add no bytes.
      if (++this.#fragments > this.#limits.maxFragments) {
        throw new ProtocolError(CloseCode.POLICY_VIOLATION, 'too many fragments');
      }
    } else {
      // "The fragments of one message MUST NOT be interleaved between the fragments of another message" (5.4)
      if (this.midMessage) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'new message inside another');
      this.#opcode = opcode;
      this.#fragments = 1;
    }
    this.#announcedBytes += payloadLength;
    if (this.#announcedBytes > this.#limits.maxMessageBytes) {
      throw new ProtocolError(CloseCode.TOO_LARGE, 'message is too large');
    }
  }

  /** @throws ProtocolError 1007 on the first byte that is not UTF-8; see also `decodeClose` */
  onPayload(chunk: Buffer, start: number, end: number, last: boolean): void {
    const piece = chunk.subarray(start, end);
    if (isControl(this.#frameOpcode)) {
      this.#controlPayload(piece, last);
    } else {
      this.#dataPayload(piece, last && this.#frameFin);
    }
  }

  #dataPayload(piece: Buffer, endsMessage: boolean): void {
    const opcode = this.#opcode;
    if (opcode === Opcode.TEXT) {
      // "MUST _Fail the WebSocket Connection_" (8.1). This happens at the first wrong byte.
      if (!this.#isText(piece, endsMessage)) {
        throw new ProtocolError(CloseCode.INVALID_PAYLOAD, 'text is not UTF-8');
      }
    }
    if (!endsMessage) {
      this.#gather(piece);
      return;
    }
    if (this.#gathered !== null) this.#gather(piece);
    const gathered = this.#gathered;
    const payload = gathered === null ? piece : gathered.subarray(0, this.#gatheredLength);
    this.#opcode = Opcode.CONTINUATION;
    this.#announcedBytes = 0;
    this.#gathered = null;
    this.#gatheredLength = 0;
    this.sink.onMessage(payload, opcode as DataOpcode);
    if (gathered !== null) giveBack(gathered);
  }

  #isText(piece: Buffer, endsMessage: boolean): boolean {
    if (endsMessage && this.#gathered === null) return isUtf8(piece);
    this.#utf8 ??= new Utf8Validator();
    return this.#utf8.push(piece) && (!endsMessage || this.#utf8.atBoundary);
  }

  #gather(piece: Buffer): void {
    if (piece.length === 0) return;
    const needed = this.#gatheredLength + piece.length;
    if (this.#gathered === null || needed > this.#gathered.length) {
      const doubled = Math.max(needed, 2 * (this.#gathered?.length ?? Math.max(piece.length, FIRST_GATHER_BYTES)));
      // The last frame's length is known, so a large message ends in a buffer of its own size.
      const most = this.#frameFin ? this.#announcedBytes : this.#limits.maxMessageBytes;
      const grown = takeBuffer(Math.min(doubled, most));
      this.#gathered?.copy(grown, 0, 0, this.#gatheredLength);
      this.#gathered = grown;
    }
    piece.copy(this.#gathered, this.#gatheredLength);
    this.#gatheredLength = needed;
  }

  #controlPayload(piece: Buffer, last: boolean): void {
    let payload = piece;
    if (!last || this.#controlLength > 0) {
      this.#control ??= Buffer.allocUnsafeSlow(MAX_CONTROL_PAYLOAD_BYTES);
      piece.copy(this.#control, this.#controlLength);
      this.#controlLength += piece.length;
      if (!last) return;
      payload = this.#control.subarray(0, this.#controlLength);
      this.#controlLength = 0;
    }
    switch (this.#frameOpcode) {
      case Opcode.PING:
        this.sink.onPing(payload);
        break;
      case Opcode.PONG:
        this.sink.onPong(payload);
        break;
      default:
        this.sink.onClose(decodeClose(payload));
    }
  }
}
