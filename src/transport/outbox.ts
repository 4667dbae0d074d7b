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

  /** Room for the next bytes, with anything in it; `add` makes them part. There must be so much. */
  allocate(length: number): Buffer {
    return this.#buffer.subarray(this.#length, this.#length + length);
  }

  /** Is this what was allocated? */
  holds(bytes: Buffer): boolean {
    return bytes.buffer === this.#buffer.buffer;
  }

  /** Adds what was allocated last and is filled now, or a copy of other bytes, for which there must be room. */
  add(bytes: Buffer): void {
    if (!this.holds(bytes)) this.#buffer.set(bytes, this.#length);
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
