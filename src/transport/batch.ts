/**
 * Bytes that leave in one write. For small messages, one write for many messages saves more than anything else.
 *
 * Frames are encoded one after the other into a buffer that is reused, because the kernel usually takes all of a write
 * at once. If it does not, the write keeps the buffer, and the batch continues in another one. A small batch uses a
 * small buffer, so a waiting write holds at most four times its own bytes, or 8 KiB.
 */

/** The largest size of one batch, in bytes. */
export const MAX_BATCH_BYTES = 128 * 1024;

const SIZES = [8 * 1024, 32 * 1024, MAX_BATCH_BYTES] as const;

/** Buffers that no write is using, one for each size. Nearly always only one batch is being filled. */
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

  /** Contains the batch, from 0 to `length`. `claim` and `add` may replace the buffer. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** The length of the batch, in bytes. */
  get length(): number {
    return this.#length;
  }

  /**
   * Adds the next `length` bytes of `buffer` to the batch. The caller must fill them before it does anything else.
   *
   * @returns their offset in `buffer`, or -1 if the batch has no room for them
   */
  claim(length: number): number {
    const start = this.#length;
    const end = start + length;
    if (end > this.#buffer.length && !this.#grow(end)) return -1;
    this.#length = end;
    return start;
  }

  /** Adds a copy of the bytes. @returns false if the batch has no room for them */
  add(bytes: Buffer): boolean {
    const start = this.claim(bytes.length);
    if (start < 0) return false;
    this.#buffer.set(bytes, start);
    return true;
  }

  /** Empties the batch. @returns all its bytes in one Buffer; `release` must be called before anything is added */
  take(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  /**
   * Called after the bytes from `take` have been written.
   *
   * @param isKept whether the write is unfinished and still needs the bytes
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
