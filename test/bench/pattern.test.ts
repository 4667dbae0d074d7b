import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CycleChecker, VerbatimChecker } from '../../bench/load/checker.ts';
import { cycleOf, encodeWrites, type WritePattern } from '../../bench/load/pattern.ts';
import { FrameParser } from '../../src/frame/parser.ts';
import type { Side } from '../../src/frame/vocabulary.ts';

/** Parses writes as the other side does, in chunks of some size. @returns the payload lengths that were found right */
function check(side: Side, pattern: WritePattern, bytes: Buffer, chunkBytes = bytes.length): number[] {
  const lengths: number[] = [];
  const checker = new CycleChecker(cycleOf(pattern), (payloadBytes) => lengths.push(payloadBytes));
  const parser = new FrameParser(side === 'client' ? 'server' : 'client', checker);
  for (let at = 0; at < bytes.length; at += chunkBytes) parser.push(bytes.subarray(at, at + chunkBytes));
  return lengths;
}

describe('the write pattern of a load', () => {
  it('puts as many messages into a write as it says, and repeats the sizes in turn', () => {
    const pattern = { payloadBytes: [10, 300, 70_000], messagesPerWrite: 2 };
    const writes = encodeWrites('server', cycleOf(pattern));
    assert.equal(writes.length, 6);
    assert.deepEqual(
      writes.slice(0, 3).map(({ length }) => length),
      [2 + 10 + 4 + 300, 10 + 70_000 + 2 + 10, 4 + 300 + 10 + 70_000],
    );
  });

  for (const side of ['client', 'server'] as const) {
    it(`is what the checker expects, however it is cut (${side})`, () => {
      const pattern = { payloadBytes: [0, 5, 130], messagesPerWrite: 1, text: true };
      const writes = encodeWrites(side, cycleOf(pattern));
      for (const chunkBytes of [1, 3, 1000]) {
        // Parsing unmasks in place.
        const bytes = Buffer.concat([...writes, ...writes]);
        const lengths = check(side, pattern, bytes, chunkBytes);
        assert.deepEqual(lengths, [0, 5, 130, 0, 5, 130, 0, 5, 130, 0, 5, 130]);
      }
    });
  }

  for (const messagesPerWrite of [1, 16]) {
    it(`is not the same write over again, so that one lost or made twice is seen (${messagesPerWrite} messages)`, () => {
      const pattern = { payloadBytes: [20], messagesPerWrite };
      const [first, second, third] = encodeWrites('server', cycleOf(pattern)) as [Buffer, Buffer, Buffer];
      for (const wrong of [
        [first, third],
        [first, first, second],
      ]) {
        assert.throws(() => check('server', pattern, Buffer.concat(wrong)), {
          name: 'WrongAnswer',
          message: new RegExp(`message ${messagesPerWrite}: not the content`),
        });
      }
    });
  }

  it('is compared as on the wire if it arrives verbatim, with any cuts', () => {
    const pattern = { payloadBytes: [0, 5, 130], messagesPerWrite: 2, verbatim: true };
    const bytes = Buffer.concat([
      ...encodeWrites('server', cycleOf(pattern)),
      ...encodeWrites('server', cycleOf(pattern)),
    ]);
    for (const chunkBytes of [1, 3, 1000]) {
      const lengths: number[] = [];
      const checker = new VerbatimChecker(cycleOf(pattern), (payloadBytes) => lengths.push(payloadBytes));
      for (let at = 0; at < bytes.length; at += chunkBytes) checker.push(bytes.subarray(at, at + chunkBytes));
      assert.deepEqual(
        lengths,
        [...cycleOf(pattern).payloads, ...cycleOf(pattern).payloads].map(({ length }) => length),
      );
    }
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    const checker = new VerbatimChecker(cycleOf(pattern), () => {});
    assert.throws(() => checker.push(bytes), { name: 'WrongAnswer' });
  });

  it('is told from another length, and from text', () => {
    const pattern = { payloadBytes: [20], messagesPerWrite: 1 };
    for (const other of [
      { ...pattern, payloadBytes: [21] },
      { ...pattern, text: true },
    ]) {
      const bytes = Buffer.concat(encodeWrites('server', cycleOf(other)));
      assert.throws(() => check('server', pattern, bytes), { name: 'WrongAnswer', message: /message 0: opcode 2/ });
    }
  });
});
