import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadBuffer } from '../../src/transport/read-buffer.ts';

const SMALL = 4 * 1024;
const LARGE = 64 * 1024;

/** As the socket does: reads into a buffer, hands the chunk over, asks for the next. @returns the next one's size */
function read(readBuffer: ReadBuffer, length: number, keep = false): number {
  readBuffer.chunk(length);
  if (keep) readBuffer.keep();
  return readBuffer.next().length;
}

test('starts small, and reads into the same buffer again and again', () => {
  const readBuffer = new ReadBuffer();
  const first = readBuffer.next();
  assert.equal(first.length, SMALL);
  first.write('chunk');
  const chunk = readBuffer.chunk(5);
  assert.equal(chunk.toString(), 'chunk');
  assert.equal(chunk.buffer, first.buffer);
  assert.equal(readBuffer.next(), first);
});

test('a kept chunk is not read over; the one after it is', () => {
  const readBuffer = new ReadBuffer();
  const first = readBuffer.next();
  readBuffer.chunk(5);
  readBuffer.keep();
  const second = readBuffer.next();
  assert.notEqual(second.buffer, first.buffer);
  readBuffer.chunk(5);
  assert.equal(readBuffer.next(), second);
});

test('grows once a read fills it, not before', () => {
  const readBuffer = new ReadBuffer();
  readBuffer.next();
  assert.equal(read(readBuffer, SMALL - 1), SMALL);
  assert.equal(read(readBuffer, SMALL), LARGE);
  assert.equal(read(readBuffer, LARGE), LARGE);
  assert.equal(read(readBuffer, LARGE, true), LARGE);
});

test('shrinks after four reads in a row that a small one would have held', () => {
  const readBuffer = new ReadBuffer();
  readBuffer.next();
  assert.equal(read(readBuffer, SMALL), LARGE);
  for (let round = 0; round < 3; round++) assert.equal(read(readBuffer, SMALL - 1), LARGE);
  assert.equal(read(readBuffer, SMALL), LARGE, 'one that it would not have held in between');
  for (let round = 0; round < 3; round++) assert.equal(read(readBuffer, 2), LARGE);
  assert.equal(read(readBuffer, 2), SMALL);
  assert.equal(read(readBuffer, 2), SMALL);
  assert.equal(read(readBuffer, SMALL), LARGE);
});

test('shrinks at the next read, a small one, where nothing has come for long', () => {
  const readBuffer = new ReadBuffer();
  readBuffer.next();
  assert.equal(read(readBuffer, SMALL), LARGE);
  assert.equal(read(readBuffer, LARGE - 1), LARGE);
  readBuffer.shrink();
  assert.equal(read(readBuffer, 2), SMALL);
  readBuffer.shrink();
  assert.equal(read(readBuffer, SMALL), LARGE, 'one that fills it');
});

test('has no memory of Node’s shared pool, which a kept chunk would hold on to', () => {
  assert.equal(new ReadBuffer().next().buffer.byteLength, SMALL);
});
