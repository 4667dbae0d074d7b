/** Compares arriving messages with the expected ones: count, opcode, length and content, without a copy. */
import type { FrameHeader } from '../../src/frame/header.ts';
import type { FrameSink } from '../../src/frame/parser.ts';
import { Opcode } from '../../src/frame/vocabulary.ts';
import { type Cycle, encodeWrites } from './pattern.ts';
import { readDigits, STAMP_BYTES } from './stamp.ts';

/** The length of a message's beginning that decides its kind. */
const BEGINNING_BYTES = 64;

/** A wrong answer of the subject. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

export class CycleChecker implements FrameSink {
  readonly #cycle: Cycle;
  readonly #onMessage: (payloadBytes: number, stampUs: number) => void;
  readonly #stampBytes: number;
  #message = 0;
  #offset = 0;
  #stampUs = 0;

  /** @param onMessage called with the time when the message was written, or 0 if the cycle has no stamps */
  constructor(cycle: Cycle, onMessage: (payloadBytes: number, stampUs: number) => void) {
    this.#stampBytes = cycle.stamped ? STAMP_BYTES : 0;
    this.#cycle = cycle;
    this.#onMessage = onMessage;
  }

  /** Data frames only: the endpoint keeps control frames to itself. */
  onHeader({ opcode, fin, payloadLength }: FrameHeader): void {
    const expected = this.#expected;
    if (opcode !== this.#cycle.opcode || !fin || payloadLength !== expected.length) {
      const came = `opcode ${opcode}, fin ${fin}, ${payloadLength} bytes`;
      throw new WrongAnswer(
        `message ${this.#message}: opcode ${this.#cycle.opcode}, ${expected.length} bytes expected, ${came} came`,
      );
    }
    this.#offset = 0;
    this.#stampUs = 0;
  }

  onPayload(chunk: Buffer, start: number, end: number, last: boolean): void {
    const expected = this.#expected;
    const offset = this.#offset;
    this.#offset += end - start;
    const inStamp = Math.min(Math.max(0, this.#stampBytes - offset), end - start);
    if (inStamp > 0) this.#stampUs = readDigits(this.#stampUs, chunk, start, start + inStamp);
    const isWrong = expected.compare(chunk, start + inStamp, end, offset + inStamp, this.#offset) !== 0;
    if (isWrong || Number.isNaN(this.#stampUs)) {
      throw new WrongAnswer(`message ${this.#message}: not the content that was sent`);
    }
    if (!last) return;
    this.#message = (this.#message + 1) % this.#cycle.payloads.length;
    this.#onMessage(expected.length, this.#stampUs);
  }

  get #expected(): Buffer {
    return this.#cycle.payloads[this.#message] as Buffer;
  }
}

/** Holds unmasked frames against the very bytes that are expected, a chunk at a time. */
export class VerbatimChecker {
  readonly #bytes: Buffer;
  readonly #lengths: readonly number[];
  /** Where each message's frame ends in `#bytes`. */
  readonly #ends: readonly number[];
  readonly #onMessage: (payloadBytes: number) => void;
  #offset = 0;
  #message = 0;

  constructor(cycle: Cycle, onMessage: (payloadBytes: number) => void) {
    const frames = encodeWrites('server', { ...cycle, messagesPerWrite: 1 });
    let end = 0;
    this.#bytes = Buffer.concat(frames);
    this.#lengths = cycle.payloads.map(({ length }) => length);
    this.#ends = frames.map(({ length }) => {
      end += length;
      return end;
    });
    this.#onMessage = onMessage;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const length = Math.min(chunk.length - at, this.#bytes.length - this.#offset);
      if (this.#bytes.compare(chunk, at, at + length, this.#offset, this.#offset + length) !== 0) {
        throw new WrongAnswer(`message ${this.#message}: not the bytes that were sent`);
      }
      at += length;
      this.#offset += length;
      while (this.#message < this.#ends.length && (this.#ends[this.#message] as number) <= this.#offset) {
        this.#onMessage(this.#lengths[this.#message++] as number);
      }
      if (this.#offset === this.#bytes.length) {
        this.#offset = 0;
        this.#message = 0;
      }
    }
  }
}

/** Passes on whole text messages, for messages that are read and not compared. They may be fragmented. */
export class TextReader implements FrameSink {
  readonly #onText: (text: string) => void;
  #pieces: Buffer[] = [];
  #fin = false;

  constructor(onText: (text: string) => void) {
    this.#onText = onText;
  }

  onHeader(header: FrameHeader): void {
    mustBeText(header);
    this.#fin = header.fin;
  }

  onPayload(chunk: Buffer, start: number, end: number, last: boolean): void {
    const piece = chunk.subarray(start, end);
    const ends = last && this.#fin;
    if (ends && this.#pieces.length === 0) {
      this.#onText(piece.toString());
      return;
    }
    // The next chunk is read into the same memory.
    this.#pieces.push(Buffer.from(piece));
    if (!ends) return;
    const text = Buffer.concat(this.#pieces).toString();
    this.#pieces = [];
    this.#onText(text);
  }
}

/**
 * Hands on how each message begins, and how long it was: enough to tell one kind from another at little cost. The
 * beginning is all of a short message, and good during the call only.
 */
export class BeginningReader implements FrameSink {
  readonly #onMessage: (beginning: Buffer, payloadBytes: number) => void;
  /** Holds the beginning of a message that comes in pieces. */
  #beginning: Buffer | null = null;
  #beginningBytes = 0;
  #payloadBytes = 0;
  #fin = false;

  constructor(onMessage: (beginning: Buffer, payloadBytes: number) => void) {
    this.#onMessage = onMessage;
  }

  onHeader(header: FrameHeader): void {
    mustBeText(header);
    this.#fin = header.fin;
    this.#payloadBytes += header.payloadLength;
  }

  onPayload(chunk: Buffer, start: number, end: number, last: boolean): void {
    const ends = last && this.#fin;
    if (ends && this.#beginning === null) {
      this.#hand(chunk.subarray(start, Math.min(end, start + BEGINNING_BYTES)));
      return;
    }
    this.#beginning ??= Buffer.allocUnsafe(BEGINNING_BYTES);
    this.#beginningBytes += chunk.copy(this.#beginning, this.#beginningBytes, start, end);
    if (ends) this.#hand(this.#beginning.subarray(0, this.#beginningBytes));
  }

  #hand(beginning: Buffer): void {
    const payloadBytes = this.#payloadBytes;
    this.#beginning = null;
    this.#beginningBytes = 0;
    this.#payloadBytes = 0;
    this.#onMessage(beginning, payloadBytes);
  }
}

function mustBeText({ opcode }: FrameHeader): void {
  if (opcode !== Opcode.TEXT && opcode !== Opcode.CONTINUATION)
    throw new WrongAnswer(`text expected, opcode ${opcode} came`);
}
