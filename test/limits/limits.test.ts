/** The bounds that `npm run limits` measures, held with room for a busy machine. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Crowd } from '../../bench/limits/crowd.ts';
import { MEBIBYTE } from '../../bench/limits/figure.ts';
import { CLIENTS, unfinished } from '../../bench/limits/fragments.ts';
import { ofDaemon, type Pouring } from '../../bench/limits/relays.ts';
import { served } from '../../bench/limits/silent.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually, footprint } from '../support/measure.ts';
import { RawPeer } from '../support/raw-peer.ts';

const PATIENCE = { timeout: 40_000 };
const quietly = () => {};

describe('limits', { ...PATIENCE, concurrency: true, skip: process.platform !== 'linux' && 'needs /proc' }, () => {
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

  test('1,024 fragments unfinished are held and cost little; 16,000 are refused with 1008, and cost no more', async () => {
    const daemon = await Daemon.start();
    try {
      const target = { port: daemon.port, path: '/ws' };
      const just = await unfinished(target, 1024, [daemon.pid]);
      assert.deepEqual(just.closeCodes, []);
      const far = await unfinished(target, 16_000, [daemon.pid]);
      assert.deepEqual(
        far.closeCodes,
        Array.from({ length: CLIENTS }, () => 1008),
      );
      for (const { grownBytes } of [just, far]) assert.ok(grownBytes < 32 * MEBIBYTE, `grown by ${grownBytes} bytes`);
    } finally {
      await daemon.stop();
    }
  });

  test('256 descriptors, 600 silent attackers: who speaks is served, and who was there stays', async () => {
    const daemon = await Daemon.start({ launcher: ['sh', '-c', 'ulimit -n 256 && exec "$0" "$@"'] });
    const early = await RawPeer.upgrade(daemon.port, '/ws');
    const crowd = await Crowd.gather({ port: daemon.port, count: 600, comesBack: true }, quietly);
    try {
      for (let i = 0; i < 50; i++) {
        await served(daemon.port);
        const { descriptors } = await footprint(daemon.pid);
        assert.ok(descriptors < 256, `${descriptors} descriptors`);
      }
      assert.equal(early.ended, false);
    } finally {
      await crowd.leave();
      early.socket.destroy();
      await daemon.stop();
    }
  });

  for (const [when, options] of [
    ['before any request', {}],
    ['after their handshake', { path: '/ws' }],
  ] as const) {
    test(`2,000 that say nothing ${when}: who speaks is served, and all is given back when they leave`, async () => {
      const daemon = await Daemon.start();
      try {
        const descriptors = async () => (await footprint(daemon.pid)).descriptors;
        const before = await descriptors();
        const crowd = await Crowd.gather({ port: daemon.port, count: 2000, ...options }, quietly);
        try {
          await served(daemon.port);
          // Connected is what the kernel says; the daemon accepts what overflowed its queue a second later.
          await eventually(async () => assert.ok((await descriptors()) > 2000));
        } finally {
          await crowd.leave();
        }
        await eventually(async () => assert.ok((await descriptors()) <= before));
      } finally {
        await daemon.stop();
      }
    });
  }

  test('5,000 registers on one connection keep one node', async () => {
    const daemon = await Daemon.start();
    const client = await Client.open(daemon.registryUrl);
    try {
      for (let i = 0; i < 5000; i++) {
        const params = { id: `n-${i}`, machine: `m-${i}`, cwd: '/', port: 1, status: 'active' };
        client.send({ method: 'register', params });
      }
      const nodes = (await client.call('list_nodes')).result;
      assert.deepEqual(
        nodes.map(({ id }: { id: string }) => id),
        ['n-4999'],
      );
    } finally {
      client.terminate();
      await daemon.stop();
    }
  });
});
