import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { freeChunk } from '../../src/transport/allocator.ts';

const FULL_READ_BYTES = 64 * 1024;
const skip = !('transfer' in ArrayBuffer.prototype) && 'this Node cannot free';

describe('a chunk that is freed', { skip }, () => {
  test('is empty', () => {
    const chunk = Buffer.allocUnsafeSlow(FULL_READ_BYTES);
    freeChunk(chunk);
    assert.equal(chunk.length, 0);
    assert.equal(chunk.buffer.byteLength, 0);
  });

  test('does not wait for the garbage', () => {
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 2000; i++) freeChunk(Buffer.alloc(FULL_READ_BYTES, 'x'));
    const grownBytes = process.memoryUsage.rss() - before;
    assert.ok(grownBytes < 200 * FULL_READ_BYTES, `${grownBytes} bytes more`);
  });
});

describe('a chunk that is left alone', { skip }, () => {
  for (const length of [1, FULL_READ_BYTES - 1, FULL_READ_BYTES + 1]) {
    test(`is of ${length} bytes`, () => {
      const chunk = Buffer.allocUnsafeSlow(length);
      freeChunk(chunk);
      assert.equal(chunk.length, length);
    });
  }

  test('shares its memory', () => {
    const memory = Buffer.alloc(2 * FULL_READ_BYTES, 'x');
    for (const chunk of [memory.subarray(0, FULL_READ_BYTES), memory.subarray(FULL_READ_BYTES)]) {
      freeChunk(chunk);
      assert.equal(chunk.length, FULL_READ_BYTES);
    }
    assert.equal(memory.toString(), 'x'.repeat(2 * FULL_READ_BYTES));
  });
});
