import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Quota } from '../../src/websocket/quota.ts';

/** How many of `times` at the same moment pass. */
function taken(quota: Quota, now: number, times: number): number {
  return Array.from({ length: times }, () => quota.take(now)).filter((isTaken) => isTaken).length;
}

test('two seconds’ worth may come at once, and no more', () => {
  assert.equal(taken(new Quota(5, 1000), 1000, 30), 10);
});

test('it fills at its rate, and never over', () => {
  const quota = new Quota(5, 0);
  assert.equal(taken(quota, 0, 10), 10);
  assert.equal(quota.take(199), false, 'a moment before a fifth of a second');
  assert.equal(quota.take(200), true, 'one is regained in a fifth of a second');
  assert.equal(taken(quota, 400, 1), 1);
  assert.equal(taken(quota, 3_600_000, 30), 10, 'an hour of silence is worth no more');
});

test('at its rate one may go on for ever', () => {
  const quota = new Quota(10, 0);
  for (let now = 0; now < 100_000; now += 100) assert.equal(quota.take(now), true);
});

test('amounts count: two seconds’ worth in one piece or in several, and not one more', () => {
  assert.equal(new Quota(50, 0).take(0, 100), true);
  assert.equal(new Quota(50, 0).take(0, 101), false);
  const quota = new Quota(50, 0);
  assert.deepEqual(
    [quota.take(0, 60), quota.take(0, 41), quota.take(0, 40), quota.take(0)],
    [true, false, true, false],
  );
  assert.deepEqual([quota.take(1000, 51), quota.take(1000, 50)], [false, true], 'a second regains fifty');
});

test('a smaller burst may be given', () => {
  const quota = new Quota(5, 0, 5);
  assert.equal(taken(quota, 0, 30), 5);
  assert.equal(taken(quota, 3_600_000, 30), 5);
});

test('what is refused costs nothing, so that a flood does not starve what comes at the rate', () => {
  const quota = new Quota(5, 0);
  assert.equal(taken(quota, 0, 1000), 10);
  assert.equal(taken(quota, 1000, 1000), 5);
});

test('no limit is no limit', () => {
  assert.equal(taken(new Quota(Number.POSITIVE_INFINITY, 0), 0, 1000), 1000);
});
