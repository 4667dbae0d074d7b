/**
 * The buffer a dialled socket reads into, again and again, instead of one allocated for each read. It starts small and
 * grows once the peer fills it, so that an idle relay holds little.
 */
const SMALL_BYTES = 4 * 1024;
const LARGE_BYTES = 64 * 1024;

export class ReadBuffer {
  #size = SMALL_BYTES;
  #buffer = Buffer.allocUnsafeSlow(SMALL_BYTES);
  #kept = false;

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
    if (length === this.#buffer.length) this.#size = LARGE_BYTES;
    return this.#buffer.subarray(0, length);
  }

  /** The last chunk is still in use: it must not be read over. */
  keep(): void {
    this.#kept = true;
  }
}
