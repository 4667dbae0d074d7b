/**
 * Masking (RFC 6455, section 5.3): octet i of the payload is XORed with octet i mod 4 of the key.
 *
 * A key is a number whose lowest eight bits are its first byte, so a little-endian machine can XOR it with whole words.
 * Long payloads are masked by 64-bit words, called longs here, and short payloads by bytes.
 */
import { randomBytes } from 'node:crypto';

/** For fewer bytes, the byte loop is faster than setting up the loop over longs. */
const LONGS_FROM_BYTES = 48;

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The key for the payload after its first `consumed` bytes. */
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

/** Doubles a key, which is written as two halves and read as one long. */
const doubled = new BigUint64Array(1);
const halves = new Int32Array(doubled.buffer);

/**
 * V8 keeps a long from such an array in a register if it is only XORed and stored. Four longs at a time need fewer
 * turns and bound checks than one by one; `npm run bench:pure` measures it.
 */
function maskLongs(longs: BigUint64Array, start: number, end: number, maskingKey: number): void {
  halves[0] = maskingKey;
  halves[1] = maskingKey;
  const key = doubled[0] as bigint;
  let i = start;
  for (const unrolledEnd = start + ((end - start) & ~3); i < unrolledEnd; i += 4) {
    (longs[i] as bigint) ^= key;
    (longs[i + 1] as bigint) ^= key;
    (longs[i + 2] as bigint) ^= key;
    (longs[i + 3] as bigint) ^= key;
  }
  for (; i < end; i++) (longs[i] as bigint) ^= key;
}

/**
 * Masks ranges of one chunk. It makes the chunk's 64-bit view once, and only if a payload is long enough to need it.
 */
export class Masker {
  #chunk: Buffer | null = null;
  #longs: BigUint64Array | null = null;

  /**
   * Masks or unmasks `chunk[start, end)` in place.
   *
   * @returns the key for the payload bytes after these
   */
  apply(chunk: Buffer, start: number, end: number, maskingKey: number): number {
    if (end - start < LONGS_FROM_BYTES || !littleEndian) {
      maskBytes(chunk, start, end, maskingKey);
      return rotate(maskingKey, end - start);
    }
    const misaligned = (chunk.byteOffset + start) & 7;
    const longsStart = misaligned === 0 ? start : start + 8 - misaligned;
    const longsEnd = longsStart + ((end - longsStart) & ~7);
    const longs = this.#longsOf(chunk);
    const first = (chunk.byteOffset + longsStart - longs.byteOffset) >> 3;
    const last = first + ((longsEnd - longsStart) >> 3);
    const longsKey = rotate(maskingKey, longsStart - start);

    maskBytes(chunk, start, longsStart, maskingKey);
    maskLongs(longs, first, last, longsKey);
    maskBytes(chunk, longsEnd, end, longsKey);
    return rotate(maskingKey, end - start);
  }

  /** Forgets the chunk, so an idle connection does not keep 64 KiB alive. */
  release(): void {
    this.#chunk = null;
    this.#longs = null;
  }

  #longsOf(chunk: Buffer): BigUint64Array {
    if (this.#longs === null || this.#chunk !== chunk) {
      const offset = (chunk.byteOffset + 7) & ~7;
      const bytes = chunk.byteOffset + chunk.length - offset;
      this.#chunk = chunk;
      this.#longs = new BigUint64Array(chunk.buffer, offset, bytes >> 3);
    }
    return this.#longs;
  }
}

const POOL_BYTES = 4096;
let pool = Buffer.alloc(0);
let poolOffset = 0;

/**
 * A fresh key for one frame. "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a
 * strong source of entropy" (5.3). One call of `randomBytes` makes the keys of a thousand frames.
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
