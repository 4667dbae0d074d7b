/**
 * Chunks → frames, for any chunking, at linear cost and without an allocation per frame.
 *
 *   chunk ─▶ HEADER ──(is whole; decoded, checked)──▶ PAYLOAD ──(all its bytes have passed)──▶ HEADER …
 *
 * Payload bytes are unmasked in place. The sink gets them as ranges of their chunk, which it must not keep after the
 * call. A header that a chunk's end cuts in two is gathered in a buffer of fourteen bytes.
 */
import { checkHeader } from './check.ts';
import { decodeHeader, emptyHeader, type FrameHeader, headerLengthOf } from './header.ts';
import { Masker } from './mask.ts';
import { CloseCode, MAX_HEADER_BYTES, ProtocolError, type Side } from './vocabulary.ts';

export interface FrameSink {
  /** Called with a legal header, whose object is reused for the next. @throws ProtocolError if the sink refuses it */
  onHeader(header: FrameHeader): void;
  /**
   * Called with payload of the last header's frame: `chunk[start, end)`. `last` is true once per frame, even if empty.
   */
  onPayload(chunk: Buffer, start: number, end: number, last: boolean): void;
}

// Used only during a call, so all parsers share them, and an idle connection holds neither.
const header = emptyHeader();
const masker = new Masker();

export class FrameParser {
  readonly #side: Side;
  readonly #sink: FrameSink;
  /**
   * The beginning of a header that a chunk's end cut in two. It is made when first needed; most peers never cut one.
   */
  #partial: Buffer | null = null;
  #partialLength = 0;
  #inPayload = false;
  #remaining = 0;
  #maskingKey = 0;
  /** True once `stop` was called for the current chunk. */
  #stopped = false;

  /** @param side the reader's side: 'server' demands masked frames, 'client' refuses them */
  constructor(side: Side, sink: FrameSink) {
    this.#side = side;
    this.#sink = sink;
  }

  /** True between two frames. */
  get atBoundary(): boolean {
    return !this.#inPayload && this.#partialLength === 0;
  }

  /** Stops `push` after the call to the sink that is running. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Parses the next chunk.
   *
   * @param chunk the bytes from the socket; masked payload in it is unmasked in place
   * @returns the number of parsed bytes: all, unless `stop` was called
   * @throws ProtocolError at the first illegal header, or the sink's own error; the parser cannot be used afterwards
   */
  push(chunk: Buffer): number {
    let at = 0;
    this.#stopped = false;
    try {
      while (!this.#stopped) {
        if (this.#inPayload) {
          const available = chunk.length - at;
          if (available === 0 && this.#remaining > 0) break;
          at = this.#takePayload(chunk, at, Math.min(available, this.#remaining));
        } else {
          if (at === chunk.length) break;
          at = this.#takeHeader(chunk, at);
        }
      }
    } finally {
      masker.release();
    }
    return at;
  }

  #takePayload(chunk: Buffer, start: number, length: number): number {
    const end = start + length;
    this.#remaining -= length;
    const last = this.#remaining === 0;
    if (last) this.#inPayload = false;
    if (this.#side === 'server') {
      this.#maskingKey = masker.apply(chunk, start, end, this.#maskingKey);
    }
    this.#sink.onPayload(chunk, start, end, last);
    return end;
  }

  #takeHeader(chunk: Buffer, start: number): number {
    if (this.#partialLength === 0 && start + 2 <= chunk.length) {
      const end = start + headerLengthOf(chunk[start + 1] as number);
      if (end <= chunk.length) {
        decodeHeader(chunk, start, header);
        this.#accept();
        return end;
      }
    }
    return this.#takePartialHeader(chunk, start);
  }

  #takePartialHeader(chunk: Buffer, start: number): number {
    this.#partial ??= Buffer.allocUnsafeSlow(MAX_HEADER_BYTES);
    const partial = this.#partial;
    let at = start;
    // The first two bytes determine the length.
    while (this.#partialLength < 2 || this.#partialLength < headerLengthOf(partial[1] as number)) {
      if (at === chunk.length) return at;
      partial[this.#partialLength++] = chunk[at++] as number;
    }
    this.#partialLength = 0;
    decodeHeader(partial, 0, header);
    this.#accept();
    return at;
  }

  #accept(): void {
    // "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values" (5.2). None is
    // negotiated.
    if (header.rsv !== 0) throw new ProtocolError(CloseCode.PROTOCOL_ERROR, 'reserved bit is set');
    checkHeader(header, this.#side);
    this.#inPayload = true;
    this.#remaining = header.payloadLength;
    this.#maskingKey = header.maskingKey;
    this.#sink.onHeader(header);
  }
}
