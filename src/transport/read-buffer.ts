/**
 * The buffers that dialled sockets read into. Node would allocate one for each read.
 *
 *   LITTLE ──(a read fills it)──▶ MUCH ──(a read does not)──▶ LITTLE
 *
 * If little comes, all sockets read into one buffer, and what came is copied out of it, a large chunk into a buffer that is
 * used again: an idle relay holds none, and no socket reads over what another's write still needs. If much comes, a socket
 * has a buffer of its own, and nothing is copied.
 */
const READ_BYTES = 64 * 1024;

/** About as many as there are busy sockets: memory that was just used costs far less than fresh memory. */
const MAX_SPARE = 64;

/** A copy so large goes into a buffer that is used again. Smaller ones come out of Node's pool, and may be kept for longer. */
const LARGE_COPY_BYTES = 4 * 1024;

const shared = Buffer.allocUnsafeSlow(READ_BYTES);
const spare: Buffer[] = [];

function takeBuffer(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
}

const State = { LITTLE: 'little', MUCH: 'much' } as const;
type State = (typeof State)[keyof typeof State];

export class ReadBuffer {
  #state: State = State.LITTLE;
  /** While much comes, and for a large copy. */
  #own: Buffer | null = null;
  #kept = false;

  /** The buffer for the next read. */
  next(): Buffer {
    if (this.#state === State.LITTLE) {
      this.#giveBack();
      return shared;
    }
    if (this.#kept) this.#giveBack();
    this.#own ??= takeBuffer();
    return this.#own;
  }

  /** The bytes of the last read, which went into the buffer of `next`: valid until the next read, unless they are kept. */
  chunk(length: number): Buffer {
    this.#state = length === READ_BYTES ? State.MUCH : State.LITTLE;
    if (this.#own === null) {
      const read = shared.subarray(0, length);
      if (length < LARGE_COPY_BYTES) return Buffer.from(read);
      this.#own = takeBuffer();
      this.#own.set(read);
    }
    return this.#own.subarray(0, length);
  }

  /** The last chunk is still in use: it must not be read over. */
  keep(): void {
    this.#kept = true;
  }

  /** The connection is gone, and reads no more. */
  release(): void {
    this.#state = State.LITTLE;
    this.#giveBack();
  }

  #giveBack(): void {
    if (this.#own !== null && !this.#kept && spare.length < MAX_SPARE) spare.push(this.#own);
    this.#own = null;
    this.#kept = false;
  }
}
