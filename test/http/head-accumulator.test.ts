import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HttpError } from '../../src/http/error.ts';
import { HeadAccumulator } from '../../src/http/head-accumulator.ts';
import { everySplit } from '../support/every-split.ts';

type Outcome = { head: string; rest: string } | { status: number; sentence: string } | 'incomplete';

/** Feeds the chunks until the head is complete or refused; what follows then belongs to the rest. */
function accumulate(chunks: readonly Buffer[], maxBytes: number, kind: 'request' | 'response' = 'request'): Outcome {
  const accumulator = new HeadAccumulator(maxBytes, kind);
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
const badLine: Outcome = { status: 400, sentence: 'Malformed request line' };
const badStatus: Outcome = { status: 400, sentence: 'Malformed status line' };
const badName: Outcome = { status: 400, sentence: 'Malformed field name' };
const badValue: Outcome = { status: 400, sentence: 'Control character in a field value' };
const tls: Outcome = { status: 400, sentence: 'This port speaks plain HTTP, not TLS: use http:// and ws://' };
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
  ['a TLS hello', '\x16\x03\x01\x02\0\x01\0', 1024, tls],
  ['its first byte', '\x16', 1024, tls],
  ['an empty line first', `\r\n${HEAD}`, 1024, emptyLine],
  ['two empty lines alone', '\r\n\r\n', 1024, emptyLine],
  ['a bare CR ends no line', 'GET / HTTP/1.1\r\r\n', 1024, badLine],
  ['… nor a field', 'GET / HTTP/1.1\r\na: b\r\r\n', 1024, badValue],
  ['a doubled CR is no empty line', 'GET / HTTP/1.1\r\n\r\r\n\r\n', 1024, badName],
];

const LINE = 'GET / HTTP/1.1\r\n';
const STATUS_LINE = 'HTTP/1.1 101 Switching Protocols\r\n';

/** Each is refused at its last byte, and not before. */
const refused: [kind: 'request' | 'response', bytes: string, expected: Outcome][] = [
  // A method is a token, and one space follows it.
  ['request', ' ', badLine],
  ['request', '(', badLine],
  ['request', '\x80', badLine],
  ['request', '{', badLine],
  ['request', '\r', emptyLine],
  ['request', '\n', bareLf],
  ['request', '\0', nul],
  ['request', '\x15', badLine],
  ['request', 'G\x16', badLine],
  ['request', 'hello\r', badLine],
  ['request', 'SSH-2.0-OpenSSH_9.2\r', badLine],
  ['request', '*1\r', badLine],
  ['request', 'GET:', badLine],
  ['request', 'GET\t', badLine],
  // PROXY protocol, and HTTP/0.9
  ['request', 'PROXY TCP4 1', badLine],
  ['request', 'GET /\r', badLine],
  ['request', 'GET  ', badLine],
  ['request', 'GET /\t', badLine],
  ['request', 'GET /\x7f', badLine],
  ['request', 'GET / \r', badLine],
  ['request', 'GET / h', badLine],
  ['request', 'GET / HTTPS', badLine],
  ['request', 'GET / HTTP/x', badLine],
  ['request', 'GET / HTTP/1,', badLine],
  ['request', 'GET / HTTP/1.x', badLine],
  ['request', 'GET / HTTP/1.10', badLine],
  ['request', 'GET / HTTP/1.1 ', badLine],
  ['request', 'GET / HTTP/1.1\rx', badLine],
  // A response where a request should be: a slash is no part of a method.
  ['request', 'HTTP/', badLine],
  // A field's name is a token, and the colon follows it.
  ['request', `${LINE} `, badName],
  ['request', `${LINE}\t`, badName],
  ['request', `${LINE}:`, badName],
  ['request', `${LINE}a\r`, badName],
  ['request', `${LINE}a `, badName],
  ['request', `${LINE}a\x80`, badName],
  ['request', `${LINE}\rx`, badName],
  ['request', `${LINE}a: b\r\n `, badName],
  ['request', `${LINE}a: \x01`, badValue],
  ['request', `${LINE}a: \x7f`, badValue],
  ['request', `${LINE}a: b\rx`, badValue],
  ['request', `${LINE}a: b\n`, bareLf],
  ['request', `${LINE}a\0`, nul],
  ['response', 'G', badStatus],
  ['response', '\x15', badStatus],
  ['response', '\r', badStatus],
  ['response', 'HTTP/2', badStatus],
  ['response', 'HTTP/1.2', badStatus],
  ['response', 'HTTP/1.1\t', badStatus],
  ['response', 'HTTP/1.1  ', badStatus],
  ['response', 'HTTP/1.1 6', badStatus],
  ['response', 'HTTP/1.1 0', badStatus],
  ['response', 'HTTP/1.1 10\r', badStatus],
  ['response', 'HTTP/1.1 1011', badStatus],
  ['response', 'HTTP/1.1 101 a\x01', badStatus],
  ['response', 'HTTP/1.1 101\n', bareLf],
  ['response', 'HTTQ', badStatus],
  ['response', `${STATUS_LINE}a `, badName],
  ['response', `${STATUS_LINE}a: \x02`, badValue],
];

for (const [kind, bytes, expected] of refused) {
  test(`${kind}: ${JSON.stringify(bytes)} is refused at its last byte, at every split`, () => {
    const first = Buffer.from(bytes.slice(0, -1), 'latin1');
    everySplit(first, (chunks) => assert.equal(accumulate(chunks, 1024, kind), 'incomplete'));
    everySplit(Buffer.from(`${bytes}more`, 'latin1'), (chunks) => {
      assert.deepEqual(accumulate(chunks, 1024, kind), expected);
    });
  });
}

test('response, at every split: with a reason, without one, and without the space before it', () => {
  for (const line of [STATUS_LINE, 'HTTP/1.0 200 \r\n', 'HTTP/1.1 599\r\n', 'HTTP/1.1 101 \xe9\t~\r\n']) {
    for (const head of [`${line}\r\n`, `${line}A:\r\nB: c \xe9\r\n\r\n`]) {
      everySplit(Buffer.from(`${head}rest`, 'latin1'), (chunks) => {
        assert.deepEqual(accumulate(chunks, 1024, 'response'), { head, rest: 'rest' });
      });
    }
  }
});

test('request: every byte that a token, a target and a field value may have', () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
  for (const byte of bytes) {
    const passes = (head: string) => {
      const outcome = accumulate([Buffer.from(head, 'latin1')], 1024);
      return typeof outcome === 'object' && 'head' in outcome;
    };
    assert.equal(passes(`G${byte}T / HTTP/1.1\r\n\r\n`), /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(byte), `method ${byte}`);
    assert.equal(passes(`GET /${byte}a HTTP/1.1\r\n\r\n`), /[\x21-\x7e\x80-\xff]/.test(byte), `target ${byte}`);
    assert.equal(passes(`${LINE}a${byte}b: c\r\n\r\n`), /[!#$%&'*+\-.^_`|~0-9A-Za-z:]/.test(byte), `name ${byte}`);
    assert.equal(passes(`${LINE}a: b${byte}c\r\n\r\n`), /[\t\x20-\x7e\x80-\xff]/.test(byte), `value ${byte}`);
  }
});

for (const [name, bytes, maxBytes, expected] of vectors) {
  test(`head, at every split: ${name}`, () => {
    everySplit(Buffer.from(bytes, 'latin1'), (chunks) => assert.deepEqual(accumulate(chunks, maxBytes), expected));
  });
}

test('a head that came whole is not copied', () => {
  const chunk = Buffer.from(`${HEAD}rest`);
  const complete = new HeadAccumulator(1024, 'request').push(chunk);
  assert.equal(complete?.head.buffer, chunk.buffer);
  assert.equal(complete?.head.byteOffset, chunk.byteOffset);
  assert.equal(complete?.rest.buffer, chunk.buffer);
});

test('a head that came in parts keeps no chunk', () => {
  const accumulator = new HeadAccumulator(1024, 'request');
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
    ['\r', 1],
    ['\x16', 1],
  ] as const) {
    const accumulator = new HeadAccumulator(1024, 'request');
    for (let i = 0; i < refusedBy - 1; i++) assert.equal(accumulator.push(Buffer.from([bytes.charCodeAt(i)])), null);
    assert.throws(() => accumulator.push(Buffer.from([bytes.charCodeAt(refusedBy - 1)])), { status: 400 });
  }
});

test('any bytes have the same outcome at any chunking', () => {
  // Bytes that matter to the scan are frequent; a run of plain ones stands for the rest.
  const piece = fc.constantFrom(
    'GET / HTTP/1.1\r\n',
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    '\0',
    'a',
    'Host: b',
    ' ',
    '\x80',
  );
  const bytes = fc.array(piece, { maxLength: 24 }).map((pieces) => Buffer.from(pieces.join(''), 'latin1'));
  fc.assert(
    fc.property(bytes, fc.integer({ min: 1, max: 40 }), fc.integer(), (stream, maxBytes, seed) => {
      const whole = accumulate([stream], maxBytes);
      everySplit(stream, (chunks) => assert.deepEqual(accumulate(chunks, maxBytes), whole), { rounds: 5, seed });
    }),
  );
});
