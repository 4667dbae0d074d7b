/** Bytes that tell whose they are: each stream's are its own, and none is like those some way off in the same stream. */
import { createCipheriv, createHash } from 'node:crypto';

/** A prime: bytes that are off by the size of any buffer are not what should stand there. */
const PERIOD_BYTES = 65_521;

/** Whose streams are remembered, for the report of a mix-up. */
const MAX_REMEMBERED = 256;
const remembered = new Map<string, Buffer>();

/** What is said on one stream, over and over. */
export class Marker {
  readonly name: string;
  /** Twice, so that what straddles its end can be found in it. */
  readonly #bytes: Buffer;
  #at = 0;

  /** @param text only what can stand in a JSON string */
  constructor(name: string, text = false) {
    this.name = name;
    const key = createHash('sha256').update(name).digest();
    const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
    const random = cipher.update(Buffer.alloc(PERIOD_BYTES));
    const once = text ? Buffer.from(random.toString('base64').slice(0, PERIOD_BYTES)) : random;
    this.#bytes = Buffer.concat([once, once]);
    remembered.set(name, this.#bytes);
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value as string);
  }

  /** The next bytes of it. */
  take(length: number): Buffer {
    const taken = Buffer.allocUnsafe(length);
    for (let filled = 0; filled < length; ) {
      const copied = this.#bytes.copy(taken, filled, this.#at, Math.min(PERIOD_BYTES, this.#at + length - filled));
      filled += copied;
      this.#at = (this.#at + copied) % PERIOD_BYTES;
    }
    return taken;
  }
}

/** Compares what comes with what should, whatever the chunks. */
export class Expected {
  readonly name: string;
  readonly #frames: Iterator<Buffer>;
  readonly #between: ReadonlyMap<number, Iterator<Buffer>>;
  /** Looked ahead, to know when all has come. */
  #next: Buffer | null = null;
  /** The frame in hand, and how much of it has come. */
  #frame: Buffer = Buffer.alloc(0);
  #at = 0;
  receivedBytes = 0;

  /**
   * @param frames in this order, each of them whole
   * @param between what may stand between two of them, also in its order, by the first byte of its frames
   */
  constructor(name: string, frames: Iterable<Buffer>, between: Record<number, Iterable<Buffer>> = {}) {
    this.name = name;
    this.#frames = frames[Symbol.iterator]();
    const entries = Object.entries(between).map(
      ([firstByte, others]) => [Number(firstByte), others[Symbol.iterator]()] as const,
    );
    this.#between = new Map(entries);
    this.#lookAhead();
  }

  /** All has come but what may stand between. */
  get complete(): boolean {
    return this.#next === null && this.#at === this.#frame.length;
  }

  /** @throws Error that says whose the bytes are that should not be here */
  take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#at === this.#frame.length) this.#begin(chunk[at] as number);
      const length = Math.min(chunk.length - at, this.#frame.length - this.#at);
      const end = at + length;
      if (length === 0 || this.#frame.compare(chunk, at, end, this.#at, this.#at + length) !== 0) {
        throw this.#mixup(chunk, at);
      }
      at = end;
      this.#at += length;
      this.receivedBytes += length;
    }
  }

  #begin(firstByte: number): void {
    this.#at = 0;
    const between = this.#between.get(firstByte);
    if (between === undefined) {
      this.#frame = this.#next ?? Buffer.alloc(0);
      this.#lookAhead();
    } else {
      this.#frame = between.next().value ?? Buffer.alloc(0);
    }
  }

  #lookAhead(): void {
    this.#next = this.#frames.next().value ?? null;
  }

  #mixup(chunk: Buffer, from: number): Error {
    let at = from;
    for (let i = this.#at; i < this.#frame.length && chunk[at] === this.#frame[i]; i++) at++;
    const found = chunk.subarray(at, at + 8);
    const owners = [...remembered].filter(([, bytes]) => found.length === 8 && bytes.includes(found));
    const whose = owners.map(([name]) => name).join(', ') || 'nobody';
    const position = this.receivedBytes + at - from;
    return new Error(`${this.name}, byte ${position}: ${found.toString('hex')}… is of ${whose}`);
  }
}
