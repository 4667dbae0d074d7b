import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalHost, isIpLiteral, isLoopbackHost, parseAuthority } from '../../src/http/authority.ts';

test('authority: names, addresses, ports (RFC 3986, 3.2)', () => {
  const vectors: [string, string, number | null][] = [
    ['localhost', 'localhost', null],
    ['localhost:31415', 'localhost', 31415],
    ['Example.COM.:80', 'Example.COM.', 80],
    ['my_box-1.lan', 'my_box-1.lan', null],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['a:65535', 'a', 65535],
    ['a:', 'a', null],
    ['[::1]', '[::1]', null],
    ['[::1]:8080', '[::1]', 8080],
    ['[::ffff:192.0.2.1]:1', '[::ffff:192.0.2.1]', 1],
    ["a!$&'()*+,;=~b", "a!$&'()*+,;=~b", null],
    ['a%C3%A9', 'a%C3%A9', null],
  ];
  for (const [text, host, port] of vectors) assert.deepEqual(parseAuthority(text), { host, port }, text);
});

test('authority: what is none', () => {
  const vectors = [
    '',
    ':80',
    'a b',
    ' a',
    'a ',
    'a\n',
    'a\t',
    'a/b',
    'a?b',
    'a#b',
    'user@a',
    'a:b',
    'a:-1',
    'a:65536',
    'a:123456',
    'a:80:80',
    '::1',
    '[::1',
    '::1]',
    '[]',
    '[a]',
    '[::1]x',
    '[1::2::3]',
    '[12345::]',
    '[::1%25eth0]',
    '[v1.x]',
    'a%',
    'a%4',
    'a%zz',
    'a"b',
    'a\\b',
    'é',
    'a\0',
  ];
  for (const text of vectors) assert.equal(parseAuthority(text), null, JSON.stringify(text));
});

test('canonical host: what means the same becomes the same', () => {
  const vectors: [string, string | null][] = [
    ['LOCALHOST', 'localhost'],
    ['localhost.', 'localhost'],
    ['localhost:31415', 'localhost'],
    ['Box.Example', 'box.example'],
    ['127.0.0.1', '127.0.0.1'],
    ['127.1', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['0177.0.0.1', '127.0.0.1'],
    ['127.0.0.1.', '127.0.0.1'],
    ['[0:0:0:0:0:0:0:1]', '[::1]'],
    ['[::FFFF:127.0.0.1]', '127.0.0.1'],
    ['[::ffff:c000:201]:80', '192.0.2.1'],
    ['[::ffff:0:1]', '0.0.0.1'],
    ['[2001:DB8::1]', '[2001:db8::1]'],
    ['loc%61lhost', 'localhost'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    // No browser has a page from these.
    ['web.1', null],
    ['1.2.3.4.5', null],
    ['256.1.1.1', null],
    ['a%00b', null],
    // A label is never empty (RFC 1035, section 2.3.1); one trailing dot alone stands for the root.
    ['.', null],
    ['..', null],
    ['.a', null],
    ['a..', null],
    ['a..b', null],
    ['localhost..', null],
    ['a%2E.', null],
    // And these are no authorities, though the URL parser would make one of some.
    ['a\tb', null],
    ['local\nhost', null],
    ['localhost/path', null],
    ['user@localhost', null],
    ['\\localhost', null],
    ['', null],
  ];
  for (const [text, expected] of vectors) assert.equal(canonicalHost(text), expected, JSON.stringify(text));
});

test('canonical host: any text at all gives a form that is its own, or null', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.domain(),
        fc.ipV4(),
        fc.ipV6().map((address) => `[${address}]`),
      ),
      (text) => {
        const host = canonicalHost(text);
        if (host !== null) assert.equal(canonicalHost(host), host);
      },
    ),
  );
});

test('loopback: 127.0.0.0/8, ::1, localhost and what is under it', () => {
  const loopback = ['127.0.0.1', '127.255.255.254', '127.1', '[::1]', 'localhost', 'LocalHost.', 'a.b.localhost'];
  for (const text of [...loopback, '[::ffff:127.0.0.1]']) {
    assert.equal(isLoopbackHost(canonicalHost(text) ?? ''), true, text);
  }
  const others = [
    '127.0.0.1.evil.example',
    '127.evil.example',
    'localhost.evil.example',
    'notlocalhost',
    '128.0.0.1',
    '0.0.0.0',
    '10.127.0.1',
    '[::]',
    '[::2]',
    '[::ffff:10.0.0.1]',
    'example',
  ];
  for (const text of others) assert.equal(isLoopbackHost(canonicalHost(text) ?? ''), false, text);
});

test('IP literals are told from names', () => {
  for (const host of ['127.0.0.1', '192.168.1.20', '[::1]', '[2001:db8::1]']) assert.equal(isIpLiteral(host), true);
  for (const host of ['localhost', '127.0.0.1.evil.example', 'a1.2.3.4', '1.2.3.4a', 'fe80']) {
    assert.equal(isIpLiteral(host), false, host);
  }
});
