import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import fc from 'fast-check';
import { HttpError } from '../../src/http/error.ts';
import { createGate, type GatePolicy, type OriginRefusal } from '../../src/http/gate.ts';
import { parseRequestHead, type RequestHead } from '../../src/http/message.ts';
import { adviseOnOrigin } from '../../src/origin-advice.ts';
import { TOKEN_SUBPROTOCOL_PREFIX, withoutTokens } from '../../src/protocol/subprotocol.ts';

/** A token with everything in it that URLs, fields and forms treat in a way of their own. */
const WILD_TOKEN = 'a+b%&=#é /?"\\,;🐋';

const gate = (changes: Partial<GatePolicy> = {}) =>
  createGate({
    token: null,
    tokenSubprotocolPrefix: TOKEN_SUBPROTOCOL_PREFIX,
    allowOrigins: [],
    allowHosts: [],
    hostName: 'my-box',
    explain: adviseOnOrigin,
    ...changes,
  });

/** What a client sends: text outside latin1 goes as UTF-8. */
function requestHead(target = '/ws', lines: readonly string[] = [], host = 'localhost:31415'): RequestHead {
  const text = [`GET ${target} HTTP/1.1`, `Host: ${host}`, ...lines, '', ''].join('\r\n');
  return parseRequestHead(Buffer.from(text), 100);
}

const base64url = (text: string) => Buffer.from(text).toString('base64url');

const authorises = (token: string, head: RequestHead): boolean => {
  try {
    gate({ token }).authorise(head);
    return true;
  } catch (error) {
    assert.ok(error instanceof HttpError);
    assert.deepEqual(
      [error.status, error.message, error.fields],
      [401, 'Unauthorized', { 'WWW-Authenticate': 'Bearer' }],
    );
    return false;
  }
};

test('token: none set, none asked for, and a stray one is harmless', () => {
  for (const token of [null, '']) {
    for (const target of ['/ws', '/ws?token=x', '/ws?token=%zz', '/ws?token=a&token=b', '/ws?token=']) {
      assert.doesNotThrow(() => gate({ token }).authorise(requestHead(target)));
    }
    assert.doesNotThrow(() => gate({ token }).authorise(requestHead('/ws', ['Authorization: Bearer x'])));
  }
});

test('token as a parameter: right as it stands, or percent-decoded', () => {
  const vectors: [token: string, query: string, right: boolean][] = [
    ['abc', 'token=abc', true],
    ['abc', 'a=b&token=abc&c', true],
    ['abc', 'token=%61%62%63', true],
    ['abc', 'token=%61bc', true],
    ['abc+123', 'token=abc+123', true],
    ['abc+123', 'token=abc%2B123', true],
    ['abc+123', 'token=abc%2b123', true],
    ['abc 123', 'token=abc%20123', true],
    // A plus is a plus, never a space.
    ['abc 123', 'token=abc+123', false],
    ['abc+123', 'token=abc%20123', false],
    ['a=b', 'token=a=b', true],
    ['a/b?c', 'token=a/b?c', true],
    ['é', 'token=é', true],
    ['é', 'token=%C3%A9', true],
    ['é', 'token=%E9', false],
    // Raw escapes that are literally the token.
    ['100%', 'token=100%', true],
    ['100%', 'token=100%25', true],
    ['%zz', 'token=%zz', true],
    ['%2B', 'token=%2B', true],
    ['%2B', 'token=%252B', true],
    ['+', 'token=%2B', true],
    ['+', 'token=%252B', false],
    // Wrong ones, and never a crash.
    ['abc', '', false],
    ['abc', 'token', false],
    ['abc', 'token=', false],
    ['abc', 'token=ab', false],
    ['abc', 'token=abcd', false],
    ['abc', 'token=ABC', false],
    ['abc', 'Token=abc', false],
    ['abc', 'xtoken=abc', false],
    ['abc', '%74oken=abc', false],
    ['abc', 'token=abc&token=abc', false],
    ['abc', 'token=abc&token=x', false],
    ['abc', 'token&token=abc', false],
    ['abc', 'token=%', false],
    ['abc', 'token=%zz', false],
    ['abc', 'token=%c0%af', false],
    ['abc', 'token=%ff', false],
    ['abc', 'token=%00', false],
    ['abc', 'token=abc%00', false],
    ['abc', 'token=abc%', false],
    ['abc', 'token=abc#', false],
  ];
  for (const [token, query, right] of vectors) {
    assert.equal(authorises(token, requestHead(`/ws?${query}`)), right, `${token} by ${query}`);
  }
  assert.equal(authorises('abc', requestHead('/ws')), false);
  assert.equal(authorises('abc', requestHead('/ws/agent/token=abc')), false);
});

test('token as Authorization: Bearer, in UTF-8', () => {
  const vectors: [token: string, lines: string[], right: boolean][] = [
    ['abc', ['Authorization: Bearer abc'], true],
    ['abc', ['authorization: bEARER   abc'], true],
    ['é🐋', ['Authorization: Bearer é🐋'], true],
    ['a b', ['Authorization: Bearer a b'], true],
    ['abc+%2B', ['Authorization: Bearer abc+%2B'], true],
    ['+', ['Authorization: Bearer %2B'], false],
    ['abc', ['Authorization: Bearer'], false],
    ['abc', ['Authorization: Bearer '], false],
    ['abc', ['Authorization: Bearerabc'], false],
    ['abc', ['Authorization: abc'], false],
    ['abc', ['Authorization: Basic abc'], false],
    ['abc', ['Authorization: xBearer abc'], false],
    ['abc', ['Authorization: Bearer abcd'], false],
    ['abc', ['Authorization: Bearer abc, Bearer abc'], false],
    ['abc', ['Authorization: Bearer abc', 'Authorization: Bearer abc'], false],
    ['abc', ['Authorization: Bearer x', 'Authorization: Bearer abc'], false],
    ['abc', ['Proxy-Authorization: Bearer abc'], false],
  ];
  for (const [token, lines, right] of vectors) {
    assert.equal(authorises(token, requestHead('/ws', lines)), right, lines.join());
  }
});

test('token as a subprotocol', () => {
  const entry = `hypi.token.${base64url('abc')}`;
  const vectors: [lines: string[], right: boolean][] = [
    [[`Sec-WebSocket-Protocol: ${entry}`], true],
    [[`Sec-WebSocket-Protocol: hypi.v1, hypi.delta.v1, ${entry}`], true],
    [['Sec-WebSocket-Protocol: hypi.v1', `Sec-WebSocket-Protocol: ${entry}`], true],
    [[`Sec-WebSocket-Protocol: ${entry}=`], false],
    [[`Sec-WebSocket-Protocol: ${entry}, ${entry}`], false],
    [[`Sec-WebSocket-Protocol: ${entry}, hypi.token.x`], false],
    [[`Sec-WebSocket-Protocol: HYPI.token.${base64url('abc')}`], false],
    [[`Sec-WebSocket-Protocol: x${entry}`], false],
    [['Sec-WebSocket-Protocol: hypi.token.'], false],
    [['Sec-WebSocket-Protocol: hypi.token.abc'], false],
    [['Sec-WebSocket-Protocol: hypi.token'], false],
    [['Sec-WebSocket-Protocol: abc'], false],
    [['Sec-WebSocket-Protocol: '], false],
  ];
  for (const [lines, right] of vectors) {
    assert.equal(authorises('abc', requestHead('/ws', lines)), right, lines.join());
  }
});

test('token: one right place is enough, whatever stands in the others', () => {
  const entry = (token: string) => `Sec-WebSocket-Protocol: hypi.token.${base64url(token)}`;
  assert.equal(authorises('abc', requestHead('/ws?token=abc', ['Authorization: Basic x', entry('x')])), true);
  assert.equal(authorises('abc', requestHead('/ws?token=%zz', ['Authorization: Bearer abc'])), true);
  assert.equal(authorises('abc', requestHead('/ws?token=a&token=b', ['Authorization: Bearer x', entry('abc')])), true);
});

test('token: one with every troublesome character, in every place', () => {
  assert.equal(authorises(WILD_TOKEN, requestHead(`/ws?token=${encodeURIComponent(WILD_TOKEN)}`)), true);
  assert.equal(authorises(WILD_TOKEN, requestHead('/ws', [`Authorization: Bearer ${WILD_TOKEN}`])), true);
  assert.equal(
    authorises(WILD_TOKEN, requestHead('/ws', [`Sec-WebSocket-Protocol: hypi.token.${base64url(WILD_TOKEN)}`])),
    true,
  );
});

test('token: any text works encoded, and any other is refused', () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 24 });
  fc.assert(
    fc.property(text, text, (token, other) => {
      for (const candidate of [token, other]) {
        // Encoded, it may also happen to be the token as it stands: '%' and '%25'.
        const right = candidate === token || encodeURIComponent(candidate) === token;
        assert.equal(authorises(token, requestHead(`/ws?token=${encodeURIComponent(candidate)}`)), right);
        const entry = `Sec-WebSocket-Protocol: ${TOKEN_SUBPROTOCOL_PREFIX}${base64url(candidate)}`;
        assert.equal(authorises(token, requestHead('/ws', [entry])), candidate === token);
      }
    }),
  );
});

test('token: any text that can stand in a target works raw', () => {
  const visible = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[\s&#]/.test(text));
  fc.assert(fc.property(visible, (token) => assert.equal(authorises(token, requestHead(`/ws?token=${token}`)), true)));
});

test('token: any query, Authorization and subprotocol is a 401, never a crash', () => {
  const wild = fc
    .array(fc.constantFrom('token', '=', '&', '%', 'z', '%41', 'Bearer', ' ', ',', 'hypi.token.', '-_', 'é'), {
      maxLength: 10,
    })
    .map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(wild, wild, wild, (query, authorization, subprotocol) => {
      const target = `/ws?${query.replaceAll(' ', '')}`;
      const lines = [`Authorization: ${authorization}`, `Sec-WebSocket-Protocol: ${subprotocol}`];
      assert.equal(authorises('secret', requestHead(target, lines)), false);
    }),
    { numRuns: 300 },
  );
});

test('withoutTokens: takes the entries that carry one, and keeps the order', () => {
  assert.deepEqual(withoutTokens(['hypi.v1', 'hypi.token.abc', 'hypi.delta.v1', 'hypi.token.']), [
    'hypi.v1',
    'hypi.delta.v1',
  ]);
  assert.deepEqual(withoutTokens(['hypi.token', 'Hypi.token.a', 'xhypi.token.a']), [
    'hypi.token',
    'Hypi.token.a',
    'xhypi.token.a',
  ]);
  assert.deepEqual(withoutTokens([]), []);
});

/** What a page at this origin is told: null for nothing, since it passes. */
function refusalOf(
  origin: string | string[],
  host = 'localhost:31415',
  policy: Partial<GatePolicy> = {},
): string | null {
  const head = requestHead(
    '/ws',
    [origin].flat().map((value) => `Origin: ${value}`),
    host,
  );
  try {
    gate(policy).admit(head);
    return null;
  } catch (error) {
    assert.ok(error instanceof HttpError);
    assert.equal(error.status, 403);
    return error.message;
  }
}

test('origin: none is a program, and passes', () => {
  assert.doesNotThrow(() => gate().admit(requestHead()));
  assert.doesNotThrow(() => gate().admit(requestHead('/ws', [], 'evil.example')));
});

test('origin: with a token nothing is checked', () => {
  for (const origin of ['https://evil.example', 'null', ['a', 'b']]) {
    assert.equal(refusalOf(origin, 'evil.example', { token: 'abc' }), null);
  }
  // An empty token guards nothing, so it must not open this door.
  assert.notEqual(refusalOf('https://evil.example', 'evil.example', { token: '' }), null);
});

test('origin: localhost and loopback pass, whatever the Host', () => {
  const origins = [
    'http://localhost',
    'http://localhost:5173',
    'https://LOCALHOST:1',
    'http://localhost.',
    'http://app.localhost:3000',
    'http://127.0.0.1:8080',
    'http://127.8.9.10',
    'http://[::1]:8080',
    'http://[::ffff:127.0.0.1]',
    'tauri://localhost',
  ];
  for (const origin of origins) {
    for (const host of ['localhost:31415', '127.0.0.1', 'evil.example', '192.168.1.20']) {
      assert.equal(refusalOf(origin, host), null, `${origin} at ${host}`);
    }
  }
});

test('origin: the same name as the Host passes on any port, if that is a name of this machine', () => {
  const vectors: [origin: string, host: string][] = [
    ['http://192.168.1.20:5173', '192.168.1.20:31415'],
    ['https://192.168.1.20', '192.168.1.20'],
    ['http://[2001:db8::1]:5173', '[2001:DB8:0::1]:31415'],
    ['http://0.0.0.0:31415', '0.0.0.0:31415'],
    ['http://10.0.0.1', '[::ffff:10.0.0.1]:31415'],
    ['http://my-box:5173', 'My-Box:31415'],
    ['http://my-box', 'my-box.:31415'],
    ['https://pi.example.com', 'pi.example.com:31415'],
    ['http://pi.example.com.:5173', 'PI.example.com'],
  ];
  for (const [origin, host] of vectors) {
    assert.equal(refusalOf(origin, host, { allowHosts: ['Pi.Example.com.'] }), null, `${origin} at ${host}`);
  }
});

test('origin: this machine’s own name, whatever it is, throws nothing', () => {
  for (const hostName of [hostname(), '', 'a b', 'web.1', '\0', '🐋']) {
    assert.equal(refusalOf('http://localhost', 'localhost', { hostName }), null);
    assert.notEqual(refusalOf('http://evil.example', 'evil.example', { hostName }), null);
  }
});

test('origin: a page of another site is refused, and the answer names the flag (CSWSH)', () => {
  const origins = [
    'https://evil.example',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'http://evil-localhost',
    'http://192.168.1.21',
    'http://my-box.evil.example',
    'http://pi.example.com',
    'https://evil.example:8443',
  ];
  for (const origin of origins) {
    for (const host of ['localhost:31415', '192.168.1.20', 'my-box']) {
      const expected = `Origin ${origin} is not allowed: start hypivisor with --allow-origin ${origin}, or set HYPI_TOKEN`;
      assert.equal(refusalOf(origin, host), expected);
    }
  }
});

test('origin: a page that came by DNS rebinding is refused, and the answer names the flag', () => {
  for (const name of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example', 'my-box.evil.example']) {
    assert.equal(
      refusalOf(`http://${name}:31415`, `${name}:31415`),
      `Origin http://${name}:31415 is not allowed: start hypivisor with --allow-host ${name}, or set HYPI_TOKEN`,
    );
  }
});

test('origin: one in the allow-list passes; scheme and port count, writing does not', () => {
  const allowOrigins = ['https://Dash.Example:443', 'http://other.example:8080', 'not an origin'];
  const vectors: [origin: string, passes: boolean][] = [
    ['https://dash.example', true],
    ['https://dash.example:443', true],
    ['HTTPS://DASH.example', true],
    ['http://other.example:8080', true],
    ['http://dash.example', false],
    ['https://dash.example:8443', false],
    ['http://other.example', false],
    ['https://sub.dash.example', false],
    ['https://dash.example.evil', false],
    ['undefined', false],
    ['not an origin', false],
  ];
  for (const [origin, passes] of vectors)
    assert.equal(refusalOf(origin, 'a', { allowOrigins }) === null, passes, origin);
});

test('origin: with a slash behind it, it is the same', () => {
  assert.equal(refusalOf('http://localhost/', 'localhost'), null);
  assert.equal(refusalOf('http://localhost:5173/', '127.0.0.1'), null);
  assert.equal(refusalOf('https://dash.example/', 'a', { allowOrigins: ['https://dash.example'] }), null);
  assert.equal(refusalOf('https://dash.example', 'a', { allowOrigins: ['https://dash.example/'] }), null);
  assert.notEqual(refusalOf('https://evil.example/', 'localhost', { allowOrigins: ['https://dash.example'] }), null);
});

test('origin: an allowed host is none by itself', () => {
  assert.notEqual(refusalOf('http://pi.example.com', 'localhost', { allowHosts: ['pi.example.com'] }), null);
});

test('origin: opaque, several or unreadable ones are refused, listed or not', () => {
  const sentence = 'A page of this origin may connect only with a token: set HYPI_TOKEN';
  const origins = [
    'null',
    'file://',
    'file:///home/me/a.html',
    '',
    'localhost',
    'http://localhost//',
    'http://localhost/a',
    'http://localhost http://evil.example',
    'http://localhost, http://localhost',
    'http://user@localhost',
    'http://localhost:99999',
    ['http://localhost', 'http://localhost'],
    ['http://localhost', 'https://evil.example'],
    ['', 'http://localhost'],
  ];
  for (const origin of origins) {
    const allowOrigins = [origin].flat();
    assert.equal(refusalOf(origin, 'localhost', { allowOrigins: [...allowOrigins, 'null', 'file://'] }), sentence);
  }
});

test('origin: if the request has no Host (HTTP/1.0), only loopback passes', () => {
  const head = (origin: string) => parseRequestHead(Buffer.from(`GET /ws HTTP/1.0\r\nOrigin: ${origin}\r\n\r\n`), 100);
  assert.doesNotThrow(() => gate().admit(head('http://localhost')));
  assert.throws(() => gate().admit(head('http://192.168.1.20')), { status: 403 });
});

test('origin: a Host that no browser can have visited equals none', () => {
  assert.notEqual(refusalOf('http://192.168.1.20', 'web.1'), null);
});

test('origin: the gate gives the reason, and its owner makes a sentence of it', () => {
  const reasons: OriginRefusal[] = [];
  const explain = (refusal: OriginRefusal) => {
    reasons.push(refusal);
    return 'No';
  };
  for (const [origin, host] of [
    ['null', 'a'],
    ['https://evil.example', 'localhost'],
    ['http://evil.example', 'evil.example'],
  ] as const) {
    assert.equal(refusalOf(origin, host, { explain }), 'No');
  }
  assert.deepEqual(reasons, [
    { reason: 'no-origin' },
    { reason: 'foreign-origin', origin: { serialized: 'https://evil.example', host: 'evil.example' } },
    { reason: 'foreign-host', origin: { serialized: 'http://evil.example', host: 'evil.example' } },
  ]);
});

test('token: the prefix of its subprotocol is whatever was agreed', () => {
  const offer = (entry: string) => requestHead('/ws', [`Sec-WebSocket-Protocol: ${entry}`]);
  const other = gate({ token: 'abc', tokenSubprotocolPrefix: 'key-' });
  assert.doesNotThrow(() => other.authorise(offer(`key-${base64url('abc')}`)));
  assert.throws(() => other.authorise(offer(`hypi.token.${base64url('abc')}`)), { status: 401 });
});

test('origin: a text that is long, or harmful in a shell, is not repeated', () => {
  const refused = (flag: string) => `This origin is not allowed: start hypivisor with ${flag} …, or set HYPI_TOKEN`;
  // A name of 63 + 1 + 63 + … characters that makes an origin of exactly so many.
  const originOf = (length: number) =>
    `http://${`${'a'.repeat(49)}.`.repeat(8).slice(0, length - 'http://'.length - 1)}b`;
  assert.equal(originOf(199).length, 199);
  assert.match(refusalOf(originOf(199)) ?? '', /^Origin http:\/\/a/);
  assert.equal(refusalOf(originOf(200)), refused('--allow-origin'));
  for (const host of ['a$(reboot)', 'a;reboot', 'a&b', "a'b", 'a*']) {
    assert.equal(refusalOf(`http://${host}`), refused('--allow-origin'));
    assert.equal(refusalOf(`http://${host}`, host), refused('--allow-host'));
  }
});

test('origin: any text at all passes or is a 403 in one line of plain text', () => {
  const piece = fc.constantFrom(
    'http',
    'https',
    '://',
    ':',
    'localhost',
    'evil.example',
    '127.0.0.1',
    '.',
    '[::1]',
    '80',
    '/',
    '@',
    ' ',
  );
  const wild = fc.array(
    fc.oneof(
      piece,
      fc.string({ maxLength: 3 }).map((text) => text.replaceAll(/[^ -~]/g, '')),
    ),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(wild, fc.constantFrom('localhost', 'evil.example', '127.0.0.1'), (pieces, host) => {
      const origin = pieces.join('');
      const sentence = refusalOf(origin, host);
      if (sentence !== null) assert.match(sentence, /^[\w.:/[\]\-, …]{1,600}$/);
      // Nothing passes but what a browser, too, would say is on this machine, or is the address it asked for.
      else assert.match(new URL(origin.trim()).hostname, /^(.*\.)?localhost\.?$|^127\.|^\[::1\]$/);
    }),
    { numRuns: 500 },
  );
});
