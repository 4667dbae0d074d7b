import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BANNER_DELAY_MS, bannerIn, daemonAfter, UNKNOWN_DAEMON } from '../../src/dashboard/state/daemon.ts';

describe('the daemon, as the page knows it', () => {
  const met = daemonAfter(UNKNOWN_DAEMON, { kind: 'roster' }, 0);

  it('is live once the roster has come, and gone at once when it is lost', () => {
    assert.deepEqual([met.live, met.met], [true, true]);
    const lost = daemonAfter(met, { kind: 'lost' }, 1000);
    assert.deepEqual([lost.live, lost.met, lost.downSince], [false, true, 1000]);
  });

  it('has a banner 4 s after the first drop, which further tries do not postpone', () => {
    let daemon = daemonAfter(met, { kind: 'lost' }, 1000);
    assert.equal(bannerIn(daemon, 1000), BANNER_DELAY_MS);
    daemon = daemonAfter(daemon, { kind: 'lost' }, 3000);
    daemon = daemonAfter(daemon, { kind: 'obstacle', obstacle: 'silent' }, 4000);
    assert.equal(bannerIn(daemon, 4000), 1000);
    assert.equal(bannerIn(daemon, 9000), 0);
    assert.equal(bannerIn(daemonAfter(daemon, { kind: 'roster' }, 9000), 9000), null);
    assert.equal(bannerIn(met, 0), null);
  });

  it('has an obstacle only while it is not live', () => {
    assert.equal(daemonAfter(met, { kind: 'obstacle', obstacle: 'token' }, 0), met);
    const refused = daemonAfter(UNKNOWN_DAEMON, { kind: 'obstacle', obstacle: 'token' }, 5);
    assert.deepEqual([refused.obstacle, refused.downSince], ['token', 5]);
    assert.equal(daemonAfter(refused, { kind: 'roster' }, 6).obstacle, null);
  });

  it('forgets the features of a connection with it', () => {
    const rich = daemonAfter(met, { kind: 'features', features: ['updates'] }, 0);
    assert.deepEqual(rich.features, ['updates']);
    assert.deepEqual(daemonAfter(rich, { kind: 'lost' }, 0).features, []);
  });
});
