import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeHead } from '../../src/http/encode-head.ts';
import { HttpError } from '../../src/http/error.ts';
import { parseRequestHead, parseResponseHead } from '../../src/http/message.ts';
import { encodeResponse, errorResponse, type Response, respond, textResponse } from '../../src/http/response.ts';

const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT';

/** Encodes a response and takes it apart again. */
const read = (response: Response, isHead = false) => {
  const bytes = Buffer.concat(encodeResponse(response, DATE, isHead));
  const end = bytes.indexOf('\r\n\r\n') + 4;
  const startLine = bytes.subarray(0, bytes.indexOf('\r\n')).toString();
  return { ...parseResponseHead(bytes.subarray(0, end), 20), startLine, body: bytes.subarray(end).toString() };
};

const requestOf = (method: string) => parseRequestHead(Buffer.from(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`), 100);

test('response: byte for byte', () => {
  assert.equal(
    Buffer.concat(encodeResponse(textResponse(200, 'ok'), DATE)).toString(),
    'HTTP/1.1 200 OK\r\n' +
      'Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n' +
      'Connection: close\r\n' +
      'X-Content-Type-Options: nosniff\r\n' +
      'Content-Type: text/plain; charset=utf-8\r\n' +
      'Cache-Control: no-store\r\n' +
      'Content-Length: 3\r\n' +
      '\r\n' +
      'ok\n',
  );
});

test('response: every status has its reason', () => {
  const reasons: [number, string][] = [
    [200, 'OK'],
    [304, 'Not Modified'],
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
    const { startLine, fields, body } = read(textResponse(status, 'a'));
    assert.equal(startLine, `HTTP/1.1 ${status} ${reason}`);
    assert.equal(fields.get('connection'), 'close');
    assert.equal(fields.get('date'), DATE);
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
    const response = read(textResponse(200, text));
    assert.equal(response.body, body);
    assert.equal(response.fields.get('content-length'), String(Buffer.byteLength(body)));
  }
});

test('response: to HEAD the body is announced and left out (RFC 9110, 9.3.2)', () => {
  const response = read(textResponse(200, 'ok'), true);
  assert.equal(response.fields.get('content-length'), '3');
  assert.equal(response.body, '');
  assert.equal(read(textResponse(200, 'ok'), false).body, 'ok\n');
});

test('response: the body is not copied, and an empty one is not written', () => {
  const body = Buffer.from('bytes');
  const chunks = encodeResponse({ status: 200, fields: {}, body }, DATE);
  assert.equal(chunks.length, 2);
  assert.equal(chunks[1], body);
  assert.equal(encodeResponse({ status: 200, fields: {}, body }, DATE, true).length, 1);
  const empty = encodeResponse({ status: 200, fields: {}, body: Buffer.alloc(0) }, DATE);
  assert.equal(empty.length, 1);
  assert.match(String(empty[0]), /\r\nContent-Length: 0\r\n/);
});

test('response: a 304 announces no length', () => {
  const { fields } = read({ status: 304, fields: { ETag: '"a"' }, body: Buffer.alloc(0) });
  assert.equal(fields.has('content-length'), false);
  assert.equal(fields.get('etag'), '"a"');
});

test('response: fields are added, or replace the usual ones', () => {
  const { fields } = read(textResponse(405, 'a', { Allow: 'GET', 'Content-Type': 'text/html' }));
  assert.equal(fields.get('allow'), 'GET');
  assert.deepEqual(fields.all('content-type'), ['text/html']);
});

test('response: one with Upgrade names it in Connection (RFC 9110, 7.8)', () => {
  const { fields } = read(textResponse(426, 'a', { Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' }));
  assert.deepEqual(fields.list('connection'), ['Upgrade', 'close']);
  assert.equal(fields.get('upgrade'), 'websocket');
  assert.equal(fields.get('sec-websocket-version'), '13');
});

test('error: carries what the peer is told', () => {
  const error = new HttpError(401, 'Unauthorized', { 'WWW-Authenticate': 'Bearer' });
  const response = read(errorResponse(error));
  assert.equal(response.status, 401);
  assert.equal(response.fields.get('www-authenticate'), 'Bearer');
  assert.equal(response.body, 'Unauthorized\n');
  assert.equal(read(errorResponse(error), true).body, '');
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'HttpError');
  assert.deepEqual(new HttpError(400, 'a').fields, {});
});

test('respond: GET and HEAD get what there is, OPTIONS the methods, and any other a 405', () => {
  const response = textResponse(200, 'ok');
  for (const method of ['GET', 'HEAD'])
    assert.equal(
      respond(requestOf(method), () => response),
      response,
    );
  const options = respond(requestOf('OPTIONS'), () => assert.fail('not asked for'));
  assert.deepEqual([options.status, options.fields.Allow, options.body.length], [200, 'GET, HEAD, OPTIONS', 0]);
  for (const method of ['POST', 'PUT', 'get', 'TRACE', 'M-SEARCH']) {
    assert.throws(
      () => respond(requestOf(method), () => assert.fail('not asked for')),
      (error) => error instanceof HttpError && error.status === 405 && error.fields.Allow === 'GET, HEAD, OPTIONS',
    );
  }
});

test('encoding: nothing breaks out of its line', () => {
  for (const bad of ['a\r\nb', 'a\n', '\r', '\0', '\x7f', '\u0100', '\u560d\u560a']) {
    assert.throws(() => encodeHead(bad, []), TypeError);
    assert.throws(() => encodeHead('a', [['X', bad]]), TypeError);
    assert.throws(() => encodeHead('a', [[bad, 'x']]), TypeError);
    assert.throws(() => encodeResponse(textResponse(200, 'ok', { 'X-A': bad }), DATE), TypeError);
    assert.throws(() => encodeResponse(textResponse(200, 'ok'), bad), TypeError);
  }
  for (const name of ['', 'a b', 'a:', 'a: b', 'é']) assert.throws(() => encodeHead('a', [[name, 'x']]), TypeError);
  assert.equal(encodeHead('a b', [['X', 'é']]).toString('latin1'), 'a b\r\nX: é\r\n\r\n');
});
