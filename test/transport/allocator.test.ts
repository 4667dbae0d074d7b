import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeChunk } from '../../src/transport/allocator.ts';

const LARGE_BYTES = 16 * 1024;

test('a large chunk with memory of its own is freed', () => {
  for (let i = 0; i < 2; i++) {
    const chunk = Buffer.allocUnsafeSlow(LARGE_BYTES);
    freeChunk(chunk);
    assert.equal(chunk.length, 0);
    assert.equal(chunk.buffer.byteLength, 0);
  }
});

test('what is freed does not wait for the garbage', () => {
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 1000; i++) freeChunk(Buffer.alloc(64 * LARGE_BYTES, 'x'));
  const grownBytes = process.memoryUsage.rss() - before;
  assert.ok(grownBytes < 20 * 64 * LARGE_BYTES, `${grownBytes} bytes more`);
});

test('a smaller one is left alone', () => {
  const chunk = Buffer.allocUnsafeSlow(LARGE_BYTES - 1);
  freeChunk(chunk);
  assert.equal(chunk.length, LARGE_BYTES - 1);
});

test('one that shares its memory is left alone', () => {
  const memory = Buffer.alloc(2 * LARGE_BYTES, 'x');
  for (const chunk of [memory.subarray(0, LARGE_BYTES), memory.subarray(LARGE_BYTES)]) {
    freeChunk(chunk);
    assert.equal(chunk.length, LARGE_BYTES);
  }
  assert.equal(memory.toString(), 'x'.repeat(2 * LARGE_BYTES));
});
