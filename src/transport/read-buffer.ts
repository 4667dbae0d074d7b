/**
 * The buffers that dialled sockets read into. Node would allocate a buffer for each read.
 *
 *   LITTLE ──(a read fills the buffer)──▶ MUCH ──(a read does not)──▶ LITTLE
 *
 * In LITTLE, all sockets read into one shared buffer, and each chunk is copied out of it. A large chunk is copied into
 * a buffer that is reused. So an idle relay holds no buffer, and no read overwrites bytes that another socket's write
 * still needs. In MUCH, a socket has a buffer of its own, and nothing is copied.
 */
const READ_BYTES = 64 * 1024;

/**
 * The most spare buffers: about the number of busy sockets. Memory that was just used costs far less than fresh memory.
 */
const MAX_SPARE = 64;

/** A copy of this size or more goes into a buffer that is reused. Smaller copies are parts of Node's pool. */
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
  /** The socket's own buffer, in MUCH and for a large copy. */
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

  /**
   * The bytes of the last read into the buffer of `next`. They are valid until the next read, or longer after `keep`.
   */
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

  /** Keeps the next read from overwriting the last chunk, which is still in use. */
  keep(): void {
    this.#kept = true;
  }

  /** Gives up the buffer of a connection that is gone. */
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
