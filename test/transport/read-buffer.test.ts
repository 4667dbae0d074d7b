import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadBuffer } from '../../src/transport/read-buffer.ts';

const FULL = 64 * 1024;

/** As the socket does: reads so many bytes into what it was given, and hands the chunk over. */
function read(readBuffer: ReadBuffer, length: number, byte = 'x'): Buffer {
  readBuffer.next().fill(byte, 0, length);
  return readBuffer.chunk(length);
}

test('while little comes, all read into one buffer, and what came is a copy', () => {
  const [one, other] = [new ReadBuffer(), new ReadBuffer()];
  const into = one.next();
  assert.equal(into.length, FULL);
  assert.equal(other.next(), into);
  const chunk = read(one, 5, 'a');
  assert.equal(read(other, FULL - 1, 'b').length, FULL - 1);
  assert.equal(chunk.toString(), 'aaaaa');
  assert.equal(one.next(), into);
});

test('a large copy is made into a buffer that is used again, unless it is kept', () => {
  const LARGE = 4 * 1024;
  const [one, other] = [new ReadBuffer(), new ReadBuffer()];
  const shared = one.next();
  const copy = read(one, LARGE, 'a');
  assert.notEqual(copy.buffer, shared.buffer);
  assert.ok(copy.every((byte) => byte === 0x61));
  assert.equal(one.next(), shared);
  assert.equal(read(other, LARGE, 'b').buffer, copy.buffer);
  const kept = read(one, LARGE, 'c');
  assert.notEqual(kept.buffer, copy.buffer, 'the other has it');
  one.keep();
  for (const each of [one, other]) assert.equal(each.next(), shared);
  for (const each of [one, other]) assert.notEqual(read(each, LARGE, 'd').buffer, kept.buffer);
  assert.ok(kept.every((byte) => byte === 0x63));
  assert.notEqual(
    read(one, LARGE - 1).byteLength,
    read(one, LARGE - 1).buffer.byteLength,
    'a smaller one is of the pool',
  );
});

test('once a read fills it, a socket has a buffer of its own, and nothing is copied', () => {
  const [one, other] = [new ReadBuffer(), new ReadBuffer()];
  const shared = one.next();
  assert.equal(read(one, FULL).length, FULL);
  const own = one.next();
  assert.notEqual(own, shared);
  assert.equal(other.next(), shared);
  assert.equal(read(one, FULL).buffer, own.buffer);
  assert.equal(one.next(), own, 'again and again');
  assert.equal(read(one, FULL - 1).buffer, own.buffer);
  assert.equal(one.next(), shared, 'until a read does not');
});

test('a kept chunk is not read over, neither by its own socket nor by another that pours', () => {
  const [one, other] = [new ReadBuffer(), new ReadBuffer()];
  read(one, FULL);
  const kept = read(one, FULL, 'k');
  one.keep();
  const next = read(one, FULL, 'n');
  assert.notEqual(next.buffer, kept.buffer);
  assert.equal(read(one, FULL, 'm').buffer, next.buffer, 'only that one was kept');
  const last = read(one, 7, 'l');
  one.keep();
  one.next();
  read(other, FULL);
  assert.notEqual(read(other, FULL, 'o').buffer, last.buffer);
  assert.equal(String(last), 'lllllll');
  assert.ok(kept.every((byte) => byte === 0x6b));
});

test('a buffer that is not needed any more serves the next that pours', () => {
  const [one, other] = [new ReadBuffer(), new ReadBuffer()];
  read(one, FULL);
  const own = one.next();
  one.release();
  read(other, FULL);
  assert.equal(other.next(), own);
  other.keep();
  other.release();
  const third = new ReadBuffer();
  read(third, FULL);
  assert.notEqual(third.next(), own, 'kept to the end');
});
