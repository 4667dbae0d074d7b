import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseAuthority } from '../../src/http/authority.ts';
import { HttpError } from '../../src/http/error.ts';
import {
  acceptFor,
  encodeUpgradeRequest,
  encodeUpgradeResponse,
  HandshakeError,
  readUpgradeRequest,
  readUpgradeResponse,
  type UpgradeRequest,
  wantsUpgrade,
} from '../../src/http/handshake.ts';
import { parseRequestHead, parseResponseHead } from '../../src/http/message.ts';

/** The key and its answer from RFC 6455, section 1.3. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

type Changes = Record<string, string | readonly string[] | null>;

/** Field lines, some of them changed, doubled or (null) left out. */
function lines(fields: Record<string, string>, changes: Changes): string {
  return Object.entries({ ...fields, ...changes })
    .flatMap(([name, values]) => [values ?? []].flat().map((value) => `${name}: ${value}\r\n`))
    .join('');
}

const requestFields = {
  Host: 'localhost:31415',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': KEY,
  'Sec-WebSocket-Version': '13',
};

const upgradeRequest = (changes: Changes = {}, requestLine = 'GET /ws HTTP/1.1') =>
  parseRequestHead(Buffer.from(`${requestLine}\r\n${lines(requestFields, changes)}\r\n`, 'latin1'), 100);

const responseFields = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Accept': ACCEPT };

const upgradeResponse = (changes: Changes = {}, statusLine = 'HTTP/1.1 101 Switching Protocols') =>
  parseResponseHead(Buffer.from(`${statusLine}\r\n${lines(responseFields, changes)}\r\n`, 'latin1'), 100);

const offer = (changes: Partial<UpgradeRequest> = {}): UpgradeRequest => ({
  key: KEY,
  subprotocols: [],
  extensions: null,
  ...changes,
});

test('accept: the example of RFC 6455, 1.3', () => {
  assert.equal(acceptFor(KEY), ACCEPT);
});

test('wants an upgrade: if Upgrade names websocket, in any case and any list', () => {
  for (const value of ['websocket', 'WebSocket', 'h2c, websocket', ['h2c', 'WEBSOCKET'], 'websocket,']) {
    assert.equal(wantsUpgrade(upgradeRequest({ Upgrade: value })), true, String(value));
  }
  for (const value of [null, '', 'h2c', 'websocket/13', 'websockets', 'web socket', '"websocket"']) {
    assert.equal(wantsUpgrade(upgradeRequest({ Upgrade: value })), false, String(value));
  }
});

test('request: what is read of a right one', () => {
  assert.deepEqual(readUpgradeRequest(upgradeRequest()), { key: KEY, subprotocols: [], extensions: null });
  const head = upgradeRequest({
    Connection: ['keep-alive', 'foo, UPGRADE'],
    'Sec-WebSocket-Protocol': ['hypi.v1, hypi.delta.v1', 'a'],
    'Sec-WebSocket-Extensions': ['permessage-deflate;client_max_window_bits', 'x-a; b="1"'],
    'Content-Length': '0',
    'X-Whatever': 'a',
  });
  assert.deepEqual(readUpgradeRequest(head), {
    key: KEY,
    subprotocols: ['hypi.v1', 'hypi.delta.v1', 'a'],
    extensions: 'permessage-deflate; client_max_window_bits, x-a; b=1',
  });
});

test('request: 405 for another method, and Allow says which', () => {
  for (const method of ['HEAD', 'POST', 'OPTIONS', 'get', 'PUT']) {
    assert.throws(() => readUpgradeRequest(upgradeRequest({}, `${method} /ws HTTP/1.1`)), {
      status: 405,
      fields: { Allow: 'GET' },
    });
  }
});

test('request: 426 without an upgrade or for another version, and the fields say what would do', () => {
  const changes: Changes[] = [
    { Upgrade: null },
    { Upgrade: 'h2c' },
    ...[null, '', '8', '12', '14', '013', '13.0', '+13', '13, 8'].map((version) => ({
      'Sec-WebSocket-Version': version,
    })),
  ];
  for (const change of changes) {
    assert.throws(
      () => readUpgradeRequest(upgradeRequest(change)),
      { name: 'HttpError', status: 426, fields: { Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' } },
      JSON.stringify(change),
    );
  }
  assert.throws(() => readUpgradeRequest(upgradeRequest({ Upgrade: null }, 'GET /ws HTTP/1.0')), { status: 426 });
});

test('request: 400 for HTTP/1.0 (RFC 9110, 7.8)', () => {
  assert.throws(() => readUpgradeRequest(upgradeRequest({}, 'GET /ws HTTP/1.0')), { status: 400 });
});

test('request: 400 for what else breaks RFC 6455, 4.2.1', () => {
  const keys = [
    null,
    '',
    'a',
    KEY.slice(0, -1),
    `${KEY}=`,
    `=${KEY}`,
    KEY.slice(0, -2),
    Buffer.alloc(15).toString('base64'),
    Buffer.alloc(17).toString('base64'),
    Buffer.alloc(18).toString('base64'),
    // The last character carries two bits: the other four must be zero.
    `${KEY.slice(0, 21)}B==`,
    `${KEY.slice(0, 21)}x==`,
    `-${KEY.slice(1)}`,
    `_${KEY.slice(1)}`,
    `${KEY.slice(0, 10)} ${KEY.slice(11)}`,
    `${KEY}, ${KEY}`,
    [KEY, KEY],
    [KEY, 'AAAAAAAAAAAAAAAAAAAAAA=='],
  ];
  const protocols = ['a, a', ['a', 'a'], 'a b', 'a;b', 'a/b', '"a"', 'a, b, a', '\xc3\xa9', 'a=b', 'a@b', ['a', '(']];
  const extensions = [';', 'a;', 'a b', 'a;b=', 'a;b="c d"', 'a, b c', '"a"', 'a;b="'];
  const changes: Changes[] = [
    ...[null, '', 'keep-alive', 'upgraded', 'up grade', '"Upgrade"', 'close'].map((value) => ({ Connection: value })),
    { 'Sec-WebSocket-Version': ['13', '13'] },
    { 'Sec-WebSocket-Version': ['13', '8'] },
    { 'Sec-WebSocket-Version': ['8', '13'] },
    ...keys.map((value) => ({ 'Sec-WebSocket-Key': value })),
    ...protocols.map((value) => ({ 'Sec-WebSocket-Protocol': value })),
    ...extensions.map((value) => ({ 'Sec-WebSocket-Extensions': value })),
  ];
  for (const change of changes) {
    assert.throws(
      () => readUpgradeRequest(upgradeRequest(change)),
      { name: 'HttpError', status: 400, fields: {} },
      JSON.stringify(change),
    );
  }
});

test('request: a list without elements offers nothing, as React Native and Python have it', () => {
  for (const value of ['', ',', ' , ,', ['', '']]) {
    const read = readUpgradeRequest(
      upgradeRequest({ 'Sec-WebSocket-Protocol': value, 'Sec-WebSocket-Extensions': value }),
    );
    assert.deepEqual([read.subprotocols, read.extensions], [[], null], JSON.stringify(value));
  }
});

test('request: keys that use every last character', () => {
  for (const last of 'AQgw') {
    const key = `${KEY.slice(0, 21)}${last}==`;
    assert.equal(readUpgradeRequest(upgradeRequest({ 'Sec-WebSocket-Key': key })).key, key);
  }
});

test('request: a refusal repeats nothing of the request', () => {
  const marked: Changes[] = ['Upgrade', 'Connection', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version'].map((name) => ({
    [name]: 'MARKED VALUE',
  }));
  for (const name of ['Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions']) marked.push({ [name]: 'MARKED VALUE' });
  for (const change of marked) {
    assert.throws(
      () => readUpgradeRequest(upgradeRequest(change)),
      (error: unknown) => error instanceof HttpError && !error.message.includes('MARKED'),
    );
  }
});

test('response: the 101, byte for byte (RFC 6455, 4.2.2)', () => {
  assert.equal(
    encodeUpgradeResponse(KEY, null, null).toString(),
    'HTTP/1.1 101 Switching Protocols\r\n' +
      'Upgrade: websocket\r\n' +
      'Connection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${ACCEPT}\r\n` +
      '\r\n',
  );
  assert.equal(
    encodeUpgradeResponse(KEY, 'hypi.v1', 'permessage-deflate; a=1').toString(),
    'HTTP/1.1 101 Switching Protocols\r\n' +
      'Upgrade: websocket\r\n' +
      'Connection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${ACCEPT}\r\n` +
      'Sec-WebSocket-Protocol: hypi.v1\r\n' +
      'Sec-WebSocket-Extensions: permessage-deflate; a=1\r\n' +
      '\r\n',
  );
  assert.throws(() => encodeUpgradeResponse(KEY, 'a\r\nX: y', null), TypeError);
  assert.throws(() => encodeUpgradeResponse(KEY, null, 'a\r\nX: y'), TypeError);
});

test('our request, byte for byte (RFC 6455, 4.1)', () => {
  assert.equal(
    encodeUpgradeRequest('localhost', 8080, offer(), null).toString(),
    'GET / HTTP/1.1\r\n' +
      'Host: localhost:8080\r\n' +
      'Upgrade: websocket\r\n' +
      'Connection: Upgrade\r\n' +
      `Sec-WebSocket-Key: ${KEY}\r\n` +
      'Sec-WebSocket-Version: 13\r\n' +
      '\r\n',
  );
  const withDefaultPort = encodeUpgradeRequest('hypi.example', null, offer(), null).toString();
  assert.match(withDefaultPort, /^GET \/ HTTP\/1\.1\r\nHost: hypi\.example\r\n/);
  const full = offer({ subprotocols: ['hypi.v1', 'a'], extensions: 'permessage-deflate; b=1' });
  assert.equal(
    encodeUpgradeRequest('::1', 80, full, 'c2VjcmV0', '/a?b').toString(),
    'GET /a?b HTTP/1.1\r\n' +
      'Host: [::1]:80\r\n' +
      'Upgrade: websocket\r\n' +
      'Connection: Upgrade\r\n' +
      `Sec-WebSocket-Key: ${KEY}\r\n` +
      'Sec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Protocol: hypi.v1, a\r\n' +
      'Sec-WebSocket-Extensions: permessage-deflate; b=1\r\n' +
      'Authorization: Bearer c2VjcmV0\r\n' +
      '\r\n',
  );
});

test('our request: the Host for names and addresses', () => {
  const vectors: [host: string, field: string][] = [
    ['my_box.lan', 'my_box.lan:1'],
    ['127.0.0.2', '127.0.0.2:1'],
    ['fe80::1%eth0', '[fe80::1]:1'],
    ['[fe80::1%25eth0]', '[fe80::1]:1'],
    ['[::1]', '[::1]:1'],
    ['fe80::1%\r\nX: y', '[fe80::1]:1'],
    ['::ffff:192.0.2.1', '[::ffff:192.0.2.1]:1'],
  ];
  for (const [host, field] of vectors) {
    const head = parseRequestHead(encodeUpgradeRequest(host, 1, offer(), null), 100);
    assert.equal(head.fields.get('host'), field, host);
  }
});

test('our request: the port of the scheme is left out of the Host', () => {
  for (const [host, field] of [
    ['hub.example', 'hub.example'],
    ['::1', '[::1]'],
  ] as const) {
    const head = parseRequestHead(encodeUpgradeRequest(host, null, offer(), null), 100);
    assert.equal(head.fields.get('host'), field);
  }
  assert.throws(() => encodeUpgradeRequest('hub.example:80', null, offer(), null), TypeError);
});

test('our request: nothing can break out of its field', () => {
  const hosts = [
    '',
    ' ',
    'a b',
    'a\r\nX: y',
    'a\0',
    'a\tb',
    'a/b',
    'a?b',
    'a#b',
    'user@a',
    'a:80',
    'a:',
    ':',
    '[',
    '[]',
  ];
  hosts.push(
    '[::1',
    '::1]',
    'a]:b[',
    '::1\r\nX: y',
    'é',
    'box 🐋',
    '"a"',
    'a\\b',
    'a%',
    '1:2',
    '::g',
    '%eth0:',
    '[[::1]]',
  );
  for (const host of hosts) {
    assert.throws(() => encodeUpgradeRequest(host, 80, offer(), null), TypeError, JSON.stringify(host));
  }
  for (const port of [-1, 65_536, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e21]) {
    assert.throws(() => encodeUpgradeRequest('a', port, offer(), null), TypeError, String(port));
  }
  for (const path of ['', 'a', '*', '/ ', '/a b', '/\r\n', '/\0', '/é', '//\t']) {
    assert.throws(() => encodeUpgradeRequest('a', 80, offer(), null, path), TypeError, JSON.stringify(path));
  }
  for (const bad of ['a\r\nX: y', '\0', '\x7f', 'ā']) {
    assert.throws(() => encodeUpgradeRequest('a', 80, offer(), bad), TypeError);
    assert.throws(() => encodeUpgradeRequest('a', 80, offer({ key: bad }), null), TypeError);
    assert.throws(() => encodeUpgradeRequest('a', 80, offer({ extensions: bad }), null), TypeError);
    assert.throws(() => encodeUpgradeRequest('a', 80, offer({ subprotocols: [bad] }), null), TypeError);
  }
  for (const bad of ['', 'a b', 'a,b', '"']) {
    assert.throws(() => encodeUpgradeRequest('a', 80, offer({ subprotocols: ['a', bad] }), null), TypeError);
  }
});

test('our request: any host makes one Host field, or a TypeError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.domain(), fc.ipV4(), fc.ipV6()), (host) => {
      let bytes: Buffer;
      try {
        bytes = encodeUpgradeRequest(host, 8080, offer(), null);
      } catch (error) {
        assert.ok(error instanceof TypeError);
        return;
      }
      const head = parseRequestHead(bytes, 5);
      assert.equal(parseAuthority(head.host ?? '')?.port, 8080);
      assert.equal(readUpgradeRequest(head).key, KEY);
    }),
    { numRuns: 500 },
  );
});

test('the answer: what is read of a right one', () => {
  const full = offer({ subprotocols: ['a', 'b'], extensions: 'x; y, x, z' });
  const vectors: [Changes, UpgradeRequest, subprotocol: string | null, extensions: string | null][] = [
    [{}, offer(), null, null],
    [{}, full, null, null],
    [{ Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' }, offer(), null, null],
    [{ 'Content-Length': '0' }, offer(), null, null],
    [{ 'Sec-WebSocket-Protocol': 'b' }, full, 'b', null],
    [{ 'Sec-WebSocket-Extensions': 'x;y="1"' }, full, null, 'x; y=1'],
    [{ 'Sec-WebSocket-Extensions': ['z', 'x'] }, full, null, 'z, x'],
  ];
  for (const [changes, offered, subprotocol, extensions] of vectors) {
    assert.deepEqual(readUpgradeResponse(upgradeResponse(changes), offered), { subprotocol, extensions });
  }
});

test('the answer: what fails, and the words for it (RFC 6455, 4.1)', () => {
  const full = offer({ subprotocols: ['a', 'b'], extensions: 'x; y' });
  const wrong = (name: string, values: readonly Changes[string][], message: string) =>
    values.map((value): [Changes, string] => [{ [name]: value }, message]);
  const vectors: [Changes, string][] = [
    ...wrong(
      'Upgrade',
      [null, '', 'h2c', 'websocket/13', 'h2c, websocket', ['websocket', 'websocket']],
      'wrong Upgrade',
    ),
    ...wrong('Connection', [null, '', 'close', 'upgraded'], 'wrong Connection'),
    ...wrong(
      'Sec-WebSocket-Accept',
      [null, '', 'a', ACCEPT.toLowerCase(), ACCEPT.slice(0, -1), `${ACCEPT}=`, [ACCEPT, ACCEPT], acceptFor('a'), KEY],
      'wrong Sec-WebSocket-Accept',
    ),
    ...wrong(
      'Sec-WebSocket-Protocol',
      ['', 'c', 'A', 'a, b', ['a', 'b'], ['a', 'a'], 'a,'],
      'a subprotocol that was not offered',
    ),
    ...wrong('Sec-WebSocket-Extensions', ['', ';', 'x;', 'x y', 'x; y="a b"'], 'malformed Sec-WebSocket-Extensions'),
    ...wrong(
      'Sec-WebSocket-Extensions',
      ['z', 'X', 'x, z', 'x, x', ['x', 'x'], 'y'],
      'an extension that was not offered',
    ),
    ...wrong('Content-Length', ['', '1', ['0', '1'], '0, 0', 'a'], 'a body was announced'),
    ...wrong('Transfer-Encoding', ['', 'chunked'], 'a body was announced'),
  ];
  for (const [changes, message] of vectors) {
    assert.throws(
      () => readUpgradeResponse(upgradeResponse(changes), full),
      { name: 'HandshakeError', message },
      JSON.stringify(changes),
    );
  }
});

test('the answer: it may choose nothing if nothing was offered', () => {
  for (const name of ['Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions']) {
    assert.throws(() => readUpgradeResponse(upgradeResponse({ [name]: 'a' }), offer()), HandshakeError);
  }
});

test('the answer: another status or version', () => {
  const vectors: [statusLine: string, message: string][] = [
    ['HTTP/1.1 200 OK', 'status 200'],
    ['HTTP/1.1 100 Continue', 'status 100'],
    ['HTTP/1.1 301 Moved', 'status 301'],
    ['HTTP/1.1 404 x-101', 'status 404'],
    ['HTTP/1.0 101 Switching Protocols', 'not HTTP/1.1'],
  ];
  for (const [statusLine, message] of vectors) {
    const head = upgradeResponse({}, statusLine);
    assert.throws(() => readUpgradeResponse(head, offer()), { name: 'HandshakeError', message });
  }
});

test('both sides understand each other', () => {
  const token = fc.stringMatching(/^[a-z][a-z0-9.-]{0,8}$/);
  fc.assert(
    fc.property(fc.uniqueArray(token, { maxLength: 5 }), fc.array(token, { maxLength: 3 }), (subprotocols, names) => {
      const offered = {
        key: KEY,
        subprotocols,
        extensions: names.length === 0 ? null : names.map((name) => `${name}; a=1`).join(', '),
      };
      const asked = readUpgradeRequest(parseRequestHead(encodeUpgradeRequest('a', 1, offered, null), 10));
      assert.deepEqual(asked, offered);
      const chosen = { subprotocol: subprotocols.at(-1) ?? null, extensions: names[0] ?? null };
      const answer = encodeUpgradeResponse(asked.key, chosen.subprotocol, chosen.extensions);
      assert.deepEqual(readUpgradeResponse(parseResponseHead(answer, 10), offered), chosen);
    }),
  );
});

describe('any fields', () => {
  /** Values that are right somewhere, and pieces of them, joined at will. */
  const value = fc
    .array(
      fc.oneof(
        fc.constantFrom('websocket', 'Upgrade', '13', KEY, ACCEPT, 'a', ',', ' ', ';', '=', '"', '\\', '', '__proto__'),
        fc.stringMatching(/^[\t -~\x80-\xff]{0,4}$/),
      ),
      { maxLength: 4 },
    )
    .map((pieces) => pieces.join('').trim());
  const names = [...Object.keys(requestFields), 'Sec-WebSocket-Accept', 'Sec-WebSocket-Protocol'].concat(
    'Sec-WebSocket-Extensions',
    'Content-Length',
    'Transfer-Encoding',
  );
  const changes = fc.dictionary(fc.constantFrom(...names), fc.option(fc.array(value, { maxLength: 2 })), {
    maxKeys: 3,
    noNullPrototype: true,
  });

  test('make a request that is answered in one head, or an HttpError', () => {
    fc.assert(
      fc.property(changes, (changed) => {
        try {
          const { key, subprotocols } = readUpgradeRequest(upgradeRequest(changed));
          assert.equal(Buffer.from(key, 'base64').length, 16);
          const answer = encodeUpgradeResponse(key, subprotocols[0] ?? null, null);
          assert.equal(parseResponseHead(answer, 10).status, 101);
        } catch (error) {
          assert.ok(error instanceof HttpError, String(error));
          assert.ok([400, 426].includes(error.status));
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('make an answer that chooses what was offered, or an error with its sentence', () => {
    const offered = offer({ subprotocols: ['a', 'b'], extensions: 'a; b=c' });
    fc.assert(
      fc.property(changes, (changed) => {
        try {
          const { subprotocol, extensions } = readUpgradeResponse(upgradeResponse(changed), offered);
          assert.ok(subprotocol === null || offered.subprotocols.includes(subprotocol));
          assert.ok(extensions === null || /^a\b/.test(extensions));
        } catch (error) {
          assert.ok(error instanceof HandshakeError || error instanceof HttpError, String(error));
          assert.notEqual(error.message, '');
        }
      }),
      { numRuns: 1000 },
    );
  });
});
