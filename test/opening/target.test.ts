import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectTarget } from '../../src/opening/target.ts';

describe('a target from a URL', () => {
  for (const [url, host, port, field, path] of [
    ['ws://localhost:31415/ws', 'localhost', 31415, 31415, '/ws'],
    ['ws://hub.example', 'hub.example', 80, null, '/'],
    ['wss://hub.example/a/ws?x=1#y', 'hub.example', 443, null, '/a/ws?x=1'],
    ['wss://hub.example:443/ws', 'hub.example', 443, null, '/ws'],
    ['wss://hub.example:8443/ws', 'hub.example', 8443, 8443, '/ws'],
    ['ws://[::1]:31415/ws', '::1', 31415, 31415, '/ws'],
    ['ws://Büro.example/ws', 'xn--bro-hoa.example', 80, null, '/ws'],
  ] as const) {
    test(url, () => {
      const target = connectTarget(url);
      assert.deepEqual([target.host, target.port], [host, port]);
      assert.deepEqual([target.request.host, target.request.port, target.request.path], [host, field, path]);
      assert.equal(target.tls === null, url.startsWith('ws:'));
      assert.equal(target.proxy, null);
      assert.equal(target.request.bearer, null);
    });
  }

  test('carries the token as the bytes of its UTF-8, subprotocols, and certificates to trust', () => {
    const { request, tls } = connectTarget('wss://h/ws', { token: 'ä+%', subprotocols: ['a', 'b'], ca: 'PEM' });
    assert.equal(request.bearer, Buffer.from('ä+%').toString('latin1'));
    assert.deepEqual(request.subprotocols, ['a', 'b']);
    assert.deepEqual(tls, { ca: 'PEM' });
    assert.equal(connectTarget('ws://h/ws', { token: '' }).request.bearer, null);
  });

  test('goes through the proxy that the environment names, but only under TLS', () => {
    const environment = { https_proxy: 'http://proxy.example:3128' };
    const proxy = { host: 'proxy.example', port: 3128, authorization: null };
    assert.deepEqual(connectTarget('wss://hub.example/ws', { environment }).proxy, proxy);
    assert.equal(connectTarget('ws://hub.example/ws', { environment }).proxy, null);
    assert.equal(connectTarget('wss://localhost/ws', { environment }).proxy, null);
  });

  for (const url of ['', 'localhost:31415', 'http://localhost/ws', 'hub.example', 'ws://']) {
    test(`${url || 'nothing'} is refused in a sentence`, () => {
      assert.throws(() => connectTarget(url), {
        name: 'TypeError',
        message: /^(?:not a URL|cannot connect to a URL with )/,
      });
    });
  }
});
