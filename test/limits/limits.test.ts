/** The bounds that `npm run limits` measures, held with room for a busy machine. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { MEBIBYTE } from '../../bench/units.ts';
import { Client } from '../support/client.ts';
import { Daemon, type DaemonOptions } from '../support/daemon.ts';
import { eventually, footprint } from '../support/measure.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { Crowd } from './crowd.ts';
import { besideRush } from './dials.ts';
import { CLIENTS, unfinished } from './fragments.ts';
import { ofDaemon, type Pouring } from './relays.ts';
import { heaviest } from './roster.ts';
import { served } from './silent.ts';

const PATIENCE = { timeout: 120_000 };
const quietly = () => {};

async function start(t: TestContext, options: DaemonOptions = {}): Promise<Daemon> {
  const daemon = await Daemon.start(options);
  t.after(() => daemon.stop('SIGKILL'));
  return daemon;
}

async function gather(t: TestContext, options: Parameters<typeof Crowd.gather>[0]): Promise<Crowd> {
  const crowd = await Crowd.gather(options, quietly);
  t.after(() => crowd.leave());
  return crowd;
}

describe('limits', { ...PATIENCE, concurrency: 2, skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  for (const [pouring, chunks] of [
    ['client to agent', 2],
    ['agent to client', 1],
  ] as [Pouring, number][]) {
    test(`a blocked relay holds no more than ${chunks} chunks of 64 KiB, ${pouring}`, async () => {
      const { waiting } = await ofDaemon(pouring, quietly);
      assert.ok(waiting > 0, 'it is blocked');
      assert.ok(waiting <= chunks * 64 * 1024, `${waiting} bytes`);
    });
  }

  test('1,024 fragments unfinished are held and cost little; 16,000 are refused with 1008, and cost no more', async (t) => {
    const daemon = await start(t);
    const target = { port: daemon.port, path: '/ws' };
    const just = await unfinished(target, 1024, [daemon.pid]);
    assert.deepEqual(just.closeCodes, []);
    const far = await unfinished(target, 16_000, [daemon.pid]);
    assert.deepEqual(
      far.closeCodes,
      Array.from({ length: CLIENTS }, () => 1008),
    );
    for (const { grownBytes } of [just, far]) assert.ok(grownBytes < 32 * MEBIBYTE, `grown by ${grownBytes} bytes`);
  });

  test('256 descriptors, 600 silent attackers: working clients are served, and open connections stay', async (t) => {
    const daemon = await start(t, { launcher: ['sh', '-c', 'ulimit -n 256 && exec "$0" "$@"'] });
    const early = await RawPeer.upgrade(daemon.port, '/ws');
    t.after(() => early.socket.destroy());
    await gather(t, { port: daemon.port, count: 600, comesBack: true });
    for (let i = 0; i < 50; i++) {
      // Pushed out before it is heard, a client comes again; within a second it is served.
      await eventually(() => served(daemon.port), 1000);
      const { descriptors } = await footprint(daemon.pid);
      assert.ok(descriptors < 256, `${descriptors} descriptors`);
    }
    assert.equal(early.ended, false);
  });

  for (const [when, options] of [
    ['before any request', {}],
    ['after their handshake', { path: '/ws' }],
  ] as const) {
    test(`2,000 that say nothing ${when}: who speaks is served, and all is given back when they leave`, async (t) => {
      const daemon = await start(t);
      const descriptors = async () => (await footprint(daemon.pid)).descriptors;
      const before = await descriptors();
      const crowd = await gather(t, { port: daemon.port, count: 2000, ...options });
      await served(daemon.port);
      // Connected is what the kernel says; the daemon accepts what overflowed its queue a second later.
      await eventually(async () => assert.ok((await descriptors()) > 2000, 'held'));
      await crowd.leave();
      await eventually(async () => assert.ok((await descriptors()) <= before, 'given back'));
    });
  }

  test('a roster of the longest fields ends at its bytes, and those beside are served while it is encoded', async () => {
    const [refusal, nodes] = await heaviest();
    assert.equal(refusal?.measured, refusal?.bound);
    assert.ok(Number(nodes?.measured) > 900, `${nodes?.measured} nodes`);
  });

  for (const resetAt of ['the request', 'the dial'] as const) {
    test(`relays that are opened and reset at ${resetAt}, as fast as can be: a client beside them is served`, async () => {
      // Each is served, or the peer that waits for it gives up after ten seconds; how soon is measured by `npm run limits`.
      const { tookMs, resets } = await besideRush({ from: '127.0.0.1', resetAt }, 10, 1000, quietly);
      assert.equal(tookMs.length, 10);
      // Counts are told from time to time, and ten answers may all come between two of them.
      assert.ok(resets > 0, 'there was a rush');
    });
  }

  test('5,000 registers on one connection keep one node', async (t) => {
    const daemon = await start(t);
    const client = await Client.open(daemon.registryUrl);
    t.after(() => client.terminate());
    for (let i = 0; i < 5000; i++) {
      const params = { id: `n-${i}`, machine: `m-${i}`, cwd: '/', port: 1, status: 'active' };
      client.send({ method: 'register', params });
    }
    const nodes = (await client.call('list_nodes')).result;
    assert.deepEqual(
      nodes.map(({ id }: { id: string }) => id),
      ['n-4999'],
    );
  });
});
