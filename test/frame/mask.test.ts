import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Masker, randomMaskingKey } from '../../src/frame/mask.ts';
import { MASKING_KEY, masked } from '../support/raw-frame.ts';

const KEY = MASKING_KEY.readInt32LE(0);

/** A Buffer whose first byte stands `misalignment` bytes after a 64-bit boundary. */
function misalign(bytes: Buffer, misalignment: number): Buffer {
  const misaligned = Buffer.from(new ArrayBuffer(bytes.length + 16), 8 + misalignment, bytes.length);
  bytes.copy(misaligned);
  return misaligned;
}

describe('Masker (RFC 6455, 5.3)', () => {
  it('5.7: unmasks "Hello"', () => {
    const chunk = Buffer.from('818537fa213d7f9f4d5158', 'hex');
    new Masker().apply(chunk, 6, chunk.length, chunk.readInt32LE(2));
    assert.equal(chunk.toString('utf8', 6), 'Hello');
  });

  // Lengths on both sides of where longs begin to be used, and enough beyond for every remainder.
  const LENGTHS = [
    0, 1, 2, 3, 4, 5, 7, 8, 9, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 63, 64, 65, 79, 80, 81, 255, 256, 257,
  ];

  it('masks every length at every alignment and from every phase of the key, and nothing beside it', () => {
    for (const length of LENGTHS) {
      for (let misalignment = 0; misalignment < 8; misalignment++) {
        for (let start = 0; start < 8; start++) {
          const bytes = Buffer.from(Array.from({ length: start + length + 5 }, (_, i) => (i * 7 + 3) & 0xff));
          const chunk = misalign(bytes, misalignment);
          const next = new Masker().apply(chunk, start, start + length, KEY);

          const expected = Buffer.concat([
            bytes.subarray(0, start),
            masked(bytes.subarray(start, start + length), MASKING_KEY),
            bytes.subarray(start + length),
          ]);
          const where = `${length} bytes from ${start}, misaligned by ${misalignment}`;
          assert.equal(chunk.toString('hex'), expected.toString('hex'), where);

          const nextKey = Buffer.alloc(4);
          nextKey.writeInt32LE(next);
          const turned = Array.from(nextKey, (_, i) => MASKING_KEY[(length + i) % 4]);
          assert.deepEqual([...nextKey], turned, `key after ${where}`);
        }
      }
    }
  });

  it('carries the key over pieces of any size, wherever they lie in their chunks', () => {
    const pieces = fc.array(
      fc.record({ bytes: fc.uint8Array({ maxLength: 120, size: 'max' }), start: fc.nat(9), misalignment: fc.nat(7) }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(pieces, fc.uint8Array({ minLength: 4, maxLength: 4 }), (list, key) => {
        const maskingKey = Buffer.from(key);
        const masker = new Masker();
        let at = maskingKey.readInt32LE(0);
        const out: Buffer[] = [];
        for (const { bytes, start, misalignment } of list) {
          const chunk = misalign(Buffer.concat([Buffer.alloc(start), bytes]), misalignment);
          at = masker.apply(chunk, start, chunk.length, at);
          out.push(chunk.subarray(start));
        }
        const whole = Buffer.concat(list.map(({ bytes }) => bytes));
        assert.equal(Buffer.concat(out).toString('hex'), masked(whole, maskingKey).toString('hex'));
      }),
      { numRuns: 300 },
    );
  });

  it('serves several payloads of one chunk, then another chunk, also after release', () => {
    const masker = new Masker();
    for (let round = 0; round < 2; round++) {
      const zeros = misalign(Buffer.alloc(400), 3);
      masker.apply(zeros, 10, 110, KEY);
      masker.apply(zeros, 201, 301, KEY);
      masker.release();
      const expected = Buffer.alloc(400);
      masked(Buffer.alloc(100), MASKING_KEY).copy(expected, 10);
      masked(Buffer.alloc(100), MASKING_KEY).copy(expected, 201);
      assert.equal(zeros.toString('hex'), expected.toString('hex'));
    }
  });

  it('undoes itself', () => {
    const chunk = Buffer.from('the same operation masks and unmasks, at any length: '.repeat(3));
    const before = chunk.toString();
    const masker = new Masker();
    masker.apply(chunk, 0, chunk.length, KEY);
    assert.notEqual(chunk.toString(), before);
    masker.apply(chunk, 0, chunk.length, KEY);
    assert.equal(chunk.toString(), before);
  });
});

describe('randomMaskingKey (RFC 6455, 5.3)', () => {
  it('gives 32 bits, not twice the same over several refills of its pool', () => {
    const keys = new Set<number>();
    let everSet = 0;
    let everClear = 0;
    for (let i = 0; i < 3000; i++) {
      const maskingKey = randomMaskingKey();
      keys.add(maskingKey);
      everSet |= maskingKey;
      everClear |= ~maskingKey;
    }
    // Two equal keys among 3,000 random ones come up once in a thousand runs; three such pairs never.
    assert.ok(keys.size > 2997, `${keys.size} keys of 3,000 differ`);
    assert.equal(everSet, -1);
    assert.equal(everClear, -1);
  });
});
