import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { FrameParser } from '../../src/frame/parser.ts';
import { CloseCode, ProtocolError, type Side } from '../../src/frame/vocabulary.ts';
import { chop, chopBy } from '../support/chop.ts';
import { everySplit } from '../support/every-split.ts';
import { MASKING_KEY, type RawFrame, rawFrame } from '../support/raw-frame.ts';
import { type RecordedFrame, RecordingFrameSink } from '../support/recording-sink.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const SIDES: Side[] = ['server', 'client'];

interface Outcome {
  frames: RecordedFrame[];
  error: string | null;
  atBoundary: boolean;
}

/** What the parser tells of the chunks, up to the first illegal header. */
function parse(side: Side, chunks: Iterable<Buffer>): Outcome {
  const sink = new RecordingFrameSink();
  const parser = new FrameParser(side, sink);
  let error: string | null = null;
  try {
    for (const chunk of chunks) parser.push(chunk);
  } catch (thrown) {
    assert.ok(thrown instanceof ProtocolError);
    error = `${thrown.closeCode} ${thrown.message}`;
  }
  return { frames: sink.frames, error, atBoundary: parser.atBoundary };
}

/** The frames as the peer of `side` sends them. */
function stream(side: Side, frames: RawFrame[]): Buffer {
  const maskingKey = side === 'server' ? MASKING_KEY : undefined;
  return Buffer.concat(frames.map((frame) => rawFrame({ maskingKey, ...frame })));
}

/** What a parser should tell of such frames. */
function told(frames: RawFrame[]): RecordedFrame[] {
  return frames.map(({ fin = true, opcode, payload = '' }) => {
    return { fin, opcode, payload: Buffer.from(payload).toString('hex'), whole: true };
  });
}

/** The examples of RFC 6455, 5.7, that the named side receives. */
const EXAMPLES: [what: string, side: Side, hex: string, frames: RawFrame[]][] = [
  ['a single-frame unmasked text message', 'client', '810548656c6c6f', [{ opcode: 1, payload: 'Hello' }]],
  ['a single-frame masked text message', 'server', '818537fa213d7f9f4d5158', [{ opcode: 1, payload: 'Hello' }]],
  [
    'a fragmented unmasked text message',
    'client',
    '010348656c80026c6f',
    [
      { opcode: 1, payload: 'Hel', fin: false },
      { opcode: 0, payload: 'lo' },
    ],
  ],
  ['an unmasked ping request', 'client', '890548656c6c6f', [{ opcode: 9, payload: 'Hello' }]],
  ['a masked pong response', 'server', '8a8537fa213d7f9f4d5158', [{ opcode: 10, payload: 'Hello' }]],
  [
    '256 bytes of binary in a single unmasked frame',
    'client',
    `827e0100${'01'.repeat(256)}`,
    [{ opcode: 2, payload: Buffer.alloc(256, 1) }],
  ],
];

const STREAMS: [what: string, frames: RawFrame[]][] = [
  ['an empty frame', [{ opcode: 1 }]],
  ['empty frames in a row', [{ opcode: 1, fin: false }, { opcode: 0, fin: false }, { opcode: 0 }, { opcode: 9 }]],
  ['every opcode', [1, 2, 0, 8, 9, 10].map((opcode) => ({ opcode, payload: `${opcode}` }))],
  ['125 bytes, the most of the short form', [{ opcode: 2, payload: Buffer.alloc(125, 'ab') }]],
  ['126 bytes, the least of 16 bits', [{ opcode: 2, payload: Buffer.alloc(126, 'ab') }]],
  [
    'payloads on both sides of where longs are masked',
    [47, 48, 49, 50, 51, 52].map((length) => ({ opcode: 2, payload: Buffer.alloc(length, 'abcde') })),
  ],
];

for (const side of SIDES) {
  describe(`FrameParser, as a ${side}`, () => {
    for (const [what, reader, hex, frames] of EXAMPLES.filter(([, reader]) => reader === side)) {
      it(`5.7: ${what}`, () => {
        everySplit(Buffer.from(hex, 'hex'), (chunks) => {
          assert.deepEqual(parse(reader, chunks), { frames: told(frames), error: null, atBoundary: true });
        });
      });
    }

    for (const [what, frames] of STREAMS) {
      it(`takes ${what}`, () => {
        everySplit(stream(side, frames), (chunks) => {
          assert.deepEqual(parse(side, chunks), { frames: told(frames), error: null, atBoundary: true });
        });
      });
    }

    for (const length of [65535, 65536]) {
      it(`takes ${length} bytes, however they are cut`, () => {
        const frames = [
          { opcode: 2, payload: Buffer.alloc(length, 'abcdefg') },
          { opcode: 9, payload: 'next' },
        ];
        const bytes = stream(side, frames);
        for (const size of [1, 2, 3, 997, 4096, 65536, bytes.length]) {
          assert.deepEqual(parse(side, chop(bytes, size)), { frames: told(frames), error: null, atBoundary: true });
        }
      });
    }

    const wrongMask = side === 'server' ? undefined : MASKING_KEY;
    const ILLEGAL: [frame: RawFrame, error: string][] = [
      [{ opcode: 1, payload: 'x', rsv: 4 }, '1002 reserved bit is set'],
      [{ opcode: 1, payload: 'x', rsv: 2 }, '1002 reserved bit is set'],
      [{ opcode: 1, payload: 'x', rsv: 1 }, '1002 reserved bit is set'],
      [{ opcode: 3, payload: 'x' }, '1002 unknown opcode'],
      [{ opcode: 11, payload: 'x' }, '1002 unknown opcode'],
      [
        { opcode: 1, payload: 'x', maskingKey: wrongMask },
        side === 'server' ? '1002 frame is not masked' : '1002 frame is masked',
      ],
      [{ opcode: 9, payload: 'x', fin: false }, '1002 control frame is fragmented'],
      [{ opcode: 9, payload: Buffer.alloc(126) }, '1002 control frame is too long'],
      [{ opcode: 2, payload: 'x', lengthForm: 16 }, '1002 length is not minimal'],
      [{ opcode: 2, payload: 'x', lengthForm: 64 }, '1002 length is not minimal'],
      [{ opcode: 2, announcedLength: 2n ** 53n }, '1009 frame is too large'],
      [{ opcode: 2, announcedLength: 2n ** 63n }, '1002 length has its top bit set'],
    ];
    for (const [frame, error] of ILLEGAL) {
      it(`refuses ${error} at the header, after all that was legal`, () => {
        const before: RawFrame[] = [
          { opcode: 1, payload: 'Hello' },
          { opcode: 10, payload: '' },
        ];
        const legal = stream(side, before);
        const bytes = Buffer.concat([legal, stream(side, [frame, { opcode: 1, payload: 'never told' }])]);
        everySplit(bytes, (chunks) => {
          const outcome = parse(side, chunks);
          assert.deepEqual(outcome.frames, told(before));
          assert.equal(outcome.error, error);
        });
        // The header alone is enough: nothing waits for a payload, which may never come.
        const headerLength = stream(side, [frame]).length - Buffer.from(frame.payload ?? '').length;
        const header = bytes.subarray(0, legal.length + headerLength);
        everySplit(header, (chunks) => assert.equal(parse(side, chunks).error, error));
        everySplit(header.subarray(0, -1), (chunks) => assert.equal(parse(side, chunks).error, null));
      });
    }

    it('takes a length of 2^53 - 1, and waits', () => {
      const bytes = stream(side, [{ opcode: 2, announcedLength: 2n ** 53n - 1n, payload: 'a beginning' }]);
      everySplit(bytes, (chunks) => {
        const { frames, error, atBoundary } = parse(side, chunks);
        assert.equal(error, null);
        assert.equal(atBoundary, false);
        assert.deepEqual(frames, [
          { fin: true, opcode: 2, payload: Buffer.from('a beginning').toString('hex'), whole: false },
        ]);
      });
    });

    it('is at a boundary before the first byte of a frame and after its last, and nowhere between', () => {
      const frames = [{ opcode: 1, payload: 'Hello' }, { opcode: 9 }, { opcode: 2, payload: Buffer.alloc(126) }];
      const boundaries = new Set([0]);
      for (const [i] of frames.entries()) boundaries.add(stream(side, frames.slice(0, i + 1)).length);
      const parser = new FrameParser(side, new RecordingFrameSink());
      let at = 0;
      assert.equal(parser.atBoundary, true);
      for (const byte of chop(stream(side, frames), 1)) {
        parser.push(byte);
        at++;
        assert.equal(parser.atBoundary, boundaries.has(at), `after ${at} bytes`);
      }
    });

    it('tells nothing more of the chunk in hand once stopped, says how far it came, and can go on', () => {
      class StoppingSink extends RecordingFrameSink {
        parser: FrameParser | null = null;
        override onPayload(chunk: Buffer, start: number, end: number, last: boolean): void {
          super.onPayload(chunk, start, end, last);
          if (last && this.frames.length === 2) this.parser?.stop();
        }
      }
      const frames = ['one', 'two', 'three'].map((payload) => ({ opcode: 1, payload }));
      everySplit(stream(side, frames), (chunks) => {
        const sink = new StoppingSink();
        sink.parser = new FrameParser(side, sink);
        const rest: Buffer[] = [];
        for (const chunk of chunks) {
          if (rest.length > 0) {
            rest.push(chunk);
            continue;
          }
          const taken = sink.parser.push(chunk);
          if (sink.frames.length === 2 && sink.frames[1]?.whole) rest.push(chunk.subarray(taken));
          else assert.equal(taken, chunk.length);
        }
        assert.deepEqual(sink.frames, told(frames.slice(0, 2)));
        for (const chunk of rest) sink.parser.push(chunk);
        assert.deepEqual(sink.frames, told(frames));
      });
    });

    it('throws on what the sink throws', () => {
      const refusal = new ProtocolError(CloseCode.POLICY_VIOLATION, 'not today');
      const sink = {
        onHeader() {
          throw refusal;
        },
        onPayload() {},
      };
      everySplit(stream(side, [{ opcode: 1, payload: 'x' }]), (chunks) => {
        const parser = new FrameParser(side, sink);
        assert.throws(
          () => {
            for (const chunk of chunks) parser.push(chunk);
          },
          (error) => error === refusal,
        );
      });
    });

    it('hands payload on as ranges of the chunks it came in, and copies none', () => {
      const bytes = stream(side, [{ opcode: 2, payload: Buffer.alloc(1000, 'abc') }]);
      for (const size of [1, 7, 64, 500, bytes.length]) {
        const chunks = chop(bytes, size);
        const handed: Buffer[] = [];
        const parser = new FrameParser(side, {
          onHeader() {},
          onPayload(chunk) {
            handed.push(chunk);
          },
        });
        for (const chunk of chunks) parser.push(chunk);
        assert.ok(handed.every((chunk) => chunks.includes(chunk)));
        assert.equal(new Set(handed).size, handed.length, 'each chunk once');
      }
    });

    it('keeps no chunk alive, also after what is illegal', async () => {
      /** Apart, so that no variable of the test holds the chunk. */
      function pushed(opcode: number): { parser: FrameParser; chunk: WeakRef<Buffer> } {
        const parser = new FrameParser(side, new RecordingFrameSink());
        const chunk = stream(side, [{ opcode: 2, payload: Buffer.alloc(1000) }, { opcode }]);
        try {
          parser.push(chunk);
        } catch {
          // The second frame is illegal.
        }
        return { parser, chunk: new WeakRef(chunk) };
      }
      const all = [pushed(2), pushed(3)];
      // What a WeakRef was made of is held until the turn ends.
      await setImmediate();
      collectGarbage();
      for (const { parser, chunk } of all) {
        assert.equal(chunk.deref(), undefined);
        assert.ok(parser.atBoundary);
      }
    });

    const sizes = fc.array(fc.nat(40), { minLength: 1, maxLength: 6 }).filter((list) => list.some((size) => size > 0));

    it('tells the same of any bytes at any chunking', () => {
      // Noise dies at its first header; so frames, mostly legal, with noise between and after.
      const frame = fc
        .record({
          opcode: fc.oneof({ weight: 12, arbitrary: fc.constantFrom(0, 1, 2, 8, 9, 10) }, fc.nat(15)),
          fin: fc.oneof({ weight: 12, arbitrary: fc.constant(true) }, fc.boolean()),
          payload: fc.uint8Array({ maxLength: 140, size: 'max' }).map((bytes) => Buffer.from(bytes)),
        })
        .map((raw) => stream(side, [raw]));
      const noise = fc.uint8Array({ maxLength: 16, size: 'max' }).map((bytes) => Buffer.from(bytes));
      const bytes = fc.array(fc.oneof({ weight: 8, arbitrary: frame }, noise), { maxLength: 8 }).map(Buffer.concat);
      fc.assert(
        fc.property(bytes, sizes, (whole, list) => {
          const expected = parse(side, [Buffer.from(whole)]);
          const actual = parse(side, chopBy(whole, list));
          if (expected.error === null) {
            assert.deepEqual(actual, expected);
          } else {
            assert.deepEqual({ ...actual, atBoundary: null }, { ...expected, atBoundary: null });
          }
        }),
        { numRuns: 400 },
      );
    });
  });
}
