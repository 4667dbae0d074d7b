/**
 * The buffer a dialled socket reads into, again and again, instead of one allocated for each read. It is large while the
 * peer pours and small again when only a little comes, so that an idle relay holds little.
 */
const SMALL_BYTES = 4 * 1024;
const LARGE_BYTES = 64 * 1024;

/** As many reads in a row that a small buffer would have held make it small. */
const READS_TO_SHRINK = 4;

export class ReadBuffer {
  #size = SMALL_BYTES;
  #buffer = Buffer.allocUnsafeSlow(SMALL_BYTES);
  #kept = false;
  #smallReads = 0;

  /** What to read into next. */
  next(): Buffer {
    if (this.#kept || this.#buffer.length !== this.#size) {
      this.#buffer = Buffer.allocUnsafeSlow(this.#size);
      this.#kept = false;
    }
    return this.#buffer;
  }

  /** What was read last. */
  chunk(length: number): Buffer {
    this.#smallReads = length < SMALL_BYTES ? this.#smallReads + 1 : 0;
    if (length === this.#buffer.length) this.#size = LARGE_BYTES;
    else if (this.#smallReads >= READS_TO_SHRINK) this.#size = SMALL_BYTES;
    return this.#buffer.subarray(0, length);
  }

  /** Nothing has come for long: from the next read on a small one will do. */
  shrink(): void {
    this.#size = SMALL_BYTES;
  }

  /** The last chunk is still in use: it must not be read over. */
  keep(): void {
    this.#kept = true;
  }
}
