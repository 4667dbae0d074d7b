import { HttpError } from './error.ts';

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;

/** What a small head needs at first; it doubles from there. */
const INITIAL_BYTES = 512;
const EMPTY = Buffer.alloc(0);

/**
 * Collects the head of the one HTTP message that a connection carries, out of chunks cut anywhere.
 *
 *     chunk, chunk, chunk ──▶ push ──▶ null … null, { head, rest }
 *
 * Each byte is looked at once: what the scan must know of the past (the byte before, how long the line is) it carries
 * along, so a head that arrives byte by byte costs no more than one that arrives whole. Since the bytes are judged in
 * their order, the outcome never depends on where the chunks were cut.
 *
 * Serves requests, and the responses of agents nobody vouches for.
 */
export class HeadAccumulator {
  readonly #maxBytes: number;
  #buffer = EMPTY;
  /** Bytes of the head so far. */
  #length = 0;
  /** Bytes of the line so far, its CR included. */
  #lineLength = 0;
  #previous = NUL;

  /** @param maxBytes the longest head taken, in bytes, its empty line included. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Takes the next chunk. Once the head is complete, returns it up to and including its empty line, with the rest:
   * the bytes past it, which may already be WebSocket frames. Both may share memory with the chunk. After that,
   * push no more.
   *
   * @throws {HttpError} 431 past `maxBytes`, 400 on a bare LF, a NUL, or an empty line before the start-line.
   */
  push(chunk: Buffer): { head: Buffer; rest: Buffer } | null {
    const end = this.#scan(chunk);
    if (end === -1) {
      if (this.#length + chunk.length > this.#maxBytes) throw new HttpError(431, 'The head is too large');
      this.#append(chunk);
      return null;
    }
    const rest = chunk.subarray(end);
    // The common case: the head came whole, and nothing is copied.
    if (this.#length === 0) return { head: chunk.subarray(0, end), rest };
    this.#append(chunk.subarray(0, end));
    return { head: this.#buffer.subarray(0, this.#length), rest };
  }

  /** Where in the chunk the head ends, or -1 if not in this one. Looks no further than `maxBytes`. */
  #scan(chunk: Buffer): number {
    const limit = Math.min(chunk.length, this.#maxBytes - this.#length);
    let previous = this.#previous;
    let lineLength = this.#lineLength;
    for (let i = 0; i < limit; i++) {
      const byte = chunk[i] as number;
      switch (byte) {
        case NUL:
          throw new HttpError(400, 'NUL in the head');
        case LF:
          // "a recipient MAY recognize a single LF as a line terminator" (RFC 9112, section 2.2): this one does not,
          // for whoever disagrees with a proxy about where lines end can be made to disagree about what was asked.
          if (previous !== CR) throw new HttpError(400, 'Bare LF in the head');
          if (lineLength === 1) {
            // "a server … SHOULD ignore at least one empty line (CRLF) received prior to the request-line"
            // (RFC 9112, section 2.2). That is for clients that send a CRLF too much after a body, before the next
            // request on the connection. Here a connection carries one request only, so there is no such client.
            if (this.#length + i === 1) throw new HttpError(400, 'Empty line before the start-line');
            return i + 1;
          }
          lineLength = 0;
          break;
        default:
          lineLength++;
      }
      previous = byte;
    }
    this.#previous = previous;
    this.#lineLength = lineLength;
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
