import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BoundaryWalker } from '../../src/frame/boundary.ts';
import type { FrameHeader } from '../../src/frame/header.ts';
import { FrameParser } from '../../src/frame/parser.ts';
import { Opcode, ProtocolError, type Side } from '../../src/frame/vocabulary.ts';
import { chop, chopBy } from '../support/chop.ts';
import { everySplit } from '../support/every-split.ts';
import { MASKING_KEY, type RawFrame, rawFrame } from '../support/raw-frame.ts';

const SIDES: Side[] = ['server', 'client'];

/** The frames as the peer of `side` sends them. */
function stream(side: Side, frames: RawFrame[]): Buffer {
  const maskingKey = side === 'server' ? MASKING_KEY : undefined;
  return Buffer.concat(frames.map((frame) => rawFrame({ maskingKey, ...frame })));
}

interface Outcome {
  /** The bytes that go on. */
  passed: string;
  closed: boolean;
  error: string | null;
  atBoundary: boolean;
}

function walk(side: Side, chunks: Iterable<Buffer>): Outcome {
  const walker = new BoundaryWalker(side);
  const passed: Buffer[] = [];
  for (const chunk of chunks) passed.push(chunk.subarray(0, walker.walk(chunk)));
  const { closed, error, atBoundary } = walker;
  return {
    passed: Buffer.concat(passed).toString('hex'),
    closed,
    error: error && `${error.closeCode} ${error.message}`,
    atBoundary,
  };
}

for (const side of SIDES) {
  describe(`BoundaryWalker, as a ${side}`, () => {
    const LEGAL: RawFrame[] = [
      { opcode: 1 },
      { opcode: 1, payload: 'Hello', fin: false },
      { opcode: 9, payload: 'p' },
      { opcode: 0 },
      { opcode: 2, payload: Buffer.alloc(125) },
      { opcode: 2, payload: Buffer.alloc(126) },
      { opcode: 10, payload: Buffer.alloc(125) },
    ];

    it('passes every byte of legal frames on, and is at a boundary after the last', () => {
      const bytes = stream(side, LEGAL);
      everySplit(bytes, (chunks) => {
        assert.deepEqual(walk(side, chunks), {
          passed: bytes.toString('hex'),
          closed: false,
          error: null,
          atBoundary: true,
        });
      });
    });

    it('changes none of them', () => {
      const bytes = stream(side, LEGAL);
      const chunk = Buffer.from(bytes);
      new BoundaryWalker(side).walk(chunk);
      assert.ok(chunk.equals(bytes));
    });

    it('is at a boundary between two frames, and nowhere else', () => {
      const boundaries = new Set([0]);
      for (const [i] of LEGAL.entries()) boundaries.add(stream(side, LEGAL.slice(0, i + 1)).length);
      const bytes = stream(side, LEGAL);
      const walker = new BoundaryWalker(side);
      assert.equal(walker.atBoundary, true);
      for (const [i, byte] of chop(bytes, 1).entries()) {
        walker.walk(byte);
        assert.equal(walker.atBoundary, boundaries.has(i + 1), `byte by byte, after ${i + 1}`);
      }
      for (let end = 0; end <= bytes.length; end++) {
        const { atBoundary } = walk(side, [bytes.subarray(0, end)]);
        assert.equal(atBoundary, boundaries.has(end), `whole, after ${end}`);
      }
    });

    for (const length of [65535, 65536]) {
      it(`steps over ${length} bytes`, () => {
        const bytes = stream(side, [{ opcode: 2, payload: Buffer.alloc(length) }, { opcode: 9 }]);
        for (const size of [1, 3, 997, 65536, bytes.length]) {
          const { passed, error, atBoundary } = walk(side, chop(bytes, size));
          assert.deepEqual(
            { length: passed.length / 2, error, atBoundary },
            {
              length: bytes.length,
              error: null,
              atBoundary: true,
            },
          );
        }
      });
    }

    it('leaves reserved bits to the two ends', () => {
      for (const rsv of [1, 2, 4, 7]) {
        const bytes = stream(side, [
          { opcode: 1, rsv, payload: 'deflated', fin: false },
          { opcode: 0, payload: Buffer.alloc(200) },
          { opcode: 9, rsv, payload: 'p' },
        ]);
        everySplit(bytes, (chunks) => {
          assert.deepEqual(walk(side, chunks), {
            passed: bytes.toString('hex'),
            closed: false,
            error: null,
            atBoundary: true,
          });
        });
      }
    });

    it('leaves the order of frames, close codes and UTF-8 to the two ends', () => {
      const bytes = stream(side, [
        { opcode: 0, payload: Buffer.from([0xff]) },
        { opcode: 1, fin: false },
        { opcode: 1, payload: Buffer.from([0x80]) },
        { opcode: 8, payload: 'x' },
      ]);
      everySplit(bytes, (chunks) => {
        assert.deepEqual(walk(side, chunks), {
          passed: bytes.toString('hex'),
          closed: true,
          error: null,
          atBoundary: true,
        });
      });
    });

    for (const payload of [Buffer.alloc(0), Buffer.from('03e8', 'hex'), Buffer.alloc(125)]) {
      it(`5.5.1: passes a close of ${payload.length} bytes on whole, and nothing after it`, () => {
        const passed = stream(side, [
          { opcode: 1, payload: 'last' },
          { opcode: 8, payload },
        ]);
        const bytes = Buffer.concat([passed, stream(side, [{ opcode: 1, payload: 'late' }, { opcode: 3 }])]);
        everySplit(bytes, (chunks) => {
          assert.deepEqual(walk(side, chunks), {
            passed: passed.toString('hex'),
            closed: true,
            error: null,
            atBoundary: true,
          });
        });
        everySplit(passed.subarray(0, -1), (chunks) => assert.equal(walk(side, chunks).closed, false));
      });
    }

    const wrongMask = side === 'server' ? undefined : MASKING_KEY;
    const ILLEGAL: [frame: RawFrame, error: string][] = [
      [{ opcode: 3 }, '1002 unknown opcode'],
      [{ opcode: 15, payload: Buffer.alloc(126) }, '1002 unknown opcode'],
      [{ opcode: 7, rsv: 4 }, '1002 unknown opcode'],
      [
        { opcode: 1, payload: 'x', maskingKey: wrongMask },
        side === 'server' ? '1002 frame is not masked' : '1002 frame is masked',
      ],
      [{ opcode: 8, fin: false }, '1002 control frame is fragmented'],
      [{ opcode: 9, payload: Buffer.alloc(126) }, '1002 control frame is too long'],
      [{ opcode: 10, payload: Buffer.alloc(65536) }, '1002 control frame is too long'],
      [{ opcode: 9, payload: 'x', lengthForm: 16 }, '1002 length is not minimal'],
      [{ opcode: 2, payload: Buffer.alloc(125), lengthForm: 16 }, '1002 length is not minimal'],
      [{ opcode: 2, announcedLength: 65535n, lengthForm: 64 }, '1002 length is not minimal'],
      [{ opcode: 2, announcedLength: 2n ** 53n }, '1009 frame is too large'],
      [{ opcode: 2, announcedLength: 2n ** 63n }, '1002 length has its top bit set'],
    ];
    for (const [frame, error] of ILLEGAL) {
      it(`refuses ${error} at the header, and passes on what came before it`, () => {
        const before = stream(side, LEGAL.slice(0, 3));
        const headerLength = stream(side, [frame]).length - (frame.payload?.length ?? 0);
        const bytes = Buffer.concat([before, stream(side, [frame]).subarray(0, headerLength), Buffer.from('junk')]);
        everySplit(bytes, (chunks) => {
          const outcome = walk(side, chunks);
          assert.equal(outcome.error, error);
          assert.equal(outcome.closed, false);
          // Bytes of the header that came in earlier chunks have gone on; then the stream has ended inside a frame.
          let early = 0;
          for (let at = 0; at < before.length + headerLength; ) {
            early = Math.max(0, at - before.length);
            at += (chunks.shift() as Buffer).length;
          }
          assert.equal(outcome.passed, bytes.toString('hex', 0, before.length + early));
          assert.equal(outcome.atBoundary, early === 0);
        });
      });
    }

    it('takes a length of 2^53 - 1, and waits', () => {
      const walker = new BoundaryWalker(side);
      const bytes = stream(side, [{ opcode: 2, announcedLength: 2n ** 53n - 1n, payload: 'a beginning' }]);
      assert.equal(walker.walk(bytes), bytes.length);
      assert.deepEqual([walker.error, walker.closed, walker.atBoundary], [null, false, false]);
    });

    const sizes = fc.array(fc.nat(40), { minLength: 1, maxLength: 6 }).filter((list) => list.some((size) => size > 0));
    // Noise dies at its first header; so frames, mostly legal, with noise between and after.
    const frame = fc
      .record({
        opcode: fc.oneof({ weight: 20, arbitrary: fc.constantFrom(0, 1, 2, 9, 10) }, fc.nat(15)),
        fin: fc.oneof({ weight: 10, arbitrary: fc.constant(true) }, fc.boolean()),
        payload: fc.uint8Array({ maxLength: 140, size: 'max' }).map((bytes) => Buffer.from(bytes)),
        lengthForm: fc.oneof(
          { weight: 20, arbitrary: fc.constant(undefined) },
          fc.constantFrom(16 as const, 64 as const),
        ),
      })
      .map(({ lengthForm, ...raw }) => stream(side, [lengthForm === undefined ? raw : { ...raw, lengthForm }]));
    const noise = fc.uint8Array({ maxLength: 16, size: 'max' }).map((bytes) => Buffer.from(bytes));
    const anyBytes = fc.array(fc.oneof({ weight: 8, arbitrary: frame }, noise), { maxLength: 10 }).map(Buffer.concat);

    /**
     * What FrameParser makes of the same bytes: where the last whole frame ended, whether that was a close, and why it
     * stopped. It refuses reserved bits, so the caller clears them.
     */
    function parse(bytes: Buffer): { end: number; closed: boolean; error: string | null; reservedAt: number | null } {
      let opcode = 0;
      let end = 0;
      let headerLength = 0;
      let payloadLength = 0;
      let closed = false;
      const parser = new FrameParser(side, {
        onHeader(header: FrameHeader) {
          ({ opcode, headerLength, payloadLength } = header);
        },
        onPayload(_chunk, _start, _end, last) {
          if (!last) return;
          end += headerLength + payloadLength;
          if (opcode !== Opcode.CLOSE) return;
          closed = true;
          parser.stop();
        },
      });
      try {
        parser.push(Buffer.from(bytes));
        return { end, closed, error: null, reservedAt: null };
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
        if (error.message === 'reserved bit is set') return { end, closed, error: null, reservedAt: end };
        return { end, closed, error: `${error.closeCode} ${error.message}`, reservedAt: null };
      }
    }

    it('agrees with FrameParser on the ends of frames and on illegal headers, for any bytes at any chunking', () => {
      fc.assert(
        fc.property(anyBytes, sizes, (bytes, list) => {
          let parsed = parse(bytes);
          while (parsed.reservedAt !== null) {
            bytes.writeUInt8(bytes.readUInt8(parsed.reservedAt) & 0x8f, parsed.reservedAt);
            parsed = parse(bytes);
          }
          const outcome = walk(side, chopBy(bytes, list));
          assert.equal(outcome.error, parsed.error);
          assert.equal(outcome.closed, parsed.closed);
          if (parsed.closed) {
            assert.equal(outcome.passed, bytes.toString('hex', 0, parsed.end));
          } else if (parsed.error === null) {
            assert.equal(outcome.passed, bytes.toString('hex'));
            assert.equal(outcome.atBoundary, parsed.end === bytes.length);
          } else {
            // In one piece, just what came before the illegal header; in more, perhaps its first bytes too.
            assert.equal(walk(side, [bytes]).passed, bytes.toString('hex', 0, parsed.end));
            assert.ok(bytes.toString('hex').startsWith(outcome.passed));
            assert.equal(outcome.atBoundary, outcome.passed.length === parsed.end * 2);
          }
        }),
        { numRuns: 500 },
      );
    });
  });
}
