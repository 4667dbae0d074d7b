import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { type DataOpcode, MessageAssembler, type MessageLimits } from '../../src/frame/message.ts';
import { FrameParser } from '../../src/frame/parser.ts';
import { Opcode, ProtocolError } from '../../src/frame/vocabulary.ts';
import { chop, chopBy } from '../support/chop.ts';
import { everySplit } from '../support/every-split.ts';
import { MASKING_KEY, type RawFrame, rawFrame } from '../support/raw-frame.ts';
import { type RecordedEvent, RecordingSink } from '../support/recording-sink.ts';

const LIMITS: MessageLimits = { maxMessageBytes: 1000, maxFragments: 10 };

function stream(frames: RawFrame[]): Buffer {
  return Buffer.concat(frames.map((frame) => rawFrame({ maskingKey: MASKING_KEY, ...frame })));
}

/** What an assembler behind a parser tells of the chunks; a ProtocolError comes last, as `['error', code, reason]`. */
function assemble(chunks: Iterable<Buffer>, limits = LIMITS): RecordedEvent[] {
  const sink = new RecordingSink();
  const parser = new FrameParser('server', new MessageAssembler(limits, sink));
  try {
    for (const chunk of chunks) parser.push(chunk);
  } catch (error) {
    assert.ok(error instanceof ProtocolError);
    sink.events.push(['error', error.closeCode, error.message]);
  }
  return sink.events;
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

const CASES: [what: string, frames: RawFrame[], events: RecordedEvent[]][] = [
  ['an empty text', [{ opcode: 1 }], [['text', '']]],
  ['an empty binary message', [{ opcode: 2 }], [['binary', '']]],
  ['one frame', [{ opcode: 1, payload: 'Hello' }], [['text', 'Hello']]],
  ['bytes that are no text, as binary', [{ opcode: 2, payload: Buffer.from([0xff, 0]) }], [['binary', 'ff00']]],
  [
    '5.7: a fragmented text',
    [
      { opcode: 1, payload: 'Hel', fin: false },
      { opcode: 0, payload: 'lo' },
    ],
    [['text', 'Hello']],
  ],
  [
    'empty fragments, first, between and last',
    [
      { opcode: 1, fin: false },
      { opcode: 0, payload: 'Hel', fin: false },
      { opcode: 0, fin: false },
      { opcode: 0, payload: 'lo', fin: false },
      { opcode: 0 },
    ],
    [['text', 'Hello']],
  ],
  [
    'nothing but empty fragments',
    [{ opcode: 2, fin: false }, { opcode: 0, fin: false }, { opcode: 0 }],
    [['binary', '']],
  ],
  [
    '5.4: control frames "MAY be injected in the middle of a fragmented message"',
    [
      { opcode: 9, payload: 'first' },
      { opcode: 1, payload: 'H', fin: false },
      { opcode: 9, payload: 'a ping' },
      { opcode: 0, payload: 'ell', fin: false },
      { opcode: 10, payload: 'a pong' },
      { opcode: 9 },
      { opcode: 0, payload: 'o' },
      { opcode: 10 },
    ],
    [
      ['ping', hex('first')],
      ['ping', hex('a ping')],
      ['pong', hex('a pong')],
      ['ping', ''],
      ['text', 'Hello'],
      ['pong', ''],
    ],
  ],
  [
    'a control frame inside a code point cut by fragments',
    [
      { opcode: 1, payload: Buffer.from('f09f', 'hex'), fin: false },
      { opcode: 9, payload: Buffer.from('ff', 'hex') },
      { opcode: 0, payload: Buffer.from('9880', 'hex') },
    ],
    [
      ['ping', 'ff'],
      ['text', '😀'],
    ],
  ],
  [
    'messages in a row, the state of none left in the next',
    [
      { opcode: 1, payload: 'é'.repeat(200), fin: false },
      { opcode: 0, payload: 'é'.repeat(200) },
      { opcode: 2, payload: 'b'.repeat(700) },
      { opcode: 1, payload: 'c' },
      { opcode: 2, payload: 'd', fin: false },
      { opcode: 0, payload: 'e' },
    ],
    [
      ['text', 'é'.repeat(400)],
      ['binary', hex('b'.repeat(700))],
      ['text', 'c'],
      ['binary', hex('de')],
    ],
  ],
  ['control frames of 125 bytes', [{ opcode: 9, payload: 'p'.repeat(125) }], [['ping', hex('p'.repeat(125))]]],
  [
    'a close with and without a code',
    [{ opcode: 8 }, { opcode: 8, payload: Buffer.from('03e9627965', 'hex') }],
    [
      ['close', 1005, ''],
      ['close', 1001, 'bye'],
    ],
  ],
  [
    'a close inside a message',
    [{ opcode: 1, payload: 'never ends', fin: false }, { opcode: 8 }],
    [['close', 1005, '']],
  ],
  ['refuses a close of one byte', [{ opcode: 8, payload: 'x' }], [['error', 1002, 'close payload is one byte']]],
  ['refuses a continuation of no message', [{ opcode: 0 }], [['error', 1002, 'continuation of no message']]],
  [
    'refuses a continuation after the last',
    [{ opcode: 1, fin: false }, { opcode: 0 }, { opcode: 0 }],
    [
      ['text', ''],
      ['error', 1002, 'continuation of no message'],
    ],
  ],
  [
    'refuses a new text inside a message',
    [{ opcode: 1, fin: false }, { opcode: 1 }],
    [['error', 1002, 'new message inside another']],
  ],
  [
    'refuses a new binary message inside a text',
    [
      { opcode: 1, fin: false },
      { opcode: 2, fin: false },
    ],
    [['error', 1002, 'new message inside another']],
  ],
  [
    'refuses a text that is not UTF-8',
    [{ opcode: 1, payload: Buffer.from('61ff62', 'hex') }],
    [['error', 1007, 'text is not UTF-8']],
  ],
  [
    'refuses a text that ends inside a code point',
    [{ opcode: 1, payload: Buffer.from('e282', 'hex') }],
    [['error', 1007, 'text is not UTF-8']],
  ],
  [
    'refuses a fragmented text that ends inside a code point, with an empty last fragment',
    [{ opcode: 1, payload: Buffer.from('e282', 'hex'), fin: false }, { opcode: 0 }],
    [['error', 1007, 'text is not UTF-8']],
  ],
];

describe('MessageAssembler (RFC 6455, 5.4)', () => {
  for (const [what, frames, events] of CASES) {
    it(`${what}`, () => {
      everySplit(stream(frames), (chunks) => assert.deepEqual(assemble(chunks), events));
    });
  }

  it('8.1: refuses a text at its offending byte, without the rest of its frame or message', () => {
    const whole = stream([{ opcode: 1, payload: Buffer.from('616263edbfbf646566', 'hex') }]);
    // Two bytes of header, four of masking key, `abc`, ED; BF makes it a surrogate.
    const offending = 6 + 4;
    everySplit(whole.subarray(0, offending), (chunks) => assert.deepEqual(assemble(chunks), []));
    everySplit(whole.subarray(0, offending + 1), (chunks) => {
      assert.deepEqual(assemble(chunks), [['error', 1007, 'text is not UTF-8']]);
    });
  });

  it('is in a message from its first header to its last byte, whatever stands between', () => {
    const assembler = new MessageAssembler(LIMITS, new RecordingSink());
    const parser = new FrameParser('server', assembler);
    const steps: [frame: RawFrame, midMessage: boolean][] = [
      [{ opcode: 9 }, false],
      [{ opcode: 1, payload: 'a', fin: false }, true],
      [{ opcode: 10 }, true],
      [{ opcode: 0, fin: false }, true],
      [{ opcode: 0 }, false],
      [{ opcode: 2, payload: 'b' }, false],
    ];
    for (const [frame, midMessage] of steps) {
      parser.push(stream([frame]));
      assert.equal(assembler.midMessage, midMessage);
    }
    parser.push(stream([{ opcode: 2, payload: 'cd' }]).subarray(0, -1));
    assert.equal(assembler.midMessage, true);
  });
});

describe('maxMessageBytes', () => {
  const FITS: RawFrame[][] = [
    [{ opcode: 2, payload: 'x'.repeat(1000) }],
    [
      { opcode: 2, payload: 'x'.repeat(999), fin: false },
      { opcode: 9, payload: 'not counted' },
      { opcode: 0, payload: 'x' },
    ],
    [
      { opcode: 2, payload: 'x'.repeat(500), fin: false },
      { opcode: 0, payload: 'x'.repeat(500), fin: false },
      { opcode: 0 },
    ],
  ];
  it('takes a message of that many bytes, over all its fragments, and another one after it', () => {
    for (const frames of FITS) {
      for (const size of [1, 7, 100, 5000]) {
        const events = assemble(chop(stream([...frames, ...frames]), size));
        assert.deepEqual(
          events.filter(([what]) => what !== 'ping'),
          Array(2).fill(['binary', hex('x'.repeat(1000))]),
        );
      }
    }
  });

  it('refuses one byte more at the header that announces it', () => {
    const announced = 1001n;
    everySplit(stream([{ opcode: 2, announcedLength: announced }]), (chunks) => {
      assert.deepEqual(assemble(chunks), [['error', 1009, 'message is too large']]);
    });
    const before = stream([{ opcode: 1, payload: 'x'.repeat(1000), fin: false }]);
    const more = stream([{ opcode: 0, announcedLength: 1n }]);
    for (const size of [1, 7, 5000]) {
      assert.deepEqual(assemble(chop(before, size)), []);
      assert.deepEqual(assemble(chop(Buffer.concat([before, more]), size)), [['error', 1009, 'message is too large']]);
    }
  });

  it('of 0 lets empty messages through', () => {
    const limits = { ...LIMITS, maxMessageBytes: 0 };
    assert.deepEqual(assemble([stream([{ opcode: 1 }])], limits), [['text', '']]);
    assert.deepEqual(assemble([stream([{ opcode: 1, fin: false }, { opcode: 0 }])], limits), [['text', '']]);
    assert.deepEqual(assemble([stream([{ opcode: 1, payload: 'x' }])], limits), [
      ['error', 1009, 'message is too large'],
    ]);
  });

  it('of more than 2^53 - 1 still refuses what no number can count', () => {
    const limits = { ...LIMITS, maxMessageBytes: Number.POSITIVE_INFINITY };
    const most = stream([{ opcode: 2, announcedLength: 2n ** 53n - 1n }]);
    assert.deepEqual(assemble([most], limits), []);
    const more = stream([{ opcode: 2, announcedLength: 2n ** 53n }]);
    assert.deepEqual(assemble([more], limits), [['error', 1009, 'frame is too large']]);
  });
});

describe('maxFragments', () => {
  function fragments(count: number): RawFrame[] {
    return Array.from({ length: count }, (_, i) => ({ opcode: i === 0 ? 2 : 0, fin: i === count - 1 }));
  }

  it('takes a message of that many frames, empty ones too, and another one after it', () => {
    everySplit(stream([...fragments(10), ...fragments(10)]), (chunks) => {
      assert.deepEqual(assemble(chunks), [
        ['binary', ''],
        ['binary', ''],
      ]);
    });
  });

  it('refuses one more at its header', () => {
    everySplit(stream(fragments(11)), (chunks) => {
      assert.deepEqual(assemble(chunks), [['error', 1008, 'too many fragments']]);
    });
  });

  it('of 1 refuses any fragmentation', () => {
    const limits = { ...LIMITS, maxFragments: 1 };
    assert.deepEqual(assemble([stream(fragments(1))], limits), [['binary', '']]);
    assert.deepEqual(assemble([stream(fragments(2))], limits), [['error', 1008, 'too many fragments']]);
  });

  it('does not count control frames', () => {
    const pings = Array.from({ length: 20 }, () => ({ opcode: 9 }));
    const [first, ...others] = fragments(10);
    const events = assemble([stream([first as RawFrame, ...pings, ...others])]);
    assert.deepEqual(events.at(-1), ['binary', '']);
  });
});

describe('memory and copies', () => {
  it('hands on a message that lies whole in one chunk as a view of it', () => {
    const chunk = stream([
      { opcode: 9, payload: 'p' },
      { opcode: 2, payload: 'a message' },
    ]);
    const views: Buffer[] = [];
    const assembler = new MessageAssembler(LIMITS, {
      onMessage: (payload) => views.push(payload),
      onPing: (payload) => views.push(payload),
      onPong() {},
      onClose() {},
    });
    new FrameParser('server', assembler).push(chunk);
    assert.equal(views.length, 2);
    assert.ok(views.every((view) => view.buffer === chunk.buffer));
  });

  /** How many bytes are allocated for a message of `bytes` bytes that comes in these chunks. */
  function allocatedFor(t: TestContext, chunks: Iterable<Buffer>, bytes: number): number {
    const limits = { maxMessageBytes: bytes, maxFragments: bytes };
    let received = 0;
    const assembler = new MessageAssembler(limits, {
      onMessage: (payload) => {
        received += payload.length;
      },
      onPing() {},
      onPong() {},
      onClose() {},
    });
    const parser = new FrameParser('server', assembler);
    const allocate = t.mock.method(Buffer, 'allocUnsafeSlow');
    for (const chunk of chunks) parser.push(chunk);
    const allocated = allocate.mock.calls.reduce((sum, call) => sum + (call.arguments[0] as number), 0);
    allocate.mock.restore();
    assert.equal(received, bytes);
    return allocated;
  }

  const MIB = 2 ** 20;

  /** One chunk of one byte, over and over: nobody may keep it. */
  function* byByte(bytes: Buffer): Generator<Buffer> {
    const chunk = Buffer.alloc(1);
    for (const byte of bytes) {
      chunk[0] = byte;
      yield chunk;
    }
  }

  it('joins 1 MiB in fragments of one byte, in buffers that double: each byte is copied twice at most', (t) => {
    // A key of zeros leaves the frame as it is, for the next push.
    const frame = rawFrame({ opcode: 0, fin: false, payload: 'x', maskingKey: Buffer.alloc(4) });
    function* frames(): Generator<Buffer> {
      for (let i = 0; i < MIB; i++) {
        frame[0] = (i === MIB - 1 ? 0x80 : 0) | (i === 0 ? Opcode.BINARY : Opcode.CONTINUATION);
        yield frame;
      }
    }
    // 1 KiB, 2 KiB … 1 MiB are together less than 2 MiB.
    const allocated = allocatedFor(t, frames(), MIB);
    assert.ok(allocated <= 2 * MIB, `${allocated} bytes`);
  });

  it('joins 1 MiB of one frame, in chunks of one byte, likewise', (t) => {
    const bytes = stream([{ opcode: 2, payload: Buffer.alloc(MIB) }]);
    const allocated = allocatedFor(t, byByte(bytes), MIB);
    // A header cut in two takes 14 bytes, once.
    assert.ok(allocated <= 2 * MIB + 14, `${allocated} bytes`);
  });

  it('never holds more than maxMessageBytes for one message', (t) => {
    const frames = [
      { opcode: 2, payload: Buffer.alloc(700), fin: false },
      { opcode: 0, payload: Buffer.alloc(700), fin: false },
      { opcode: 0, payload: Buffer.alloc(100) },
    ];
    const allocate = t.mock.method(Buffer, 'allocUnsafeSlow');
    const events = assemble([stream(frames)], { maxMessageBytes: 1500, maxFragments: 10 });
    assert.equal(events.length, 1);
    const sizes = allocate.mock.calls.map((call) => call.arguments[0]);
    allocate.mock.restore();
    assert.deepEqual(sizes, [1400, 1500]);
  });

  /** Two frames of one message: 700 bytes, and what ends it. */
  const halves = [
    { opcode: 2, payload: Buffer.alloc(700), fin: false },
    { opcode: 0, payload: Buffer.alloc(100) },
  ] as const;

  it('gathers one message after another in one buffer, whichever connection they come on', (t) => {
    const allocate = t.mock.method(Buffer, 'allocUnsafeSlow');
    for (let i = 0; i < 10; i++) assert.equal(assemble([stream([...halves, ...halves])]).length, 2);
    assert.ok(allocate.mock.callCount() <= 1);
    allocate.mock.restore();
  });

  it('gathers messages that come at the same time in buffers of their own, and one within the other', () => {
    const seen: string[] = [];
    const make = (name: string, onMessage: () => void) => {
      const sink = {
        onMessage: (payload: Buffer) => {
          onMessage();
          seen.push(`${name} ${payload}`);
        },
        onPing() {},
        onPong() {},
        onClose() {},
      };
      return new FrameParser('server', new MessageAssembler(LIMITS, sink));
    };
    const inner = make('inner', () => {});
    const outer = make('outer', () => inner.push(stream([{ opcode: 0, payload: 'd' }])));
    inner.push(stream([{ opcode: 2, payload: 'c', fin: false }]));
    outer.push(stream([{ opcode: 2, payload: 'a', fin: false }]));
    outer.push(stream([{ opcode: 0, payload: 'b' }]));
    assert.deepEqual(seen, ['inner cd', 'outer ab']);
  });

  it('keeps no buffer of a large message', (t) => {
    const large = [
      { opcode: 2, payload: Buffer.alloc(200_000), fin: false },
      { opcode: 0, payload: Buffer.alloc(100) },
    ];
    const limits = { maxMessageBytes: 2 ** 20, maxFragments: 10 };
    const allocate = t.mock.method(Buffer, 'allocUnsafeSlow');
    assert.equal(assemble([stream([...large, ...large])], limits).length, 2);
    assert.equal(allocate.mock.callCount(), 2);
    allocate.mock.restore();
  });

  it('allocates nothing for a large frame that is announced and never sent', (t) => {
    const allocate = t.mock.method(Buffer, 'allocUnsafeSlow');
    const limits = { maxMessageBytes: 2 ** 30, maxFragments: 10 };
    const header = stream([{ opcode: 2, announcedLength: 2n ** 30n }]);
    assert.deepEqual(assemble([header], limits), []);
    assert.equal(allocate.mock.callCount(), 0);
    allocate.mock.restore();
  });
});

describe('any messages in any fragments and any chunks', () => {
  const control = fc
    .record({ opcode: fc.constantFrom(9, 10), payload: fc.uint8Array({ maxLength: 125, size: 'max' }) })
    .map(({ opcode, payload }) => ({ opcode, payload: Buffer.from(payload) }));
  const payload = fc.oneof(
    fc
      .string({ unit: 'binary', maxLength: 60, size: 'max' })
      .map((text) => ({ opcode: Opcode.TEXT, bytes: Buffer.from(text) })),
    fc
      .uint8Array({ maxLength: 200, size: 'max' })
      .map((bytes) => ({ opcode: Opcode.BINARY, bytes: Buffer.from(bytes) })),
  );
  const message = fc.record({
    message: payload,
    cuts: fc.array(fc.nat(60), { minLength: 1, maxLength: 5 }),
    controls: fc.array(fc.array(control, { maxLength: 2 }), { maxLength: 6 }),
  });
  const sizes = fc.array(fc.nat(40), { minLength: 1, maxLength: 6 }).filter((list) => list.some((size) => size > 0));

  it('come out as they went in, control frames in their places', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), sizes, (messages, list) => {
        const frames: RawFrame[] = [];
        const expected: RecordedEvent[] = [];
        for (const { message, cuts, controls } of messages) {
          const opcode = message.opcode as DataOpcode;
          for (let at = 0, i = 0, done = false; !done; i++) {
            const size = cuts[i] ?? message.bytes.length;
            done = at + size >= message.bytes.length;
            frames.push({
              opcode: i === 0 ? opcode : 0,
              payload: message.bytes.subarray(at, at + size),
              fin: done,
            });
            at += size;
            if (done) {
              expected.push(
                opcode === Opcode.TEXT ? ['text', message.bytes.toString()] : ['binary', message.bytes.toString('hex')],
              );
            }
            for (const { opcode, payload } of controls[i] ?? []) {
              frames.push({ opcode, payload });
              expected.push([opcode === Opcode.PING ? 'ping' : 'pong', payload.toString('hex')]);
            }
          }
        }
        assert.deepEqual(assemble(chopBy(stream(frames), list)), expected);
      }),
      { numRuns: 300 },
    );
  });
});
