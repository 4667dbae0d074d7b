import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HttpError } from '../../src/http/error.ts';
import { HeadAccumulator } from '../../src/http/head-accumulator.ts';
import { Fields, parseRequestHead, parseResponseHead } from '../../src/http/message.ts';
import { everySplit } from '../support/every-split.ts';

const MAX_FIELDS = 100;

const request = (text: string, maxFields = MAX_FIELDS) => parseRequestHead(Buffer.from(text, 'latin1'), maxFields);
const response = (text: string, maxFields = MAX_FIELDS) => parseResponseHead(Buffer.from(text, 'latin1'), maxFields);

/** A request with this request-line, or these field lines, and everything else right. */
const withLine = (line: string) => `${line}\r\nHost: a\r\n\r\n`;
const withFields = (lines: string, method = 'GET') => `${method} / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`;

const refuses = (text: string, status: number, sentence?: string) => {
  const expected = { name: 'HttpError', status, ...(sentence === undefined ? {} : { message: sentence }) };
  assert.throws(() => request(text), expected, JSON.stringify(text));
};

test('request: the parts of a head', () => {
  const head = request(
    'GET /ws/agent/a%2Fb?token=x?y&z HTTP/1.1\r\nHost: localhost:31415\r\nX-A:1\r\nx-a: \t2 \r\n\r\n',
  );
  const { fields, ...rest } = head;
  assert.deepEqual(rest, {
    method: 'GET',
    requestTarget: '/ws/agent/a%2Fb?token=x?y&z',
    path: '/ws/agent/a%2Fb',
    query: 'token=x?y&z',
    version: '1.1',
    host: 'localhost:31415',
  });
  assert.ok(fields instanceof Fields);
  assert.equal(fields.get('X-A'), '1, 2');
});

test('request: forms of the request target (RFC 9112, 3.2)', () => {
  const vectors: [target: string, host: string, path: string, query: string | null][] = [
    ['/', 'a', '/', null],
    ['/?', 'a', '/', ''],
    ['/a?b?c', 'a', '/a', 'b?c'],
    ['//evil.example/a', 'a', '//evil.example/a', null],
    ['/http://b/', 'a', '/http://b/', null],
    ['/a|b{"}^`\\<>', 'a', '/a|b{"}^`\\<>', null],
    ['/\xc3\xa9?token=\xc3\xa9', 'a', '/\xc3\xa9', 'token=\xc3\xa9'],
    ['http://b/c?d', 'b', '/c', 'd'],
    ['HTTPS://B:1/c', 'B:1', '/c', null],
    ['ws://b', 'b', '/', null],
    ['wss://[::1]:80?token=a/b', '[::1]:80', '/', 'token=a/b'],
    ['ws://b/c?', 'b', '/c', ''],
  ];
  for (const [target, host, path, query] of vectors) {
    const head = request(withLine(`GET ${target} HTTP/1.1`));
    assert.deepEqual([head.requestTarget, head.host, head.path, head.query], [target, host, path, query], target);
  }
});

test('request: OPTIONS about the server as a whole (RFC 9112, 3.2.4)', () => {
  const { method, requestTarget, path, query, host } = request(withLine('OPTIONS * HTTP/1.1'));
  assert.deepEqual([method, requestTarget, path, query, host], ['OPTIONS', '*', '*', null, 'a']);
});

test('request: targets that ask for nothing here', () => {
  const vectors = [
    '*',
    'a',
    'a:80',
    '?a',
    'http:/a',
    'http:a',
    'http://',
    'http:///a',
    'http://?a',
    'http://user@a/',
    'http://a:b/',
    'http://a#b',
    'http://a\\b/',
    'ftp://a/',
    'file:///a',
    'https',
    'wsss://a/',
  ];
  for (const target of vectors) refuses(withLine(`GET ${target} HTTP/1.1`), 400, 'Invalid request target');
  for (const target of ['**', '*/', '*?a'])
    refuses(withLine(`OPTIONS ${target} HTTP/1.1`), 400, 'Invalid request target');
  refuses(withLine('CONNECT a:80 HTTP/1.1'), 400, 'Invalid request target');
});

test('request: malformed request lines (RFC 9112, 3)', () => {
  const vectors = [
    '',
    'GET',
    'GET /',
    'GET  / HTTP/1.1',
    'GET /  HTTP/1.1',
    ' GET / HTTP/1.1',
    'GET / HTTP/1.1 ',
    'GET\t/ HTTP/1.1',
    'GET /\tHTTP/1.1',
    'GET /a b HTTP/1.1',
    'GET / HTTP/1.1 x',
    'G(T / HTTP/1.1',
    'G\x01T / HTTP/1.1',
    'G\xc3\xa9T / HTTP/1.1',
    'GET /\x01 HTTP/1.1',
    'GET /\x7f HTTP/1.1',
    'GET /\0 HTTP/1.1',
    'GET /\r HTTP/1.1',
    'GET / http/1.1',
    'GET / HTTP/1',
    'GET / HTTP/11',
    'GET / HTTP/1.1.1',
    'GET / HTTP/1.10',
    'GET / HTTP 1.1',
    'GET / XTTP/1.1',
    'GET / HTTP/1.1\r',
    'GET / HTTP/1.1\n',
  ];
  for (const line of vectors) refuses(withLine(line), 400, 'Malformed request line');
});

test('request: HTTP/1.0 and HTTP/1.1 only', () => {
  assert.equal(request(withLine('GET / HTTP/1.0')).version, '1.0');
  assert.equal(request(withLine('GET / HTTP/1.1')).version, '1.1');
  for (const version of ['0.9', '1.2', '2.0', '3.0', '9.9']) {
    refuses(withLine(`GET / HTTP/${version}`), 400, 'Unsupported HTTP version');
  }
});

test('request: any token is a method', () => {
  for (const method of ['GET', 'HEAD', 'POST', 'get', 'M-SEARCH', '!']) {
    assert.equal(request(withLine(`${method} / HTTP/1.1`)).method, method);
  }
});

test('request: malformed fields (RFC 9112, 5)', () => {
  const names = [
    'X-A : b',
    ' X-A: b',
    '\tX-A: b',
    ': b',
    'X A: b',
    'X-A',
    '',
    'X\xc3: b',
    'X-A\0: b',
    'X-A\r: b',
    '"X": b',
  ];
  for (const line of names) refuses(withFields(line), 400, 'Malformed field name');
  // obs-fold, with and without a colon in the folded line.
  for (const fold of ['X-A: b\r\n c', 'X-A: b\r\n\tc: d', 'X-A: b\r\n ']) {
    refuses(withFields(fold), 400, 'Malformed field name');
  }
  refuses('GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400, 'Malformed field name');
  for (const byte of ['\0', '\x01', '\x07', '\x0b', '\x1f', '\x7f', '\r', '\n']) {
    refuses(withFields(`X-A: b${byte}c`), 400, 'Control character in a field value');
    refuses(withFields(`X-A: ${byte}`), 400, 'Control character in a field value');
  }
});

test('request: what a field may be', () => {
  const { fields } = request(
    withFields("!#$%&'*+-.^_`|~9Az:\r\nX-Utf8: \xc3\xa9\xff\r\nX-Tab: a\tb\r\n__proto__: c:d"),
  );
  assert.equal(fields.get("!#$%&'*+-.^_`|~9aZ"), '');
  assert.equal(fields.get('x-utf8'), '\xc3\xa9\xff');
  assert.equal(fields.get('x-tab'), 'a\tb');
  assert.equal(fields.get('__proto__'), 'c:d');
});

test('request: maxFields fields and no more', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: v\r\n`).join('');
  const head = (count: number) => Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${lines(count - 1)}\r\n`);
  assert.equal(parseRequestHead(head(100), 100).fields.get('x-98'), 'v');
  assert.throws(() => parseRequestHead(head(101), 100), { status: 431, message: 'Too many fields' });
  assert.throws(() => parseRequestHead(head(2_000), 100), { status: 431 });
  assert.equal(parseRequestHead(Buffer.from('GET / HTTP/1.0\r\n\r\n'), 0).fields.has('host'), false);
});

test('request: Host (RFC 9112, 3.2)', () => {
  refuses('GET / HTTP/1.1\r\n\r\n', 400, 'Missing Host');
  refuses('GET http://b/ HTTP/1.1\r\n\r\n', 400, 'Missing Host');
  for (const version of ['1.0', '1.1']) {
    refuses(`GET / HTTP/${version}\r\nHost: a\r\nhost: a\r\n\r\n`, 400, 'More than one Host');
    refuses(`GET / HTTP/${version}\r\nHost: a\r\nHost: b\r\n\r\n`, 400, 'More than one Host');
    for (const host of ['', ' ', 'a, b', 'a b', 'a/b', 'user@a', 'a:b', 'a:65536', '::1', '[::1', 'a\xe9', '*|']) {
      refuses(`GET / HTTP/${version}\r\nHost: ${host}\r\n\r\n`, 400, 'Invalid Host');
    }
    refuses(`GET http://b/ HTTP/${version}\r\nHost: a/b\r\n\r\n`, 400, 'Invalid Host');
  }
  for (const host of ['a', 'a:1', '127.0.0.1', '[::1]:31415', 'my_box.lan.', 'web.1']) {
    assert.equal(request(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`).host, host);
  }
});

test('request: HTTP/1.0 may lack Host, as health checks do', () => {
  assert.equal(request('GET /healthz HTTP/1.0\r\n\r\n').host, null);
  assert.equal(request('GET http://b/ HTTP/1.0\r\n\r\n').host, 'b');
});

test('request: the authority of an absolute-form wins over Host (RFC 9112, 3.2.2)', () => {
  assert.equal(request('GET http://b:1/ HTTP/1.1\r\nHost: a\r\n\r\n').host, 'b:1');
});

test('request: no body on GET and HEAD, and no doubt about it elsewhere', () => {
  for (const method of ['GET', 'HEAD']) {
    assert.equal(request(withFields('Content-Length: 0', method)).method, method);
    for (const line of [
      'Content-Length: 1',
      'Content-Length: 00',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: ',
    ]) {
      refuses(withFields(line, method), 400, 'A request body is not allowed');
    }
  }
  for (const line of ['Content-Length: 5', 'Transfer-Encoding: chunked', 'Content-Length: 00']) {
    assert.equal(request(withFields(line, 'POST')).method, 'POST');
  }
  for (const method of ['GET', 'POST']) {
    const lengths = [
      '',
      '-0',
      '+0',
      '0x0',
      '0 0',
      '0, 0',
      '1e1',
      '\xb2',
      '0\r\nContent-Length: 0',
      '5\r\ncontent-length: 0',
    ];
    for (const length of lengths)
      refuses(withFields(`Content-Length: ${length}`, method), 400, 'Invalid Content-Length');
    refuses(withFields('Transfer-Encoding: chunked\r\nContent-Length: 0', method), 400);
  }
});

test('request: a head without its end is none', () => {
  for (const text of ['', '\r\n', 'GET / HTTP/1.1\r\nHost: a\r\n', 'GET / HTTP/1.1\n\n'])
    refuses(text, 400, 'Incomplete head');
  refuses('\r\n\r\n', 400, 'Malformed request line');
});

test('response: the parts of a head', () => {
  const head = response('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');
  assert.deepEqual([head.version, head.status, head.fields.get('upgrade')], ['1.1', 101, 'websocket']);
});

test('response: status lines (RFC 9112, 4)', () => {
  const vectors: [line: string, status: number][] = [
    ['HTTP/1.1 200 OK', 200],
    ['HTTP/1.1 404 ', 404],
    ['HTTP/1.1 404', 404],
    ['HTTP/1.0 599 a\tb  c \xe9', 599],
    ['HTTP/1.1 100 101 x', 100],
  ];
  for (const [line, status] of vectors) assert.equal(response(`${line}\r\n\r\n`).status, status, line);
  assert.equal(response('HTTP/1.0 200 OK\r\n\r\n').version, '1.0');
});

test('response: malformed status lines', () => {
  const vectors = [
    '',
    'HTTP/1.1',
    'HTTP/1.1 ',
    'HTTP/1.1 20',
    'HTTP/1.1 2000',
    'HTTP/1.1 099 a',
    'HTTP/1.1 600 a',
    'HTTP/1.1  200 OK',
    'HTTP/1.1\t200 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 abc',
    'HTTP/1.1 1e2 a',
    'HTTP/1.2 200 OK',
    'HTTP/2.0 200 OK',
    'http/1.1 200 OK',
    ' HTTP/1.1 200 OK',
    'HTTP/1.1 200 O\x01K',
    'HTTP/1.1 200 O\rK',
    'HTTP/1.1 200 O\0K',
    'SSH-2.0-OpenSSH_9.6',
  ];
  for (const line of vectors) {
    assert.throws(() => response(`${line}\r\n\r\n`), { status: 400, message: 'Malformed status line' }, line);
  }
});

test('response: fields are read as strictly as a request’s', () => {
  const head = (lines: string) => `HTTP/1.1 101 x\r\n${lines}\r\n\r\n`;
  for (const lines of ['X-A : b', 'X-A: b\r\n c', ': a', 'X-A: \x01', 'X-A']) {
    assert.throws(() => response(head(lines)), { name: 'HttpError', status: 400 }, lines);
  }
  assert.throws(() => response(head('A: b\r\nC: d'), 1), { status: 431, message: 'Too many fields' });
  assert.throws(() => response('HTTP/1.1 101 x\r\n'), { status: 400, message: 'Incomplete head' });
  assert.equal(response('HTTP/1.1 200 OK\r\n\r\n', 0).status, 200);
});

test('a request upgrades however it is cut, and what follows it is not lost', () => {
  const text = 'GET /ws?token=a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n';
  everySplit(Buffer.from(`${text}\x81\0`, 'latin1'), (chunks) => {
    const accumulator = new HeadAccumulator(1024, 'request');
    const rests: Buffer[] = [];
    let path: string | undefined;
    for (const chunk of chunks) {
      const complete = path === undefined ? accumulator.push(chunk) : { head: null, rest: chunk };
      if (complete === null) continue;
      if (complete.head !== null) path = parseRequestHead(complete.head, MAX_FIELDS).path;
      rests.push(complete.rest);
    }
    assert.equal(path, '/ws');
    assert.deepEqual(Buffer.concat(rests), Buffer.from([0x81, 0]));
  });
});

test('any bytes make a head or an HttpError, nothing else', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'GET',
      ' ',
      '/',
      'HTTP/1.1',
      '\r\n',
      'Host: a',
      ':',
      'Content-Length: 0',
      'Transfer-Encoding: x',
      ',',
    ),
    fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  const parsers = [parseRequestHead, parseResponseHead];
  const wild = fc.array(piece, { maxLength: 16 }).map((pieces) => pieces.join(''));
  const prefix = fc.constantFrom('', 'GET / HTTP/1.1\r\nHost: a\r\n', 'HTTP/1.1 101 x\r\n');
  fc.assert(
    fc.property(prefix, wild, fc.constantFrom('', '\r\n\r\n'), (start, middle, end) => {
      for (const parse of parsers) {
        try {
          parse(Buffer.from(start + middle + end, 'latin1'), 10);
        } catch (error) {
          assert.ok(error instanceof HttpError, String(error));
          assert.ok(error.status === 400 || error.status === 431);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('a head of the largest size that is all one thing costs what it is long', () => {
  for (const filler of [' ', '\t', 'a', ':', ',', '/', '%', '?', '"']) {
    const long = filler.repeat(1 << 18);
    assert.doesNotThrow(() => request(withFields(`X-A: b${long}c`)));
    assert.throws(() => request(withLine(`GET ${long}`)), HttpError);
    assert.throws(() => request(withFields(long)), HttpError);
  }
});
