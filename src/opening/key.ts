/** Keys of the client's opening handshake. */
import { randomBytes } from 'node:crypto';

const KEY_BYTES = 16;
const POOL_BYTES = 256 * KEY_BYTES;
let pool = Buffer.alloc(0);
let poolOffset = 0;

/**
 * A fresh key, in base64. "The value of this header field MUST be a nonce consisting of a randomly selected 16-byte value
 * that has been base64-encoded … The nonce MUST be selected randomly for each connection" (RFC 6455, section 4.1). One
 * call of `randomBytes` makes 256 keys, because the call costs far more than the bytes.
 */
export function createKey(): string {
  if (poolOffset === pool.length) {
    pool = randomBytes(POOL_BYTES);
    poolOffset = 0;
  }
  const start = poolOffset;
  poolOffset += KEY_BYTES;
  return pool.toString('base64', start, poolOffset);
}
