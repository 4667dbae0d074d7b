/**
 * Class 6: what is UTF-8 (RFC 3629) and what is not, and that a text is refused as soon as it is known to be wrong.
 * From 6.5 on the sequences are those of Markus Kuhn's "UTF-8 decoder capability and stress test", judged by RFC 3629.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SessionState } from '../../src/frame/session.ts';
import type { RawFrame } from '../support/raw-frame.ts';
import { type Case, Echo, fails, passes, run, toward } from './endpoint.ts';

/** κόσμε, with U+1F79, so that it has code points of two and of three bytes. */
const kosme = Buffer.from('cebae1bdb9cf83cebcceb5', 'hex');
const hello = Buffer.from('Hello-µ@ßöäüàá-UTF-8!!');
const edited = Buffer.from('edited');
const surrogate = Buffer.from('eda080', 'hex');
const beyond = Buffer.from('f4908080', 'hex');

function text(payload: Buffer): RawFrame {
  return { opcode: 1, payload };
}

/** A text in these fragments. */
function fragments(...pieces: Buffer[]): RawFrame[] {
  return pieces.map((payload, i) => ({ opcode: i === 0 ? 1 : 0, payload, fin: i === pieces.length - 1 }));
}

function bytesOf(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.from([byte]));
}

const empty = Buffer.alloc(0);
const notUtf8 = Buffer.concat([kosme, surrogate, edited]);

describe('6.1 to 6.3 texts, in one fragment and in many', () => {
  run([
    passes('6.1.1', 'an empty text', [text(empty)], [['text', '']]),
    passes('6.1.2', 'three empty fragments', fragments(empty, empty, empty), [['text', '']]),
    passes('6.1.3', 'three fragments, the first and the last empty', fragments(empty, hello, empty), [['text', hello]]),
    passes('6.2.1', 'one fragment', [text(hello)], [['text', hello]]),
    passes(
      '6.2.2',
      'two fragments, cut between code points',
      fragments(Buffer.from('Hello-µ@ßöä'), Buffer.from('üàá-UTF-8!!')),
      [['text', hello]],
    ),
    passes('6.2.3', 'fragments of one byte', fragments(...bytesOf(hello)), [['text', hello]]),
    passes('6.2.4', 'fragments of one byte, in Greek', fragments(...bytesOf(kosme)), [['text', kosme]]),
    fails('6.3.1', 'a surrogate, in one fragment', 1007, [text(notUtf8)]),
    fails('6.3.2', 'a surrogate, in fragments of one byte', 1007, fragments(...bytesOf(notUtf8))),
  ]);
});

describe('6.4 a text is refused at its offending byte', () => {
  /** Each step's bytes, and whether the endpoint still takes more after them. */
  type Step = [bytes: Buffer, open: boolean];
  const CASES: [id: string, what: string, steps: (side: 'server' | 'client') => Step[]][] = [
    [
      '6.4.1',
      'in the second of three fragments',
      (side) => {
        const [first, second] = fragments(kosme, beyond, edited).map((frame) => toward(side, frame));
        return [
          [first as Buffer, true],
          [second as Buffer, false],
        ];
      },
    ],
    [
      '6.4.2',
      'in the second of three fragments, of one byte, the first ending inside the code point',
      (side) => {
        const pieces = fragments(Buffer.concat([kosme, beyond.subarray(0, 1)]), beyond.subarray(1, 2), edited);
        const [first, second] = pieces.map((frame) => toward(side, frame));
        return [
          [first as Buffer, true],
          [second as Buffer, false],
        ];
      },
    ],
    [
      '6.4.3',
      'in the second of three chops of one frame',
      (side) => {
        const frame = toward(side, text(Buffer.concat([kosme, beyond, edited])));
        const payloadAt = frame.length - edited.length - beyond.length;
        return [
          [frame.subarray(0, payloadAt), true],
          [frame.subarray(payloadAt, payloadAt + beyond.length), false],
        ];
      },
    ],
    [
      '6.4.4',
      'in the second of three chops of one frame, of one byte',
      (side) => {
        const frame = toward(side, text(Buffer.concat([kosme, beyond, edited])));
        const offending = frame.length - edited.length - beyond.length + 1;
        return [
          [frame.subarray(0, offending), true],
          [frame.subarray(offending, offending + 1), false],
        ];
      },
    ],
  ];
  for (const [id, what, steps] of CASES) {
    it(`${id} ${what}`, () => {
      for (const side of ['server', 'client'] as const) {
        const echo = new Echo(side);
        for (const [bytes, open] of steps(side)) {
          echo.session.receive(Buffer.from(bytes));
          assert.equal(echo.session.state, open ? SessionState.OPEN : SessionState.CLOSED);
        }
        assert.deepEqual(echo.replies(), [['close', 1007]]);
      }
    });
  }
});

/** Hex; a sequence of what is not UTF-8 begins with an exclamation mark. */
const SEQUENCES: [group: string, what: string, sequences: string[]][] = [
  [
    '6.5',
    'some valid text',
    ['$', '¢', '€', '𤭢'].map((char) => Buffer.from(`hello${char}world`).toString('hex')).concat(kosme.toString('hex')),
  ],
  [
    '6.6',
    'all prefixes of a valid text',
    Array.from(kosme, (_, i) => {
      const endsWhole = [2, 5, 7, 9, 11].includes(i + 1);
      return `${endsWhole ? '' : '!'}${kosme.toString('hex', 0, i + 1)}`;
    }),
  ],
  ['6.7', 'the first sequence of each length', ['00', 'c280', 'e0a080', 'f0908080']],
  ['6.8', 'the first sequences of five and six bytes', ['!f888808080', '!fc8480808080']],
  ['6.9', 'the last sequence of each length', ['7f', 'dfbf', 'efbfbf', 'f48fbfbf']],
  ['6.10', 'the last sequences of four, five and six bytes', ['!f7bfbfbf', '!fbbfbfbfbf', '!fdbfbfbfbfbf']],
  ['6.11', 'other boundaries', ['ed9fbf', 'ee8080', 'efbfbd', 'f48fbfbf', '!f4908080']],
  [
    '6.12',
    'unexpected continuation bytes',
    [
      ...['!80', '!bf', '!80bf', '!80bf80', '!80bf80bf', '!80bf80bf80', '!80bf80bf80bf'],
      `!${hexOf(range(0x80, 0xbf))}`,
    ],
  ],
  [
    '6.13',
    'lonely first bytes, each before a space',
    [range(0xc0, 0xdf), range(0xe0, 0xef), range(0xf0, 0xf7), range(0xf8, 0xfb), range(0xfc, 0xfd)].map(
      (firsts) => `!${hexOf(firsts.flatMap((first) => [first, 0x20]))}`,
    ),
  ],
  [
    '6.14',
    'the last byte missing',
    [
      ...['!c0', '!e080', '!f08080', '!f8808080', '!fc80808080'],
      ...['!df', '!efbf', '!f7bfbf', '!fbbfbfbf', '!fdbfbfbfbf'],
    ],
  ],
  ['6.15', 'incomplete sequences in a row', ['!c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf']],
  ['6.16', 'impossible bytes', ['!fe', '!ff', '!fefeffff']],
  ['6.17', 'overlong solidus', ['!c0af', '!e080af', '!f08080af', '!f8808080af', '!fc80808080af']],
  ['6.18', 'the largest overlongs', ['!c1bf', '!e09fbf', '!f08fbfbf', '!f887bfbfbf', '!fc83bfbfbfbf']],
  ['6.19', 'overlong NUL', ['!c080', '!e08080', '!f0808080', '!f880808080', '!fc8080808080']],
  ['6.20', 'single surrogates', ['!eda080', '!edadbf', '!edae80', '!edafbf', '!edb080', '!edbe80', '!edbfbf']],
  [
    '6.21',
    'paired surrogates',
    ['eda080', 'edadbf', 'edae80', 'edafbf'].flatMap((high) => [`!${high}edb080`, `!${high}edbfbf`]),
  ],
  // Noncharacters are valid UTF-8: of the code points up to U+10FFFF, RFC 3629 excludes surrogates alone.
  [
    '6.22',
    'noncharacters',
    range(0x0, 0x10).flatMap((plane) => [0xfffe, 0xffff].map((low) => codePoint(plane * 0x10000 + low))),
  ],
  ['6.23', 'specials, the replacement character among them', range(0xfff9, 0xffff).map(codePoint)],
];

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function hexOf(bytes: number[]): string {
  return Buffer.from(bytes).toString('hex');
}

function codePoint(value: number): string {
  return Buffer.from(String.fromCodePoint(value)).toString('hex');
}

for (const [group, what, sequences] of SEQUENCES) {
  describe(`${group} ${what}`, () => {
    run(
      sequences.map((sequence, i): Case => {
        const valid = !sequence.startsWith('!');
        const payload = Buffer.from(valid ? sequence : sequence.slice(1), 'hex');
        const id = `${group}.${i + 1}`;
        const hex = payload.toString('hex');
        return valid
          ? passes(id, hex, [text(payload)], [['text', payload]])
          : fails(id, `!${hex}`, 1007, [text(payload)]);
      }),
    );
  });
}
