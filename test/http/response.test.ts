import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeHead } from '../../src/http/encode-head.ts';
import { HttpError } from '../../src/http/error.ts';
import { parseResponseHead } from '../../src/http/message.ts';
import { encodeError, encodeResponse } from '../../src/http/response.ts';

/** Takes a response apart again. */
const read = (response: Buffer) => {
  const end = response.indexOf('\r\n\r\n') + 4;
  const startLine = response.subarray(0, response.indexOf('\r\n')).toString();
  return { ...parseResponseHead(response.subarray(0, end), 20), startLine, body: response.subarray(end).toString() };
};

test('response: byte for byte', () => {
  assert.equal(
    encodeResponse(200, 'ok').toString(),
    'HTTP/1.1 200 OK\r\n' +
      'Content-Type: text/plain; charset=utf-8\r\n' +
      'Content-Length: 3\r\n' +
      'Connection: close\r\n' +
      'Cache-Control: no-store\r\n' +
      'X-Content-Type-Options: nosniff\r\n' +
      '\r\n' +
      'ok\n',
  );
});

test('response: every status has its reason', () => {
  const reasons: [number, string][] = [
    [200, 'OK'],
    [400, 'Bad Request'],
    [401, 'Unauthorized'],
    [403, 'Forbidden'],
    [404, 'Not Found'],
    [405, 'Method Not Allowed'],
    [408, 'Request Timeout'],
    [426, 'Upgrade Required'],
    [431, 'Request Header Fields Too Large'],
    [500, 'Internal Server Error'],
    [503, 'Service Unavailable'],
    // One that is not ours keeps the space that RFC 9112, section 4 demands.
    [418, ''],
  ];
  for (const [status, reason] of reasons) {
    const { startLine, fields, body } = read(encodeResponse(status, 'a'));
    assert.equal(startLine, `HTTP/1.1 ${status} ${reason}`);
    assert.equal(fields.get('connection'), 'close');
    assert.equal(body, 'a\n');
  }
});

test('response: the body ends with one line end, and its length is in bytes', () => {
  for (const [text, body] of [
    ['a', 'a\n'],
    ['a\n', 'a\n'],
    ['', '\n'],
    ['é🐋', 'é🐋\n'],
  ] as const) {
    const response = read(encodeResponse(200, text));
    assert.equal(response.body, body);
    assert.equal(response.fields.get('content-length'), String(Buffer.byteLength(body)));
  }
});

test('response: to HEAD the body is announced and left out (RFC 9110, 9.3.2)', () => {
  const response = read(encodeResponse(200, 'ok', {}, { head: true }));
  assert.equal(response.fields.get('content-length'), '3');
  assert.equal(response.body, '');
  assert.equal(read(encodeResponse(200, 'ok', {}, { head: false })).body, 'ok\n');
});

test('response: fields are added, or replace the usual ones', () => {
  const { fields } = read(encodeResponse(405, 'a', { Allow: 'GET', 'Content-Type': 'text/html' }));
  assert.equal(fields.get('allow'), 'GET');
  assert.deepEqual(fields.all('content-type'), ['text/html']);
});

test('response: one with Upgrade names it in Connection (RFC 9110, 7.8)', () => {
  const { fields } = read(encodeResponse(426, 'a', { Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' }));
  assert.deepEqual(fields.list('connection'), ['Upgrade', 'close']);
  assert.equal(fields.get('upgrade'), 'websocket');
  assert.equal(fields.get('sec-websocket-version'), '13');
});

test('error: carries what the peer is told', () => {
  const error = new HttpError(401, 'Unauthorized', { 'WWW-Authenticate': 'Bearer' });
  const response = read(encodeError(error));
  assert.equal(response.status, 401);
  assert.equal(response.fields.get('www-authenticate'), 'Bearer');
  assert.equal(response.body, 'Unauthorized\n');
  assert.equal(read(encodeError(error, { head: true })).body, '');
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'HttpError');
  assert.deepEqual(new HttpError(400, 'a').fields, {});
});

test('encoding: nothing breaks out of its line', () => {
  for (const bad of ['a\r\nb', 'a\n', '\r', '\0', '\x7f', '\u0100', '\u560d\u560a']) {
    assert.throws(() => encodeHead(bad, []), TypeError);
    assert.throws(() => encodeHead('a', [['X', bad]]), TypeError);
    assert.throws(() => encodeHead('a', [[bad, 'x']]), TypeError);
    assert.throws(() => encodeResponse(200, 'ok', { 'X-A': bad }), TypeError);
  }
  for (const name of ['', 'a b', 'a:', 'é']) assert.throws(() => encodeHead('a', [[name, 'x']]), TypeError);
  assert.equal(encodeHead('a b', [['X', 'é']]).toString('latin1'), 'a b\r\nX: é\r\n\r\n');
});
