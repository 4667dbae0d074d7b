/**
 * Where writes are put together that leave as one: the most telling economy of all on small messages.
 *
 * Its memory is used again and again, since the kernel mostly takes all of a write at once. Where it does not, `keep`
 * leaves what was taken to whoever waits, and the next bytes go elsewhere.
 */
export const OUTBOX_BYTES = 128 * 1024;

export class Outbox {
  #buffer = Buffer.allocUnsafeSlow(OUTBOX_BYTES);
  #length = 0;

  /** In bytes. */
  get length(): number {
    return this.#length;
  }

  hasRoom(length: number): boolean {
    return this.#length + length <= OUTBOX_BYTES;
  }

  /** Where the next bytes can be put, from `length` on; `advance` makes them part. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** So many bytes were put there. */
  advance(length: number): void {
    this.#length += length;
  }

  /** Adds a copy, for which there must be room. */
  add(bytes: Buffer): void {
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** All that was added. It is overwritten by what is added next, unless it is kept. */
  take(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  /** What was taken last is still needed. */
  keep(): void {
    this.#buffer = Buffer.allocUnsafeSlow(OUTBOX_BYTES);
  }
}
