import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { proxyFor } from '../../src/opening/proxy-environment.ts';

const PROXY = { host: 'proxy.example', port: 3128, authorization: null };
const SET = { HTTPS_PROXY: 'http://proxy.example:3128' };

describe('which proxy', () => {
  test('none is named', () => {
    assert.equal(proxyFor('hub.example', 443, {}), null);
    assert.equal(proxyFor('hub.example', 443, { HTTPS_PROXY: '', http_proxy: 'http://other:1' }), null);
  });

  test('the first that is set', () => {
    const at = (port: number) => `http://proxy.example:${port}`;
    const environment = { ALL_PROXY: at(4), all_proxy: at(3), HTTPS_PROXY: at(2), https_proxy: at(1) };
    for (const port of [1, 2, 3, 4]) {
      assert.equal(proxyFor('hub.example', 443, environment)?.port, port);
      const names = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const;
      environment[names[port - 1] as (typeof names)[number]] = '';
    }
    assert.equal(proxyFor('hub.example', 443, environment), null);
  });

  for (const [text, host, port, authorization] of [
    ['http://proxy.example:3128', 'proxy.example', 3128, null],
    ['proxy.example:3128', 'proxy.example', 3128, null],
    ['proxy.example', 'proxy.example', 80, null],
    ['http://[fd00::1]:8080/', 'fd00::1', 8080, null],
    ['http://user:p%40ss@proxy.example', 'proxy.example', 80, `Basic ${Buffer.from('user:p@ss').toString('base64')}`],
    ['http://user@proxy.example', 'proxy.example', 80, `Basic ${Buffer.from('user:').toString('base64')}`],
    ['http://user:100%@proxy.example', 'proxy.example', 80, `Basic ${Buffer.from('user:100%').toString('base64')}`],
  ] as const) {
    test(text, () => {
      assert.deepEqual(proxyFor('hub.example', 443, { HTTPS_PROXY: text }), { host, port, authorization });
    });
  }

  for (const text of ['https://proxy.example', 'socks5://proxy.example:1080', 'http://', 'http://:secret@:1', 'a b']) {
    test(`${text} is refused, without a word of it`, () => {
      assert.throws(
        () => proxyFor('hub.example', 443, { HTTPS_PROXY: text }),
        (error: Error) => {
          assert.ok(error instanceof TypeError);
          assert.match(error.message, /^HTTPS_PROXY (?:is no URL of a proxy|names a proxy with (?:https|socks5):)/);
          assert.doesNotMatch(error.message, /secret|proxy\.example/);
          return true;
        },
      );
    });
  }
});

describe('what needs none', () => {
  for (const host of ['localhost', 'LOCALHOST.', 'a.localhost', '127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1']) {
    test(`this machine: ${host}`, () => assert.equal(proxyFor(host, 443, SET), null));
  }

  const cases: [exemptions: string, host: string, port: number, direct: boolean][] = [
    ['*', 'hub.example', 443, true],
    ['hub.example', 'hub.example', 443, true],
    ['HUB.example.', 'hub.EXAMPLE', 443, true],
    ['hub.example', 'a.hub.example', 443, true],
    ['hub.example', 'nothub.example', 443, false],
    ['hub.example', 'example', 443, false],
    ['.hub.example', 'a.hub.example', 443, true],
    ['.hub.example', 'hub.example', 443, true],
    ['*.hub.example', 'a.b.hub.example', 443, true],
    ['other.example, hub.example', 'hub.example', 443, true],
    ['other.example\thub.example', 'hub.example', 443, true],
    [',,', 'hub.example', 443, false],
    ['hub.example:443', 'hub.example', 443, true],
    ['hub.example:443', 'hub.example', 8443, false],
    ['10.0.0.5', '10.0.0.5', 443, true],
    ['10.0.0.5', '10.0.0.50', 443, false],
    ['0.0.5', '10.0.0.5', 443, false],
    ['10.0.0.0/8', '10.200.1.1', 443, true],
    ['10.0.0.0/8', '11.0.0.1', 443, false],
    ['10.0.0.0/8', '10.example', 443, false],
    ['10.0.0.0/33', '10.0.0.1', 443, false],
    ['10.0.0.0/', '10.0.0.1', 443, false],
    ['10.0.0.0/x', '10.0.0.1', 443, false],
    ['fd00::/8', 'fd12::1', 443, true],
    ['fd00::/8', 'fe12::1', 443, false],
    ['fd00::/8', '10.0.0.1', 443, false],
    ['FD12:0::1', 'fd12::1', 443, true],
    ['[fd12::1]', 'fd12::1', 443, true],
    ['[fd12::1]:443', 'fd12::1', 443, true],
    ['[fd12::1]:80', 'fd12::1', 443, false],
    ['a b:c:d', 'hub.example', 443, false],
  ];
  for (const [exemptions, host, port, direct] of cases) {
    test(`${exemptions}: ${host}:${port} ${direct ? 'directly' : 'through the proxy'}`, () => {
      assert.deepEqual(proxyFor(host, port, { ...SET, NO_PROXY: exemptions }), direct ? null : PROXY);
      assert.deepEqual(proxyFor(host, port, { ...SET, no_proxy: exemptions, NO_PROXY: '*' }), direct ? null : PROXY);
    });
  }
});
