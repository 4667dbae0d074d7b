/**
 * Masking (RFC 6455, section 5.3): octet i of the payload is XORed with octet i mod 4 of the key.
 *
 * A key is a number whose lowest eight bits are its first byte, so that on a little-endian machine it can be XORed with
 * whole words. Long payloads are masked by 32-bit words, short ones by bytes.
 */
import { randomBytes } from 'node:crypto';

/** Below about this many bytes the byte loop wins over setting up the word loop. */
const WORDS_FROM_BYTES = 48;

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The key for the bytes that follow `consumed` bytes of payload. */
function rotate(maskingKey: number, consumed: number): number {
  const bits = (consumed & 3) * 8;
  return bits === 0 ? maskingKey : (maskingKey >>> bits) | (maskingKey << (32 - bits));
}

function maskBytes(bytes: Buffer, start: number, end: number, maskingKey: number): void {
  for (let i = start, key = maskingKey; i < end; i++) {
    (bytes[i] as number) ^= key;
    key = (key >>> 8) | (key << 24);
  }
}

/** Eight at a time: fewer turns and bounds to check than one by one; `npm run bench:pure` has what it takes. */
function maskWords(words: Int32Array, start: number, end: number, maskingKey: number): void {
  let i = start;
  for (const unrolledEnd = start + ((end - start) & ~7); i < unrolledEnd; i += 8) {
    (words[i] as number) ^= maskingKey;
    (words[i + 1] as number) ^= maskingKey;
    (words[i + 2] as number) ^= maskingKey;
    (words[i + 3] as number) ^= maskingKey;
    (words[i + 4] as number) ^= maskingKey;
    (words[i + 5] as number) ^= maskingKey;
    (words[i + 6] as number) ^= maskingKey;
    (words[i + 7] as number) ^= maskingKey;
  }
  for (; i < end; i++) (words[i] as number) ^= maskingKey;
}

/** XORs words over one chunk; makes the chunk's 32-bit view once, and only when a payload is long enough to need it. */
export class Masker {
  #chunk: Buffer | null = null;
  #words: Int32Array | null = null;

  /**
   * Masks or unmasks `chunk[start, end)` in place.
   *
   * @returns the key for the payload bytes after these
   */
  apply(chunk: Buffer, start: number, end: number, maskingKey: number): number {
    if (end - start < WORDS_FROM_BYTES || !littleEndian) {
      maskBytes(chunk, start, end, maskingKey);
      return rotate(maskingKey, end - start);
    }
    const misaligned = (chunk.byteOffset + start) & 3;
    const wordsStart = misaligned === 0 ? start : start + 4 - misaligned;
    const wordsEnd = wordsStart + ((end - wordsStart) & ~3);
    const words = this.#wordsOf(chunk);
    const first = (chunk.byteOffset + wordsStart - words.byteOffset) >> 2;
    const last = first + ((wordsEnd - wordsStart) >> 2);
    const wordKey = rotate(maskingKey, wordsStart - start);

    maskBytes(chunk, start, wordsStart, maskingKey);
    maskWords(words, first, last, wordKey);
    maskBytes(chunk, wordsEnd, end, wordKey);
    return rotate(maskingKey, end - start);
  }

  /** Forgets the chunk, so that an idle connection does not keep 64 KiB alive. */
  release(): void {
    this.#chunk = null;
    this.#words = null;
  }

  #wordsOf(chunk: Buffer): Int32Array {
    if (this.#words === null || this.#chunk !== chunk) {
      const offset = (chunk.byteOffset + 3) & ~3;
      const bytes = chunk.byteOffset + chunk.length - offset;
      this.#chunk = chunk;
      this.#words = new Int32Array(chunk.buffer, offset, bytes >> 2);
    }
    return this.#words;
  }
}

const POOL_BYTES = 4096;
let pool = Buffer.alloc(0);
let poolOffset = 0;

/**
 * A fresh key for one frame. "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a
 * strong source of entropy" (5.3); one call of `randomBytes` serves a thousand frames.
 */
export function randomMaskingKey(): number {
  if (poolOffset === pool.length) {
    pool = randomBytes(POOL_BYTES);
    poolOffset = 0;
  }
  const maskingKey = pool.readInt32LE(poolOffset);
  poolOffset += 4;
  return maskingKey;
}
