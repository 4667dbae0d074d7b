import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CycleChecker } from '../../bench/load/checker.ts';
import { cycleOf, encodeWrites } from '../../bench/load/pattern.ts';
import { clockUs, STAMP_BYTES, stamped } from '../../bench/load/stamp.ts';
import { FrameParser } from '../../src/frame/parser.ts';

const HEADER_BYTES = 2;
const cycle = cycleOf({ payloadBytes: [100, STAMP_BYTES], messagesPerWrite: 1, text: true, stamped: true });
const writes = encodeWrites('server', cycle);

/** @returns when the messages say that they were written */
function read(bytes: Buffer, chunkBytes: number): number[] {
  const stamps: number[] = [];
  const parser = new FrameParser('client', new CycleChecker(cycle, (_, stampUs) => stamps.push(stampUs)));
  for (let at = 0; at < bytes.length; at += chunkBytes) parser.push(bytes.subarray(at, at + chunkBytes));
  return stamps;
}

for (const chunkBytes of [1, 7, 1000]) {
  it(`a message says when it was written, however it is cut (${chunkBytes} bytes)`, () => {
    const before = Math.floor(clockUs());
    const stamps = read(Buffer.concat(writes.map((write) => stamped(write, HEADER_BYTES))), chunkBytes);
    assert.equal(stamps.length, writes.length);
    for (const stamp of stamps) assert.ok(stamp >= before && stamp <= clockUs());
  });
}

it('a message without the moment, or with other content, is wrong', () => {
  const [first] = writes as [Buffer];
  assert.throws(() => read(first, 1000), { name: 'WrongAnswer' });
  const changed = stamped(first, HEADER_BYTES);
  changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
  assert.throws(() => read(changed, 1000), { name: 'WrongAnswer' });
});
