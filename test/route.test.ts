import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isOpen, type Route, routeOf } from '../src/route.ts';

/** As it stands in a request target: latin1, one character a byte. */
const raw = (text: string) => Buffer.from(text).toString('latin1');
const assets = new Set(['/assets/a.js', '/icon.png']);
const withPage = new Set(['/', '/healthz', '/ws', '/ws/agent/a', '/ws/back/t', '*']);
const relay = (nodeId: string): Route => ({ kind: 'relay', nodeId });

describe('routeOf', () => {
  const routes: [path: string, route: Route][] = [
    ['/', { kind: 'page' }],
    ['/assets/a.js', { kind: 'asset' }],
    ['/icon.png', { kind: 'asset' }],
    ['/assets/b.js', { kind: 'unknown' }],
    // OPTIONS about the server as a whole
    ['*', { kind: 'health' }],
    ['/healthz', { kind: 'health' }],
    ['/ws', { kind: 'registry' }],
    ['/ws/agent/a', relay('a')],
    ['/ws/agent/', { kind: 'missing-node-id' }],
    ['/ws/back/t-_9', { kind: 'back', ticket: 't-_9' }],
    ['/ws/back/', { kind: 'back', ticket: '' }],
    ['/ws/back', { kind: 'unknown' }],
    // protocol.md: unknown paths, `/ws/` and `/ws/other` too
    ['/ws/', { kind: 'unknown' }],
    ['/ws/other', { kind: 'unknown' }],
    ['/ws/agent', { kind: 'unknown' }],
    ['/ws/agents/a', { kind: 'unknown' }],
    ['/WS', { kind: 'unknown' }],
    ['/%77s', { kind: 'unknown' }],
    ['//ws', { kind: 'unknown' }],
    ['/wsx', { kind: 'unknown' }],
    ['/healthz/', { kind: 'unknown' }],
    ['/favicon.ico', { kind: 'unknown' }],
    ['', { kind: 'unknown' }],
    ['/*', { kind: 'unknown' }],
    // percent-encoded by some clients, and by some not
    ['/ws/agent/a%2Fb', relay('a/b')],
    ['/ws/agent/a/b', relay('a/b')],
    ['/ws/agent/%C3%A9', relay('é')],
    [raw('/ws/agent/é'), relay('é')],
    ['/ws/agent/a+b', relay('a+b')],
    ['/ws/agent/a%2Bb', relay('a+b')],
    ['/ws/agent/%252F', relay('%2F')],
    ['/ws/agent//', relay('/')],
    ['/ws/agent/..', relay('..')],
    // no valid encoding: as it stands
    ['/ws/agent/100%', relay('100%')],
    ['/ws/agent/%zz', relay('%zz')],
    ['/ws/agent/%ff', relay('%ff')],
    ['/ws/agent/%c0%af', relay('%c0%af')],
  ];
  for (const [path, route] of routes) {
    it(`${JSON.stringify(path)} → ${JSON.stringify(route)}`, () => assert.deepEqual(routeOf(path, assets), route));
  }

  it('lets no file take the place of another route', () => {
    const kinds = [...withPage].map((path) => routeOf(path, withPage).kind);
    assert.deepEqual(kinds, ['asset', 'health', 'registry', 'relay', 'back', 'health']);
  });

  it('finds any id again that was percent-encoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (id) => {
        assert.deepEqual(routeOf(`/ws/agent/${encodeURIComponent(id)}`, assets), relay(id));
      }),
    );
  });

  it('has an answer for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const { kind } = routeOf(`/ws/agent/${Buffer.from(bytes).toString('latin1')}`, assets);
        assert.equal(kind, bytes.length === 0 ? 'missing-node-id' : 'relay');
      }),
    );
  });
});

describe('isOpen', () => {
  it('is true of the page, its files and the health check alone', () => {
    const open = ['/', '/icon.png', '/healthz', '/ws', '/ws/agent/a', '/ws/agent/', '/other'].filter((path) =>
      isOpen(routeOf(path, assets)),
    );
    assert.deepEqual(open, ['/', '/icon.png', '/healthz']);
  });
});
