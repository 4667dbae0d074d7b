/**
 * Streams of frames, most of them nearly legal: noise alone dies at its first header.
 *
 *   messages in fragments, control frames between ─▶ a fault in some frames ─▶ a few bytes changed ─▶ cut anywhere
 */
import type { MessageLimits } from '../../src/frame/message.ts';
import { MAX_CONTROL_PAYLOAD_BYTES, Opcode, type Side } from '../../src/frame/vocabulary.ts';
import { randomCuts } from './cuts.ts';
import type { Random } from './random.ts';

export interface FrameInput {
  /** Who reads it. */
  side: Side;
  limits: MessageLimits;
  /** Valid until the next one is made. */
  bytes: Buffer;
  /** Where the chunks end. */
  cuts: readonly number[];
}

/** Small enough that inputs meet them from both sides. */
const LIMITS: readonly MessageLimits[] = [
  { maxMessageBytes: 300, maxFragments: 5 },
  { maxMessageBytes: 126, maxFragments: 3 },
  { maxMessageBytes: 125, maxFragments: 1 },
];
const LARGE_LIMITS: MessageLimits = { maxMessageBytes: 66_000, maxFragments: 1024 };
const LARGE_LENGTHS = [65_534, 65_535, 65_536, 65_537, 66_000, 66_001];
const ONE_IS_LARGE = 2000;

const PAYLOAD_LENGTHS = [0, 1, 2, 3, 4, 7, 8, 24, 47, 48, 49, 60, 124, 125, 126, 127, 128, 200, 299, 300, 301];
const CONTROL_LENGTHS = [0, 1, 2, 5, 24, 48, 124, 125];
const CLOSE_CODES = [
  0, 999, 1000, 1001, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 1016, 2999, 3000, 4999, 5000, 65_535,
];
const DATA_OPCODES = [Opcode.TEXT, Opcode.BINARY];
const PING_OR_PONG = [Opcode.PING, Opcode.PONG];

/** Lengths to announce that are not the payload's: around every form's end, and past what numbers hold. */
const ANNOUNCED = [0, 1, 125, 126, 127, 300, 301, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 53 - 1].map(BigInt);
ANNOUNCED.push(2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n);

/** The first and the last code point of each row of RFC 3629's table, and plain text. */
const VALID_TEXT = ['a', 'Hello', '00', '7f', 'c280', 'dfbf', 'e0a080', 'ecbfbf', 'ed9fbf', 'ee8080', 'efbfbf']
  .concat('f0908080', 'f3bfbfbf', 'f48fbfbf', 'e38182')
  .map((text) => Buffer.from(text, /^([0-9a-f]{2})+$/.test(text) ? 'hex' : 'utf8'));
/** Continuations of nothing, overlongs, surrogates, beyond U+10FFFF, bytes that never stand in UTF-8. */
const INVALID_TEXT = ['80', 'bf', 'c080', 'c1bf', 'c2c2', 'e080', 'e09fbf', 'eda080', 'edbfbf', 'f0808080', 'f08fbfbf']
  .concat('f4908080', 'f5808080', 'f8', 'fe', 'ff', 'e282', 'f09f98')
  .map((hex) => Buffer.from(hex, 'hex'));
const TELLING_BYTES = [0x00, 0x01, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0xc1, 0xfd, 0xfe, 0xff];

/** A text is woven of edge cases at its end, for the rest it is plain. */
const MAX_WOVEN_BYTES = 512;

const CAPACITY_BYTES = 2 ** 18;
const MAX_MUTATED_BYTES = 2 ** 17;

export class FrameInputs {
  readonly #random: Random;
  readonly #bytes = Buffer.alloc(CAPACITY_BYTES);
  readonly #message = Buffer.alloc(2 ** 17);
  readonly #control = Buffer.alloc(256);
  #side: Side = 'server';
  #length = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): FrameInput {
    const random = this.#random;
    this.#side = random.oneIn(2) ? 'server' : 'client';
    this.#length = 0;
    const isLarge = random.oneIn(ONE_IS_LARGE);
    if (random.oneIn(16)) {
      this.#noise(random.below(64));
    } else {
      for (let messages = random.between(1, 3); messages > 0; messages--) this.#addMessage(isLarge);
    }
    if (random.oneIn(2)) for (let times = random.between(1, 3); times > 0; times--) this.#mutate();
    const bytes = this.#bytes.subarray(0, this.#length);
    return {
      side: this.#side,
      limits: isLarge ? LARGE_LIMITS : random.pick(LIMITS),
      bytes,
      cuts: randomCuts(random, this.#length),
    };
  }

  #addMessage(isLarge: boolean): void {
    const random = this.#random;
    const opcode = random.pick(DATA_OPCODES);
    const message = this.#fill(this.#message, opcode, random.pick(isLarge ? LARGE_LENGTHS : PAYLOAD_LENGTHS));
    const fragments = random.oneIn(2) ? 1 : random.between(1, 6);
    let start = 0;
    for (let i = 1; i <= fragments; i++) {
      while (random.oneIn(4)) this.#addControl();
      const end = i === fragments ? message.length : start + random.below(message.length - start + 1);
      this.#addFrame(i === 1 ? opcode : Opcode.CONTINUATION, message.subarray(start, end), i === fragments);
      start = end;
    }
  }

  #addControl(): void {
    const random = this.#random;
    const length = random.pick(CONTROL_LENGTHS);
    if (!random.oneIn(8)) {
      this.#addFrame(random.pick(PING_OR_PONG), this.#fill(this.#control, Opcode.BINARY, length), true);
      return;
    }
    const payload = this.#fill(this.#control, Opcode.TEXT, length).subarray(0, MAX_CONTROL_PAYLOAD_BYTES);
    if (payload.length > 1) payload.writeUInt16BE(random.pick(CLOSE_CODES));
    this.#addFrame(Opcode.CLOSE, payload, true);
  }

  /** A text may be a little longer than asked, where its last code point is. */
  #fill(payload: Buffer, opcode: Opcode, length: number): Buffer {
    const random = this.#random;
    if (opcode === Opcode.BINARY) {
      payload.fill(random.next(), 0, length);
      return payload.subarray(0, length);
    }
    let at = Math.max(0, length - MAX_WOVEN_BYTES);
    payload.fill('a', 0, at);
    while (at < length) {
      const piece = random.pick(random.oneIn(64) ? INVALID_TEXT : VALID_TEXT);
      // Not always whole: a text may also end too early.
      at += piece.copy(payload, at, 0, random.oneIn(64) ? 1 : piece.length);
    }
    return payload.subarray(0, at);
  }

  #addFrame(opcode: number, payload: Buffer, fin: boolean): void {
    const random = this.#random;
    const bytes = this.#bytes;
    let first = (fin ? 0x80 : 0) | opcode;
    let masked = this.#side === 'server';
    let announced = BigInt(payload.length);
    let form = payload.length < 126 ? 7 : payload.length < 65_536 ? 16 : 64;
    if (random.oneIn(24)) {
      switch (random.below(6)) {
        case 0:
          first = (first & 0xf0) | random.below(16);
          break;
        case 1:
          first ^= 0x80;
          break;
        case 2:
          first |= random.between(1, 7) << 4;
          break;
        case 3:
          masked = !masked;
          break;
        case 4:
          form = form === 7 && random.oneIn(2) ? 16 : 64;
          break;
        default:
          announced = random.pick(ANNOUNCED);
          form = announced < 126n ? 7 : announced < 65_536n && !random.oneIn(4) ? 16 : 64;
      }
    }
    let at = this.#length;
    bytes[at++] = first;
    bytes[at++] = (masked ? 0x80 : 0) | (form === 7 ? Number(announced) : form === 16 ? 126 : 127);
    if (form === 16) at = bytes.writeUInt16BE(Number(announced), at);
    if (form === 64) at = bytes.writeBigUInt64BE(announced, at);
    const keyAt = at;
    if (masked) at = bytes.writeUInt32BE(random.oneIn(16) ? 0 : random.next(), at);
    payload.copy(bytes, at);
    if (masked) {
      for (let i = 0; i < payload.length; i++) (bytes[at + i] as number) ^= bytes[keyAt + (i & 3)] as number;
    }
    this.#length = at + payload.length;
  }

  #noise(length: number): void {
    const random = this.#random;
    for (let i = 0; i < length; i++) this.#bytes[i] = random.below(256);
    if (random.oneIn(2)) this.#bytes[0] = 0x80 | random.pick(TELLING_BYTES);
    this.#length = length;
  }

  #mutate(): void {
    const random = this.#random;
    const bytes = this.#bytes;
    const length = this.#length;
    if (length === 0 || length > MAX_MUTATED_BYTES) return;
    const at = random.below(length);
    const size = Math.min(random.between(1, 8), length - at);
    switch (random.below(6)) {
      case 0:
        (bytes[at] as number) ^= 1 << random.below(8);
        break;
      case 1:
        bytes[at] = random.pick(TELLING_BYTES);
        break;
      case 2:
        bytes.copyWithin(at, at + size, length);
        this.#length -= size;
        break;
      case 3:
        // Once more what stands there.
        bytes.copyWithin(at + size, at, length);
        this.#length += size;
        break;
      case 4:
        bytes.copyWithin(at + 1, at, length);
        bytes[at] = random.pick(TELLING_BYTES);
        this.#length++;
        break;
      default:
        this.#length = at;
    }
  }
}
