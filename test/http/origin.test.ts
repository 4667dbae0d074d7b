import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseOrigin } from '../../src/http/origin.ts';

test('origin: scheme, host and port (RFC 6454, 6.2)', () => {
  const vectors: [text: string, serialized: string, host: string][] = [
    ['http://localhost', 'http://localhost', 'localhost'],
    ['http://localhost:31415', 'http://localhost:31415', 'localhost'],
    // Some clients add the slash of the page's URL.
    ['http://localhost/', 'http://localhost', 'localhost'],
    ['https://Example.com:443/', 'https://example.com', 'example.com'],
    ['http://[::1]:8080/', 'http://[::1]:8080', '[::1]'],
    ['HTTP://LocalHost.:80', 'http://localhost', 'localhost'],
    ['https://example.com:443', 'https://example.com', 'example.com'],
    ['http://example.com:443', 'http://example.com:443', 'example.com'],
    ['https://example.com:', 'https://example.com', 'example.com'],
    ['http://[::1]:8080', 'http://[::1]:8080', '[::1]'],
    ['http://[::ffff:127.0.0.1]', 'http://127.0.0.1', '127.0.0.1'],
    ['tauri://localhost', 'tauri://localhost', 'localhost'],
    ['chrome-extension://abcdef', 'chrome-extension://abcdef', 'abcdef'],
    ['constructor://a:80', 'constructor://a:80', 'a'],
  ];
  for (const [text, serialized, host] of vectors) assert.deepEqual(parseOrigin(text), { serialized, host }, text);
});

test('origin: what is none that anybody could trust', () => {
  const vectors = [
    '',
    'null',
    'NULL',
    'file://',
    'file:///',
    'file:///home/me/page.html',
    'localhost',
    '//localhost',
    '://localhost',
    'http:',
    'http://',
    'http:/localhost',
    'http://localhost//',
    'http://localhost/?',
    'http:///',
    'null/',
    'http://localhost/path',
    'http://localhost?a',
    'http://localhost#a',
    'http://user@localhost',
    'http://localhost:80@evil.example',
    'http://evil.example\\@localhost',
    'http://localhost http://localhost',
    'http://localhost, http://localhost',
    'http://localhost:x',
    'http://localhost:65536',
    ' http://localhost',
    'http://local host',
    'http://localhost\t',
    '1http://localhost',
    'blob:http://localhost',
    'data:text/html,a',
    'about:blank',
    'http://[::1',
    'http://::1',
    'http://1.2.3.4.5',
    'http://é',
    'http://a%00',
    'http://http://a',
  ];
  for (const text of vectors) assert.equal(parseOrigin(text), null, text);
});

test('origin: the one that a browser sends is canonical already', () => {
  fc.assert(
    fc.property(fc.webUrl({ authoritySettings: { withPort: true, withIPv4: true, withIPv6: true } }), (url) => {
      const { origin } = new URL(url);
      // An IPv4-mapped address is the one thing that is written in another way.
      if (!origin.includes('[::ffff:')) assert.equal(parseOrigin(origin)?.serialized, origin);
    }),
  );
});
