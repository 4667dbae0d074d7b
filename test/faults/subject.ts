/**
 * What the tables of faults run against: a daemon in this process, with short limits and with all it leaves behind in
 * sight; and the built one, a process of its own with its defaults. Both are to be afterwards as they were before.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createHypivisor, type Hypivisor, type Limits } from 'hypivisor';
import { Daemon } from '../support/daemon.ts';
import { eventually, footprint } from '../support/measure.ts';
import { Leftovers } from './leftovers.ts';

/** Known once the tests run, not yet where they are declared. */
export interface Subject {
  port: number;
}

/** Most of a test is waiting. What never comes fails it, on a busy machine too. */
const TOGETHER = { concurrency: 16, timeout: 60_000 };

/** @param declare declares the tests, which run at the same time */
export function describeEmbedded(name: string, limits: Partial<Limits>, declare: (subject: Subject) => void): void {
  describe(name, () => {
    let hypivisor: Hypivisor;
    let leftovers: Leftovers;
    const subject = { port: 0 };
    const faults: unknown[] = [];
    before(async () => {
      leftovers = await Leftovers.watch();
      hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', limits });
      hypivisor.on('fault', (error) => faults.push(error));
      ({ port: subject.port } = await hypivisor.listen());
    });
    after(() => hypivisor.close());

    describe('while it runs', TOGETHER, () => declare(subject));

    test('afterwards no connection, descriptor, timer or listener is left', async () => {
      await eventually(() => assert.equal(hypivisor.counters.connections, 0));
      assert.deepEqual(faults, []);
      // The daemon's own: without it the watch would prove nothing.
      await eventually(() => assert.equal(leftovers.timers, 1, 'a timer of the wheel'));
      await hypivisor.close();
      await leftovers.assertNone();
    });
  });
}

/** @param declare declares the tests, which run at the same time */
export function describeBuilt(name: string, declare: (subject: Subject) => void): void {
  describe(name, () => {
    let daemon: Daemon;
    let descriptors = 0;
    const subject = { port: 0 };
    before(async () => {
      daemon = await Daemon.start();
      subject.port = daemon.port;
      ({ descriptors } = await footprint(daemon.pid));
    });
    after(() => daemon.stop('SIGKILL'));

    describe('while it runs', TOGETHER, () => declare(subject));

    test('afterwards it lives, holds no descriptor and has had no fault', async () => {
      await eventually(async () => {
        const now = (await footprint(daemon.pid)).descriptors;
        // It may have been reading a file when it was looked at first.
        assert.ok(now <= descriptors, `${now} descriptors, ${descriptors} before`);
      });
      assert.equal(daemon.process.exitCode, null);
      assert.doesNotMatch(daemon.stderr, /"level":"error"|Warning/);
      assert.equal(await daemon.stop('SIGTERM'), 0);
    });
  });
}
