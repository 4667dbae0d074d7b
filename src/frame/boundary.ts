/**
 * Finds the ends of frames for the relay. The walker reads headers only and never touches a payload.
 *
 * The relay passes on the received bytes unchanged, so the walker changes nothing, and keeps only the few bytes of a
 * header that was cut in two. It shows where the relay may insert a frame of its own, whether a close frame has passed,
 * after which nothing more may (RFC 6455, section 5.5.1), and whether a header is illegal in itself. It ignores
 * reserved bits, because the two ends agree on their meaning.
 */
import { checkHeader } from './check.ts';
import { decodeHeader, emptyHeader, FIN, headerLengthOf } from './header.ts';
import { MAX_HEADER_BYTES, Opcode, type ProtocolError, type Side } from './vocabulary.ts';

/** The kind of frame that a header's first byte announces, its reserved bits ignored. */
const ILLEGAL = 0;
const DATA = 1;
const CONTROL = 2;
const KIND = new Uint8Array(256);
for (let first = 0; first < 256; first++) {
  const opcode = first & 0x0f;
  if (opcode <= Opcode.BINARY) KIND[first] = DATA;
  else if (opcode >= Opcode.CLOSE && opcode <= Opcode.PONG) KIND[first] = first & FIN ? CONTROL : ILLEGAL;
}

/** Used only during a call, so all walkers share it. */
const header = emptyHeader();

export class BoundaryWalker {
  readonly #side: Side;
  readonly #maskBit: number;
  /** The beginning of a header that a chunk's end cut in two. */
  #partial: Buffer | null = null;
  #partialLength = 0;
  #remaining = 0;
  #inClose = false;
  #closed = false;
  #error: ProtocolError | null = null;

  /** @param side the relay's side toward the sender of these bytes: 'server' demands masked frames */
  constructor(side: Side) {
    this.#side = side;
    this.#maskBit = side === 'server' ? 0x80 : 0;
  }

  /** True between two frames, where a control frame may be inserted. */
  get atBoundary(): boolean {
    return this.#remaining === 0 && this.#partialLength === 0;
  }

  /** True once a close frame has passed whole. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The error of an illegal header, after which nothing passes; null if there was none. */
  get error(): ProtocolError | null {
    return this.#error;
  }

  /**
   * Reads the next chunk.
   *
   * @returns the number of the chunk's bytes that may pass. It is less than all if a close frame ends in the chunk or a
   *   header is illegal; `closed` or `error` shows that. The bytes of an illegal header in an earlier chunk have passed
   *   already, and `atBoundary` is then false for good.
   */
  walk(chunk: Buffer): number {
    const end = chunk.length;
    let at = 0;
    if (this.#error !== null) return 0;
    for (;;) {
      if (this.#remaining > 0) {
        const skipped = Math.min(this.#remaining, end - at);
        this.#remaining -= skipped;
        at += skipped;
        if (this.#remaining > 0) return at;
      }
      if (this.#inClose) {
        // The close was the last frame, so nothing passes now or in a later call.
        this.#closed = true;
        return at;
      }
      if (at === end) return at;

      // The common case needs no call: the header is whole and has one of its two shorter forms.
      if (this.#partialLength === 0 && at + 2 <= end) {
        const first = chunk[at] as number;
        const second = chunk[at + 1] as number;
        const kind = KIND[first] as number;
        const length = second & 0x7f;
        const maskBytes = this.#maskBit >> 5;
        if (kind !== ILLEGAL && (second & 0x80) === this.#maskBit) {
          if (length < 126 && at + 2 + maskBytes <= end) {
            at += 2 + maskBytes;
            this.#remaining = length;
            this.#inClose = (first & 0x0f) === Opcode.CLOSE;
            continue;
          }
          if (length === 126 && kind === DATA && at + 4 + maskBytes <= end) {
            const extended = ((chunk[at + 2] as number) << 8) | (chunk[at + 3] as number);
            if (extended >= 126) {
              at += 4 + maskBytes;
              this.#remaining = extended;
              continue;
            }
          }
        }
      }
      const next = this.#takeHeader(chunk, at);
      if (next < 0) return at;
      at = next;
    }
  }

  /** @returns the start of the payload, or the chunk's end if the header is not whole yet, or -1 if it is illegal */
  #takeHeader(chunk: Buffer, start: number): number {
    this.#partial ??= Buffer.allocUnsafeSlow(MAX_HEADER_BYTES);
    const partial = this.#partial;
    const before = this.#partialLength;
    let at = start;
    while (this.#partialLength < 2 || this.#partialLength < headerLengthOf(partial[1] as number)) {
      if (at === chunk.length) return at;
      partial[this.#partialLength++] = chunk[at++] as number;
    }
    decodeHeader(partial, 0, header);
    try {
      checkHeader(header, this.#side);
    } catch (error) {
      this.#error = error as ProtocolError;
      // The bytes of this header in an earlier chunk have passed, so the stream ends inside a frame.
      this.#partialLength = before;
      return -1;
    }
    this.#partialLength = 0;
    this.#remaining = header.payloadLength;
    this.#inClose = header.opcode === Opcode.CLOSE;
    return at;
  }
}
