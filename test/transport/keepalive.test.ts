import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepalive } from '../../src/transport/keepalive.ts';

const vectors: [silentMs: number, owed: ReturnType<typeof keepalive>][] = [
  [0, { action: 'wait', nextMs: 100 }],
  [1, { action: 'wait', nextMs: 99 }],
  [99, { action: 'wait', nextMs: 1 }],
  [100, { action: 'ping', nextMs: 100 }],
  [199, { action: 'ping', nextMs: 100 }],
  [200, { action: 'ping', nextMs: 100 }],
  [299, { action: 'ping', nextMs: 100 }],
  [300, { action: 'dead' }],
  [10_000, { action: 'dead' }],
];

for (const [silentMs, owed] of vectors) {
  test(`silent for ${silentMs} of 100 ms: ${owed.action}`, () => {
    assert.deepEqual(keepalive(silentMs, 100), owed);
  });
}

test('asked each interval, a peer that never answers is asked twice, and dead after three', () => {
  let pings = 0;
  let silentMs = 0;
  for (;;) {
    const owed = keepalive(silentMs, 25_000);
    if (owed.action === 'dead') break;
    if (owed.action === 'ping') pings++;
    silentMs += owed.nextMs;
  }
  assert.deepEqual({ pings, silentMs }, { pings: 2, silentMs: 75_000 });
});

test('an infinite interval never asks', () => {
  assert.deepEqual(keepalive(1e9, Number.POSITIVE_INFINITY), { action: 'wait', nextMs: Number.POSITIVE_INFINITY });
});
