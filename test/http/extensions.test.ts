import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatExtensions, parseExtensions } from '../../src/http/extensions.ts';

/** Reads and writes again: the form that is passed on, or null where the value is malformed. */
const rewritten = (value: string): string | null => {
  const extensions = parseExtensions(value);
  return extensions === null ? null : formatExtensions(extensions);
};

test('extensions: what is passed on of a value (RFC 6455, 9.1)', () => {
  const vectors: [value: string, written: string][] = [
    ['a', 'a'],
    ['permessage-deflate; client_max_window_bits', 'permessage-deflate; client_max_window_bits'],
    ['a;b=1;c="2" , a ;b', 'a; b=1; c=2, a; b'],
    ['a;b="x\\y"', 'a; b=xy'],
    ['a; b = 1', 'a; b=1'],
    ['a\t;\tb', 'a; b'],
    [', a,, b ,', 'a, b'],
    ['__proto__; constructor=toString', '__proto__; constructor=toString'],
    ['a;b;b', 'a; b; b'],
  ];
  for (const [value, written] of vectors) assert.equal(rewritten(value), written, value);
});

test('extensions: malformed values', () => {
  const vectors = [
    '',
    ' ',
    ',',
    ';',
    'a;',
    ';a',
    'a;;b',
    'a b',
    'a;b c',
    'a;=1',
    'a;b=',
    'a;b==',
    'a;b=1=2',
    'a;b=""',
    'a;b="',
    'a;b="""',
    'a;b="c',
    'a;b=c"',
    'a;b="c"d',
    'a;b="c d"',
    'a;b="c,d"',
    'a;b="c;d"',
    'a;b="c\\,d"',
    'a;b="c\\"',
    'a;b="c\\""',
    'a;b="\\\\"',
    "a;b='c d'",
    '"a"',
    'a=b',
    'a;"b"=c',
    'a, b c',
    'é',
    'a\r\nb',
    'a;b="\r\n"',
  ];
  for (const value of vectors) assert.equal(rewritten(value), null, value);
});

test('extensions: the names and parameters', () => {
  assert.deepEqual(parseExtensions('a; b=1; c, d'), [
    { name: 'a', parameters: ['b=1', 'c'] },
    { name: 'd', parameters: [] },
  ]);
});

test('extensions: any value is read as its own rewriting, and that holds only tokens', () => {
  const piece = fc.constantFrom('a', 'b-c', ',', ';', '=', '"', '\\', ' ', '\t', '\x01', 'é');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
      const written = rewritten(pieces.join(''));
      if (written === null) return;
      assert.match(written, /^[a-c-]+(; [a-c-]+(=[a-c-]+)?)*(, [a-c-]+(; [a-c-]+(=[a-c-]+)?)*)*$/);
      assert.equal(rewritten(written), written);
    }),
    { numRuns: 500 },
  );
});

test('extensions: a long run of anything costs what it is long', () => {
  for (const filler of [',', ';', '=', '"', '\\', ' ', 'a', '\\"']) {
    assert.doesNotThrow(() => parseExtensions(`a;b="${filler.repeat(1 << 18)}`));
  }
});
