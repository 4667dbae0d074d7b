import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PingQuota } from '../../src/websocket/ping-quota.ts';

/** How many of `pings` at the same moment pass. */
function taken(quota: PingQuota, now: number, pings: number): number {
  return Array.from({ length: pings }, () => quota.take(now)).filter((isTaken) => isTaken).length;
}

test('two seconds’ worth may come at once, and no more', () => {
  assert.equal(taken(new PingQuota(5, 1000), 1000, 30), 10);
});

test('it fills at its rate, and never over', () => {
  const quota = new PingQuota(5, 0);
  assert.equal(taken(quota, 0, 10), 10);
  assert.equal(quota.take(200), true, 'one is regained in a fifth of a second');
  assert.equal(taken(quota, 400, 1), 1);
  assert.equal(taken(quota, 3_600_000, 30), 10, 'an hour of silence is worth no more');
});

test('at its rate one may ping for ever', () => {
  const quota = new PingQuota(10, 0);
  for (let now = 0; now < 100_000; now += 100) assert.equal(quota.take(now), true);
});

test('no limit is no limit', () => {
  assert.equal(taken(new PingQuota(Number.POSITIVE_INFINITY, 0), 0, 1000), 1000);
});
