import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Utf8Validator } from '../../src/frame/utf8.ts';
import { everySplit } from '../support/every-split.ts';

/** Pushes all pieces; true if the text they make is valid and may end there. */
function judge(pieces: Iterable<Buffer>): boolean {
  const validator = new Utf8Validator();
  for (const piece of pieces) {
    if (!validator.push(piece)) return false;
  }
  return validator.atBoundary;
}

function* bytesOf(bytes: Buffer): Generator<Buffer> {
  for (let i = 0; i < bytes.length; i++) yield bytes.subarray(i, i + 1);
}

/** Which byte is refused when they come one by one: -1 if none is. */
function offendingByte(bytes: Buffer): number {
  const validator = new Utf8Validator();
  return [...bytesOf(bytes)].findIndex((piece) => !validator.push(piece));
}

/** The same told without the validator: the first length at which no ending makes valid UTF-8. */
function offendingByteByTrial(bytes: Buffer): number {
  const ENDINGS = ['', '80', 'a0', '8080', '9080', 'a080', '808080', '908080'].map((hex) => Buffer.from(hex, 'hex'));
  for (let length = 1; length <= bytes.length; length++) {
    const start = bytes.subarray(0, length);
    if (!ENDINGS.some((ending) => isUtf8(Buffer.concat([start, ending])))) return length - 1;
  }
  return -1;
}

describe('Utf8Validator (RFC 3629)', () => {
  it('takes every code point, byte by byte, and no surrogate', () => {
    // All of the first plane; of the others one in 61, and their edges below.
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += codePoint < 0x11000 ? 1 : 61) {
      const surrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
      const bytes = surrogate
        ? Buffer.from([0xed, 0x80 | ((codePoint >> 6) & 0x3f), 0x80 | (codePoint & 0x3f)])
        : Buffer.from(String.fromCodePoint(codePoint));
      if (judge(bytesOf(bytes)) === surrogate) assert.fail(`U+${codePoint.toString(16)}`);
    }
  });

  const EDGES = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xd7ff, 0xe000, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x3ffff];
  for (let plane = 1; plane <= 16; plane++) EDGES.push(plane * 0x10000, plane * 0x10000 + 0xffff);
  it('takes code points at the edges of planes and lengths between others, at every split', () => {
    for (const codePoint of EDGES) {
      const text = Buffer.from(`aé${String.fromCodePoint(codePoint)}ह😀`);
      everySplit(text, (pieces) => assert.ok(judge(pieces), codePoint.toString(16)));
    }
  });

  // Every sequence of up to three bytes, and of four where the first two tell: on which byte is it refused?
  it('refuses all that is not UTF-8, on the very byte', () => {
    const INTERESTING = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec];
    INTERESTING.push(0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfb, 0xfc, 0xfd, 0xfe, 0xff);
    for (let first = 0x7f; first < 256; first++) {
      for (const second of INTERESTING) {
        for (const third of [0x7f, 0x80, 0xbf, 0xc0]) {
          const bytes = Buffer.from([first, second, third]);
          assert.equal(offendingByte(bytes), offendingByteByTrial(bytes), bytes.toString('hex'));
        }
      }
    }
  });

  const WRONG: [what: string, hex: string, offending: number][] = [
    ['a lone continuation byte', '6180', 1],
    ['an overlong solidus in two bytes', 'c0af', 0],
    ['an overlong solidus in three bytes', 'e080af', 1],
    ['an overlong solidus in four bytes', 'f08080af', 1],
    ['the largest overlong in three bytes', 'e09fbf', 1],
    ['the largest overlong in four bytes', 'f08fbfbf', 1],
    ['the first surrogate', 'eda080', 1],
    ['the last surrogate', 'edbfbf', 1],
    ['U+110000', 'f4908080', 1],
    ['a five-byte form', 'f888808080', 0],
    ['a six-byte form', 'fc8480808080', 0],
    ['fe', 'fe', 0],
    ['ff', 'ff', 0],
    ['an ASCII byte inside a code point', 'e28261', 2],
    ['a new code point inside another', 'f09fc3a9', 2],
  ];
  for (const [what, hex, offending] of WRONG) {
    it(`refuses ${what}, on the offending byte, at every split`, () => {
      const before = Buffer.from('κόσμε');
      const bytes = Buffer.concat([before, Buffer.from(hex, 'hex'), Buffer.from(' edited')]);
      assert.equal(offendingByte(bytes), before.length + offending);
      everySplit(bytes, (pieces) => {
        const validator = new Utf8Validator();
        let told = 0;
        for (const piece of pieces) {
          told += piece.length;
          if (!validator.push(piece)) break;
        }
        // The first piece that holds the offending byte, however much came with it.
        const expected = pieces.reduce(
          (ends, piece) => (ends > before.length + offending ? ends : ends + piece.length),
          0,
        );
        assert.equal(told, expected);
      });
    });
  }

  it('is not complete inside a code point, and is again after its last byte', () => {
    for (const text of ['é', '€', '😀']) {
      const bytes = Buffer.from(text);
      const validator = new Utf8Validator();
      assert.ok(validator.atBoundary);
      for (let i = 0; i < bytes.length; i++) {
        assert.ok(validator.push(bytes.subarray(i, i + 1)));
        assert.equal(validator.atBoundary, i === bytes.length - 1);
      }
    }
  });

  it('takes empty pieces, also inside a code point', () => {
    const euro = Buffer.from('€');
    const empty = Buffer.alloc(0);
    assert.ok(judge([empty]));
    assert.ok(judge([empty, euro.subarray(0, 1), empty, euro.subarray(1), empty]));
  });

  it('has no narrower range left after E0, ED, F0 and F4', () => {
    for (const narrow of ['e0a080', 'ed9fbf', 'f0908080', 'f48fbfbf']) {
      for (const after of ['c280', 'c2bf', 'e18080', 'e1bfbf']) {
        assert.ok(judge(bytesOf(Buffer.from(narrow + after, 'hex'))), `${narrow} ${after}`);
      }
    }
  });

  it('agrees with buffer.isUtf8 on any bytes in any pieces', () => {
    // Mostly whole code points, some bytes of any kind between: pure noise would be refused at once.
    const unit = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.string({ unit: 'binary', maxLength: 6, size: 'max' }).map((text) => Buffer.from(text)),
      },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 3, size: 'max' }).map((bytes) => Buffer.from(bytes)) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('c3', 'e2', 'e282', 'f0', 'f09f', 'f09f98').map((h) => Buffer.from(h, 'hex')),
      },
    );
    fc.assert(
      fc.property(fc.array(fc.array(unit, { maxLength: 4 }).map(Buffer.concat), { maxLength: 8 }), (pieces) => {
        assert.equal(judge(pieces), isUtf8(Buffer.concat(pieces)));
      }),
      { numRuns: 1000 },
    );
  });
});
