import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batch, MAX_BATCH_BYTES } from '../../src/transport/batch.ts';

test('what was put in its place and what was copied, in their order', () => {
  const batch = new Batch();
  const start = batch.claim(5);
  batch.buffer.write('first', start);
  assert.equal(batch.add(Buffer.from(' second')), true);
  assert.equal(batch.length, 12);
  assert.equal(batch.take().toString(), 'first second');
  assert.equal(batch.length, 0);
});

test('what is put there without a claim is no part of it', () => {
  const batch = new Batch();
  batch.buffer.write('never', batch.length);
  assert.equal(batch.length, 0);
  batch.add(Buffer.from('x'));
  assert.equal(batch.take().toString(), 'x');
});

test('both sides of what it holds; what has no room changes nothing', () => {
  const batch = new Batch();
  assert.equal(batch.claim(MAX_BATCH_BYTES + 1), -1);
  assert.equal(batch.add(Buffer.alloc(MAX_BATCH_BYTES + 1)), false);
  assert.equal(batch.length, 0);
  assert.equal(batch.add(Buffer.alloc(MAX_BATCH_BYTES - 1)), true);
  assert.equal(batch.claim(2), -1);
  assert.equal(batch.claim(1), MAX_BATCH_BYTES - 1);
  assert.equal(batch.claim(1), -1);
  assert.equal(batch.take().length, MAX_BATCH_BYTES);
});

test('what was taken is overwritten by what comes next, unless it is kept', () => {
  const batch = new Batch();
  batch.add(Buffer.from('first'));
  const overwritten = batch.take();
  batch.release(false);
  batch.add(Buffer.from('again'));
  assert.equal(overwritten.toString(), 'again');
  const kept = batch.take();
  batch.release(true);
  batch.add(Buffer.from('other'));
  assert.equal(kept.toString(), 'again');
});

for (const addedBytes of [1, 100, 4096]) {
  test(`grown by ${addedBytes} bytes at a time it is as it was put in, and kept it holds at most four times that or 8 KiB`, () => {
    const expected: Buffer[] = [];
    const batch = new Batch();
    for (let length = 0; length + addedBytes <= MAX_BATCH_BYTES; length += addedBytes) {
      const bytes = Buffer.alloc(addedBytes, length);
      expected.push(bytes);
      batch.add(bytes);
      const heldBytes = batch.buffer.buffer.byteLength;
      assert.ok(heldBytes <= Math.max(8 * 1024, 4 * batch.length), `${heldBytes} for ${batch.length}`);
    }
    assert.ok(batch.take().equals(Buffer.concat(expected)));
    batch.release(false);
    assert.equal(batch.buffer.buffer.byteLength, 8 * 1024, 'the next one is small again');
  });
}

test('two that are filled at the same time share no memory', () => {
  const [one, other] = [new Batch(), new Batch()];
  for (let turn = 0; turn < 200; turn++) {
    one.add(Buffer.alloc(500, 'a'));
    other.add(Buffer.alloc(500, 'b'));
  }
  assert.equal(one.take().toString(), 'a'.repeat(100_000));
  assert.equal(other.take().toString(), 'b'.repeat(100_000));
});
