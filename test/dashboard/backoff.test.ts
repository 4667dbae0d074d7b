import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delayBefore } from '../../src/dashboard/link/backoff.ts';

describe('the wait before a try', () => {
  it('is none at first, then doubles from 1 s to 30 s', () => {
    const delays = Array.from({ length: 8 }, (_, tries) => delayBefore(tries, 0));
    assert.deepEqual(delays, [0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it('has up to half a second on top, but for the first', () => {
    assert.equal(delayBefore(0, 0.999), 0);
    assert.equal(delayBefore(1, 0.5), 1250);
    assert.ok(delayBefore(1000, 0.999) < 30_500);
  });
});
