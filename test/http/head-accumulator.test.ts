import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HttpError } from '../../src/http/error.ts';
import { HeadAccumulator } from '../../src/http/head-accumulator.ts';
import { everySplit } from '../support/every-split.ts';

type Outcome = { head: string; rest: string } | { status: number; sentence: string } | 'incomplete';

/** Feeds the chunks until the head is complete or refused; what follows then belongs to the rest. */
function accumulate(chunks: readonly Buffer[], maxBytes: number): Outcome {
  const accumulator = new HeadAccumulator(maxBytes);
  for (const [i, chunk] of chunks.entries()) {
    try {
      const complete = accumulator.push(chunk);
      if (complete !== null) {
        const rest = Buffer.concat([complete.rest, ...chunks.slice(i + 1)]);
        return { head: complete.head.toString('latin1'), rest: rest.toString('latin1') };
      }
    } catch (error) {
      assert.ok(error instanceof HttpError);
      return { status: error.status, sentence: error.message };
    }
  }
  return 'incomplete';
}

const HEAD = 'GET /ws?token=%C3%A9 HTTP/1.1\r\nHost: localhost:31415\r\nX-Long: a b\r\n\r\n';

const nul: Outcome = { status: 400, sentence: 'NUL in the head' };
const bareLf: Outcome = { status: 400, sentence: 'Bare LF in the head' };
const emptyLine: Outcome = { status: 400, sentence: 'Empty line before the start-line' };
const tooLarge: Outcome = { status: 431, sentence: 'The head is too large' };

const vectors: [name: string, bytes: string, maxBytes: number, expected: Outcome][] = [
  ['a head alone', HEAD, 1024, { head: HEAD, rest: '' }],
  ['a frame behind it', `${HEAD}\x81\x85\0\0\0\0hello`, 1024, { head: HEAD, rest: '\x81\x85\0\0\0\0hello' }],
  ['what would be refused in a head behind it', `${HEAD}\n\0\r\n\r\n`, 1024, { head: HEAD, rest: '\n\0\r\n\r\n' }],
  ['a head of exactly maxBytes', HEAD, HEAD.length, { head: HEAD, rest: '' }],
  ['the rest does not count', `${HEAD}${'x'.repeat(2048)}`, HEAD.length, { head: HEAD, rest: 'x'.repeat(2048) }],
  ['a head of one byte more', HEAD, HEAD.length - 1, tooLarge],
  ['maxBytes without an end', 'x'.repeat(64), 64, 'incomplete'],
  ['one more without an end', 'x'.repeat(65), 64, tooLarge],
  ['too large before it is refused for more', `${'x'.repeat(64)}\n`, 64, tooLarge],
  ['refused in the last byte that counts', `${'x'.repeat(63)}\n`, 64, bareLf],
  ['nothing', '', 64, 'incomplete'],
  ['all but the last byte', HEAD.slice(0, -1), 1024, 'incomplete'],
  ['a bare LF as line end', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 1024, bareLf],
  ['a bare LF as empty line', 'GET / HTTP/1.1\r\n\n', 1024, bareLf],
  ['a bare LF first of all', '\nGET / HTTP/1.1\r\n\r\n', 1024, bareLf],
  ['two bare LFs', 'GET / HTTP/1.1\n\n', 1024, bareLf],
  ['a NUL', 'GET /\0 HTTP/1.1\r\n\r\n', 1024, nul],
  ['a NUL first of all', '\0', 1024, nul],
  ['a NUL after a bare LF', 'a\n\0', 1024, bareLf],
  ['a bare LF after a NUL', 'a\0\n', 1024, nul],
  ['a NUL where a CR should be', 'a\0\nb\r\n\r\n', 1024, nul],
  ['a TLS hello', '\x16\x03\x01\x02\0\x01\0', 1024, nul],
  ['an empty line first', `\r\n${HEAD}`, 1024, emptyLine],
  ['two empty lines alone', '\r\n\r\n', 1024, emptyLine],
  // A bare CR is the parser's to refuse; it must not be taken for the end of the head.
  ['a bare CR ends nothing', 'a\r\r\n\r\r\n', 1024, 'incomplete'],
  ['a doubled CR is no empty line', 'a\r\n\r\r\n\r\n', 1024, { head: 'a\r\n\r\r\n\r\n', rest: '' }],
];

for (const [name, bytes, maxBytes, expected] of vectors) {
  test(`head, at every split: ${name}`, () => {
    everySplit(Buffer.from(bytes, 'latin1'), (chunks) => assert.deepEqual(accumulate(chunks, maxBytes), expected));
  });
}

test('a head that came whole is not copied', () => {
  const chunk = Buffer.from(`${HEAD}rest`);
  const complete = new HeadAccumulator(1024).push(chunk);
  assert.equal(complete?.head.buffer, chunk.buffer);
  assert.equal(complete?.head.byteOffset, chunk.byteOffset);
  assert.equal(complete?.rest.buffer, chunk.buffer);
});

test('a head that came in parts keeps no chunk', () => {
  const accumulator = new HeadAccumulator(1024);
  const first = Buffer.from(HEAD.slice(0, 20));
  accumulator.push(first);
  first.fill('?');
  assert.equal(accumulator.push(Buffer.from(HEAD.slice(20)))?.head.toString(), HEAD);
});

test('a large head in chunks of any one size grows right', () => {
  const head = Buffer.from(`GET / HTTP/1.1\r\n${`X-Field: ${'v'.repeat(90)}\r\n`.repeat(150)}\r\n`);
  for (const size of [1, 3, 100, 511, 512, 513, 1460, 4096]) {
    const chunks: Buffer[] = [];
    for (let i = 0; i < head.length; i += size) chunks.push(head.subarray(i, i + size));
    assert.deepEqual(accumulate(chunks, 16_384), { head: head.toString(), rest: '' }, `chunks of ${size}`);
  }
});

test('a refusal comes with the byte that earns it, not with the end of the head', () => {
  for (const [bytes, refusedBy] of [
    ['GET / HTTP/1.1\n', 15],
    ['GET \0', 5],
    ['\r\n', 2],
  ] as const) {
    const accumulator = new HeadAccumulator(1024);
    for (let i = 0; i < refusedBy - 1; i++) assert.equal(accumulator.push(Buffer.from([bytes.charCodeAt(i)])), null);
    assert.throws(() => accumulator.push(Buffer.from([bytes.charCodeAt(refusedBy - 1)])), { status: 400 });
  }
});

test('any bytes have the same outcome at any chunking', () => {
  // Bytes that matter to the scan are frequent; a run of plain ones stands for the rest.
  const piece = fc.constantFrom('\r', '\n', '\r\n', '\r\n\r\n', '\0', 'a', 'Host: b', '\x80');
  const bytes = fc.array(piece, { maxLength: 24 }).map((pieces) => Buffer.from(pieces.join(''), 'latin1'));
  fc.assert(
    fc.property(bytes, fc.integer({ min: 1, max: 40 }), fc.integer(), (stream, maxBytes, seed) => {
      const whole = accumulate([stream], maxBytes);
      everySplit(stream, (chunks) => assert.deepEqual(accumulate(chunks, maxBytes), whole), { rounds: 5, seed });
    }),
  );
});
