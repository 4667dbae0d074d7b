import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodePathSegment, percentDecode, queryParameters } from '../../src/http/target.ts';

test('percent-decoding: bytes, in either case, and a plus is a plus', () => {
  const vectors: [raw: string, bytes: string | null][] = [
    ['', ''],
    ['abc', 'abc'],
    ['abc+123', 'abc+123'],
    ['abc%2B123', 'abc+123'],
    ['a%20b', 'a b'],
    ['%C3%A9', '\xc3\xa9'],
    ['%c3%a9', '\xc3\xa9'],
    ['\xc3\xa9', '\xc3\xa9'],
    ['%00%ff', '\0\xff'],
    ['%2525', '%25'],
    ['%0a%25', '\n%'],
    ['%', null],
    ['a%', null],
    ['%4', null],
    ['%zz', null],
    ['%4g', null],
    ['%%41', null],
    ['%41%', null],
    ['%u0041', null],
    ['%-1', null],
    ['% 1', null],
    ['%\xb2\xb2', null],
  ];
  for (const [raw, bytes] of vectors) assert.equal(percentDecode(raw)?.toString('latin1') ?? null, bytes, raw);
});

test('percent-decoding: any bytes come back, however much of them is escaped', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.boolean())), (bytes) => {
      const raw = bytes.map(([byte, escaped]) =>
        escaped || byte === 0x25 ? `%${byte.toString(16).padStart(2, '0')}` : String.fromCharCode(byte),
      );
      assert.deepEqual(percentDecode(raw.join('')), Buffer.from(bytes.map(([byte]) => byte)));
    }),
  );
});

/** Escapes, right, wrong and cut short, between any bytes. */
const wild = fc
  .array(
    fc.oneof(
      fc.constantFrom('%', '%%', '%4', '%g1', '%C3', '%a9', '%00', '%ff', '%25', '+', '/'),
      fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)), maxLength: 3 }),
    ),
    { maxLength: 12 },
  )
  .map((pieces) => pieces.join(''));

/** What JavaScript's own decoder makes of it, given bytes as they came as escapes. */
function byJavaScript(raw: string): string | null {
  const escaped = raw.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`);
  try {
    return decodeURIComponent(escaped);
  } catch (error) {
    assert.ok(error instanceof URIError);
    return null;
  }
}

test('percent-decoding: any raw text is bytes, or null if and only if an escape is malformed', () => {
  fc.assert(
    fc.property(wild, (raw) => {
      const pieces = raw.split('%');
      const malformed = pieces.slice(1).some((piece) => !/^[0-9a-f]{2}/i.test(piece));
      const bytes = percentDecode(raw);
      assert.equal(bytes === null, malformed);
      if (bytes !== null) assert.equal(bytes.length, raw.length - 2 * (pieces.length - 1));
    }),
    { numRuns: 1000 },
  );
});

test('path segment: any raw text is the result of decodeURIComponent, or null if that throws', () => {
  fc.assert(
    fc.property(wild, (raw) => assert.equal(decodePathSegment(raw), byJavaScript(raw))),
    { numRuns: 1000 },
  );
});

test('path segment: UTF-8 text or nothing', () => {
  const vectors: [raw: string, text: string | null][] = [
    ['a', 'a'],
    ['', ''],
    ['a%2Fb%3Fc', 'a/b?c'],
    ['a+b', 'a+b'],
    ['%F0%9F%90%8B', '🐋'],
    ['\xc3\xa9', 'é'],
    ['%EF%BB%BFa', '\ufeffa'],
    ['%00', '\0'],
    ['__proto__', '__proto__'],
    ['%', null],
    ['%zz', null],
    ['%ff', null],
    ['\xff', null],
    ['%c0%af', null],
    ['%ed%a0%80', null],
    ['%f4%90%80%80', null],
    ['%e2%82', null],
  ];
  for (const [raw, text] of vectors) assert.equal(decodePathSegment(raw), text, raw);
});

test('path segment: what encodeURIComponent encoded', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(decodePathSegment(encodeURIComponent(text)), text);
    }),
  );
});

test('query parameters: raw, exact, in order', () => {
  const vectors: [query: string | null, values: string[]][] = [
    [null, []],
    ['', []],
    ['token', ['']],
    ['token=', ['']],
    ['token=a', ['a']],
    ['a=b&token=c&d', ['c']],
    ['token=a=b%26+/?', ['a=b%26+/?']],
    ['token=a&token=b', ['a', 'b']],
    ['token&token=b', ['', 'b']],
    ['Token=a', []],
    ['xtoken=a', []],
    ['tokens=a', []],
    ['%74oken=a', []],
    [' token=a', []],
    ['token[]=a', []],
    ['&&token=a&', ['a']],
    ['token=a;token=b', ['a;token=b']],
    ['__proto__=a', []],
  ];
  for (const [query, values] of vectors) assert.deepEqual(queryParameters(query, 'token'), values, String(query));
});
