/**
 * Validates UTF-8 as it arrives (RFC 3629; RFC 6455, section 8.1). It fails on the first wrong byte, not at the end of
 * the message.
 *
 * `buffer.isUtf8` checks the whole code points of a piece at native speed. Only the code points at the ends of a piece,
 * which may be cut in two, are checked byte by byte: at most four bytes. The check remembers the number of missing
 * continuation bytes and the range of the next one, which is narrower after E0, ED, F0 and F4:
 *
 *   00–7F                          C2–DF 80–BF
 *   E0 A0–BF 80–BF                 E1–EC, EE–EF 80–BF 80–BF        ED 80–9F 80–BF
 *   F0 90–BF 80–BF 80–BF           F1–F3 80–BF 80–BF 80–BF         F4 80–8F 80–BF 80–BF
 */
import { isUtf8 } from 'node:buffer';

/** The start of the last code point in `piece`, not before `from`, and at most four bytes before the end. */
function startOfLastCodePoint(piece: Buffer, from: number): number {
  const earliest = Math.max(from, piece.length - 4);
  let at = piece.length;
  while (at > earliest && ((piece[--at] as number) & 0xc0) === 0x80);
  return at;
}

/** One validator can check many texts, one after the other: after a valid text it keeps nothing of it. */
export class Utf8Validator {
  #missing = 0;
  #lower = 0x80;
  #upper = 0xbf;

  /** True between code points, where the text may end. */
  get atBoundary(): boolean {
    return this.#missing === 0;
  }

  /** @returns false as soon as no continuation could make the text valid */
  push(piece: Buffer): boolean {
    if (this.#missing === 0 && isUtf8(piece)) return true;
    let at = 0;
    while (this.#missing > 0 && at < piece.length) {
      if (!this.#step(piece[at++] as number)) return false;
    }
    const last = startOfLastCodePoint(piece, at);
    if (last > at && !isUtf8(piece.subarray(at, last))) return false;
    for (at = last; at < piece.length; at++) {
      if (!this.#step(piece[at] as number)) return false;
    }
    return true;
  }

  #step(byte: number): boolean {
    if (this.#missing > 0) {
      if (byte < this.#lower || byte > this.#upper) return false;
      this.#lower = 0x80;
      this.#upper = 0xbf;
      this.#missing--;
      return true;
    }
    if (byte <= 0x7f) return true;
    if (byte < 0xc2 || byte > 0xf4) return false;
    if (byte <= 0xdf) {
      this.#missing = 1;
    } else if (byte <= 0xef) {
      this.#missing = 2;
      if (byte === 0xe0) this.#lower = 0xa0;
      if (byte === 0xed) this.#upper = 0x9f;
    } else {
      this.#missing = 3;
      if (byte === 0xf0) this.#lower = 0x90;
      if (byte === 0xf4) this.#upper = 0x8f;
    }
    return true;
  }
}
