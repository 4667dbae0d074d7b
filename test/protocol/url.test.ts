import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodePathSegment, percentDecode } from '../../src/http/target.ts';
import { backUrl, registryUrl, relayUrl } from '../../src/protocol/url.ts';

describe('registryUrl', () => {
  const urls: [daemon: string, url: string][] = [
    // where the page came from: whatever machine served it
    ['http://localhost:31415/', 'ws://localhost:31415/ws'],
    ['http://localhost:31415', 'ws://localhost:31415/ws'],
    ['http://192.168.1.7:31415/', 'ws://192.168.1.7:31415/ws'],
    ['http://[::1]:31415/', 'ws://[::1]:31415/ws'],
    ['http://Laptop.Local/', 'ws://laptop.local/ws'],
    ['https://agents.example/', 'wss://agents.example/ws'],
    ['https://agents.example:8443/#/a', 'wss://agents.example:8443/ws'],
    ['https://example.org/hypi/', 'wss://example.org/hypi/ws'],
    ['https://example.org/hypi/index.html?token=old#x', 'wss://example.org/hypi/ws'],
    ['http://user:secret@host:1/', 'ws://host:1/ws'],
    // where HYPIVISOR_WS points
    ['ws://localhost:31415/ws', 'ws://localhost:31415/ws'],
    ['ws://localhost:31415/ws/', 'ws://localhost:31415/ws'],
    ['ws://localhost:31415', 'ws://localhost:31415/ws'],
    ['ws://[fe80::1]:31415/ws?token=old', 'ws://[fe80::1]:31415/ws'],
    ['wss://example.org/hypi/ws#x', 'wss://example.org/hypi/ws'],
    ['WS://host/ws', 'ws://host/ws'],
    ['ws://user:secret@host/ws', 'ws://host/ws'],
  ];
  for (const [daemon, url] of urls) {
    it(`${daemon} → ${url}`, () => {
      assert.equal(registryUrl(daemon, null), url);
      assert.equal(registryUrl(daemon, ''), url);
      assert.equal(registryUrl(daemon, 'key'), `${url}?token=key`);
      assert.equal(relayUrl(daemon, 'a', null), `${url}/agent/a`);
    });
  }

  for (const daemon of ['', 'localhost:31415', '/ws', 'ftp://host/', 'file:///page.html', 'about:blank', 'http://']) {
    it(`throws a TypeError for ${JSON.stringify(daemon)}`, () => {
      assert.throws(() => registryUrl(daemon, null), TypeError);
      assert.throws(() => relayUrl(daemon, 'a', null), TypeError);
    });
  }
});

describe('the token', () => {
  it('is encoded once', () => {
    assert.equal(registryUrl('ws://h/ws', 'abc+123'), 'ws://h/ws?token=abc%2B123');
    assert.equal(relayUrl('ws://h/ws', 'a', 'a+b =&%#/é'), 'ws://h/ws/agent/a?token=a%2Bb%20%3D%26%25%23%2F%C3%A9');
    assert.equal(registryUrl('ws://h/ws', '%2B'), 'ws://h/ws?token=%252B');
  });

  it('arrives as it was configured, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (token) => {
        const { searchParams, search } = new URL(registryUrl('http://h/', token));
        assert.equal(searchParams.get('token'), token);
        assert.equal(percentDecode(search.slice('?token='.length))?.toString(), token);
      }),
    );
  });
});

describe('relayUrl', () => {
  it('stands beside the registry', () => {
    assert.equal(relayUrl('https://example.org/hypi/', 'a', 'key'), 'wss://example.org/hypi/ws/agent/a?token=key');
  });

  it('carries any id in one path segment', () => {
    assert.equal(relayUrl('ws://h/ws', 'a/b ?#%é', null), 'ws://h/ws/agent/a%2Fb%20%3F%23%25%C3%A9');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (id) => {
        fc.pre(id !== '.' && id !== '..');
        const { pathname, search, hash } = new URL(relayUrl('http://h/', id, null));
        const segments = pathname.split('/');
        assert.deepEqual([segments.length, search, hash], [4, '', '']);
        assert.equal(decodePathSegment(segments[3] as string), id);
      }),
    );
  });
});

describe('backUrl', () => {
  it('stands beside the registry, without a token', () => {
    assert.equal(backUrl('ws://h:31415/ws', 'a-_9'), 'ws://h:31415/ws/back/a-_9');
    assert.equal(backUrl('wss://example.org/hypi/ws?token=key', 'a/b'), 'wss://example.org/hypi/ws/back/a%2Fb');
    assert.throws(() => backUrl('localhost', 'a'), TypeError);
  });
});
