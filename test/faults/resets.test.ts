/** Ten thousand resets, at every stage of a relay and of a registry connection: the daemon is as it was before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgressLine } from '../fuzz/progress-line.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually, footprint } from '../support/measure.ts';
import { Resets } from './resets.ts';

const MEBIBYTE = 1024 * 1024;
const RESETS = 10_000;
const LANES = 24;

/** What the daemon may have grown by: V8's young heap, at its largest, and some; not what 10,000 connections would hold. */
const MAX_GROWN_BYTES = 64 * MEBIBYTE;

test('10,000 resets: no death, no fault, no descriptor left, and it answers all the while', {
  timeout: 120_000,
}, async (t) => {
  let asking: NodeJS.Timeout | undefined;
  t.after(() => clearInterval(asking));
  const daemon = await Daemon.start();
  t.after(() => daemon.stop('SIGKILL'));
  const resets = await Resets.open(daemon.port, LANES);
  t.after(() => resets.close());
  // The process that works on the disk for callers runs from their first request on.
  const caller = await Client.open(daemon.registryUrl);
  await caller.call('list_directories');
  await caller.close();
  const progress = new ProgressLine('resets', RESETS);
  const before = await footprint(daemon.pid);
  const run = async (count: number) => {
    await resets.run(count, (done) => progress.show(done));
    await eventually(async () => {
      const { descriptors } = await footprint(daemon.pid);
      // It may have been reading a file when it was looked at first.
      assert.ok(descriptors <= before.descriptors, `${descriptors} descriptors, ${before.descriptors} before`);
    });
  };
  let slowestMs = 0;
  asking = setInterval(async () => {
    const began = performance.now();
    const response = await fetch(`${daemon.origin}/healthz`);
    assert.equal(response.status, 200);
    await response.text();
    slowestMs = Math.max(slowestMs, performance.now() - began);
  }, 100);
  const began = performance.now();
  // The first thousand warm up what is measured: pages of the heap, compiled code.
  await run(1000);
  const warm = await footprint(daemon.pid);
  await run(RESETS - 1000);
  clearInterval(asking);
  progress.clear();
  const seconds = (performance.now() - began) / 1000;
  const after = await footprint(daemon.pid);
  const grownBytes = after.residentBytes - warm.residentBytes;
  t.diagnostic(
    `${RESETS} resets in ${seconds.toFixed(1)} s; descriptors ${before.descriptors} before, ${after.descriptors} after; ` +
      `RSS ${mebibytes(warm.residentBytes)} after 1,000, ${mebibytes(after.residentBytes)} after all; ` +
      `/healthz within ${Math.round(slowestMs)} ms`,
  );
  assert.ok(grownBytes < MAX_GROWN_BYTES, `grown by ${mebibytes(grownBytes)}`);
  assert.equal(daemon.process.exitCode, null);
  assert.doesNotMatch(daemon.stderr, /"level":"error"|Warning/);
  const dashboard = await Client.open(daemon.registryUrl);
  const { nodes } = await dashboard.nextJson();
  const ids = nodes.map(({ id }: { id: string }) => id).filter((id: string) => id.startsWith('lane-'));
  assert.deepEqual(ids.sort(), resets.nodeIds.sort());
  dashboard.terminate();
  assert.equal(await daemon.stop('SIGTERM'), 0);
});

function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
}
