import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OUTBOX_BYTES, Outbox } from '../../src/transport/outbox.ts';

test('what was put in its place and what was copied, in their order', () => {
  const outbox = new Outbox();
  outbox.buffer.write('first', outbox.length);
  outbox.advance(5);
  outbox.add(Buffer.from(' second'));
  assert.equal(outbox.length, 12);
  assert.equal(outbox.take().toString(), 'first second');
  assert.equal(outbox.length, 0);
});

test('what is put there without an advance is no part of it', () => {
  const outbox = new Outbox();
  outbox.buffer.write('never', outbox.length);
  assert.equal(outbox.length, 0);
  outbox.add(Buffer.from('x'));
  assert.equal(outbox.take().toString(), 'x');
});

test('both sides of what it holds', () => {
  const outbox = new Outbox();
  assert.equal(outbox.hasRoom(OUTBOX_BYTES), true);
  assert.equal(outbox.hasRoom(OUTBOX_BYTES + 1), false);
  outbox.add(Buffer.alloc(OUTBOX_BYTES - 1));
  assert.equal(outbox.hasRoom(1), true);
  assert.equal(outbox.hasRoom(2), false);
});

test('what was taken is overwritten by what comes next, unless it is kept', () => {
  const outbox = new Outbox();
  outbox.add(Buffer.from('first'));
  const overwritten = outbox.take();
  outbox.add(Buffer.from('again'));
  assert.equal(overwritten.toString(), 'again');
  const kept = outbox.take();
  outbox.keep();
  outbox.add(Buffer.from('other'));
  assert.equal(kept.toString(), 'again');
});
