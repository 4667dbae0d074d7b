/**
 * Bytes that leave in one write: on small messages one write for many saves more than anything else.
 *
 * Frames are encoded right behind one another into a buffer that is used again and again, because the kernel mostly takes
 * all of a write at once. If it does not, the buffer stays with the write, and the batch goes on in another one. A small
 * batch lies in a small buffer, so that a write that waits holds at most four times its own bytes, or 8 KiB.
 */
/** The most bytes that one batch can hold. */
export const MAX_BATCH_BYTES = 128 * 1024;

const SIZES = [8 * 1024, 32 * 1024, MAX_BATCH_BYTES] as const;

/** The buffers that no write is using now, one for each size. Nearly always one batch is filled at a time. */
const spare: (Buffer | null)[] = SIZES.map(() => null);

function takeBuffer(size: number): Buffer {
  const taken = spare[size];
  spare[size] = null;
  return taken ?? Buffer.allocUnsafeSlow(SIZES[size] as number);
}

export class Batch {
  #size = 0;
  #buffer = takeBuffer(0);
  #length = 0;

  /** The bytes so far; meaningful from 0 to `length`. `claim` and `add` may replace the buffer. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** In bytes. */
  get length(): number {
    return this.#length;
  }

  /**
   * Makes the next `length` bytes of `buffer` part of the batch. The caller fills them before it does anything else.
   *
   * @returns their offset in `buffer`, or -1 if there is no room for them
   */
  claim(length: number): number {
    const start = this.#length;
    const end = start + length;
    if (end > this.#buffer.length && !this.#grow(end)) return -1;
    this.#length = end;
    return start;
  }

  /** Adds a copy. @returns false if there is no room for it */
  add(bytes: Buffer): boolean {
    const start = this.claim(bytes.length);
    if (start < 0) return false;
    this.#buffer.set(bytes, start);
    return true;
  }

  /** Everything added so far, in one Buffer; the batch is empty after it. Call `release` before anything is added. */
  take(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  /**
   * The bytes of `take` have been written.
   *
   * @param isKept the write is not finished, and needs the bytes as they are
   */
  release(isKept: boolean): void {
    if (!isKept) {
      if (this.#size === 0) return;
      spare[this.#size] = this.#buffer;
    }
    this.#size = 0;
    this.#buffer = takeBuffer(0);
  }

  #grow(length: number): boolean {
    const size = SIZES.findIndex((bytes) => bytes >= length);
    if (size < 0) return false;
    const grown = takeBuffer(size);
    grown.set(this.#buffer.subarray(0, this.#length));
    spare[this.#size] = this.#buffer;
    this.#buffer = grown;
    this.#size = size;
    return true;
  }
}
