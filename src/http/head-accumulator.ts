import { HttpError } from './error.ts';
import { COMPLETE, ILLEGAL, NEXT, REQUEST, RESPONSE, refusal, type State } from './head-states.ts';

/** The first size of the buffer, enough for a small head. It doubles as the head grows. */
const INITIAL_BYTES = 512;
const EMPTY = Buffer.alloc(0);

/**
 * Collects the head of a connection's only HTTP message from chunks that are cut anywhere.
 *
 *     chunk, chunk, chunk ──▶ push ──▶ null … null, { head, rest }
 *
 * Each byte is looked at once. The scan carries one state from byte to byte, so a head that arrives byte by byte costs
 * no more than one that arrives whole. The outcome never depends on the cuts. Other bytes than a head are refused at
 * the first illegal byte.
 */
export class HeadAccumulator {
  readonly #maxBytes: number;
  #state: State;
  #buffer = EMPTY;
  /** The number of bytes of the head so far. */
  #length = 0;

  /**
   * @param maxBytes the longest accepted head, in bytes, including its empty line.
   * @param kind a request and a response have different start-lines.
   */
  constructor(maxBytes: number, kind: 'request' | 'response') {
    this.#maxBytes = maxBytes;
    this.#state = kind === 'request' ? REQUEST : RESPONSE;
  }

  /**
   * Takes the next chunk. Once the head is complete, returns it up to and including its empty line, with the rest:
   * the bytes past it, which may already be WebSocket frames. Both may share memory with the chunk. After that,
   * push no more.
   *
   * @throws {HttpError} 431 past `maxBytes`, 400 at the first illegal byte.
   */
  push(chunk: Buffer): { head: Buffer; rest: Buffer } | null {
    const end = this.#scan(chunk);
    if (end === -1) {
      if (this.#length + chunk.length > this.#maxBytes) throw new HttpError(431, 'The head is too large');
      this.#append(chunk);
      return null;
    }
    const rest = chunk.subarray(end);
    // The common case: the head came whole, so nothing is copied.
    if (this.#length === 0) return { head: chunk.subarray(0, end), rest };
    this.#append(chunk.subarray(0, end));
    return { head: this.#buffer.subarray(0, this.#length), rest };
  }

  /** The index behind the head's last byte, or -1 if the head does not end in this chunk. Stops at `maxBytes`. */
  #scan(chunk: Buffer): number {
    const limit = Math.min(chunk.length, this.#maxBytes - this.#length);
    const table = NEXT;
    let state = this.#state;
    let i = 0;
    while (i < limit) {
      let next: State;
      // Nearly every byte keeps the state. In this loop the processor need not wait for one look-up to begin the next.
      do next = table[state + (chunk[i++] as number)] as State;
      while (next === state && i < limit);
      if (next === ILLEGAL) throw refusal(state, chunk[i - 1] as number);
      if (next === COMPLETE) return i;
      state = next;
    }
    this.#state = state;
    return -1;
  }

  #append(bytes: Buffer): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(INITIAL_BYTES, length, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    bytes.copy(this.#buffer, this.#length);
    this.#length = length;
  }
}
