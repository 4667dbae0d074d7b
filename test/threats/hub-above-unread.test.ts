/** Threat: the hub above makes the hub below tell it much, and hear of what it never reads. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Client } from '../support/client.ts';
import type { Daemon } from '../support/daemon.ts';
import { healthOf, PATIENCE_MS, startHub, untilJoins } from '../support/hub.ts';
import { LowerHub } from '../support/lower-hub.ts';
import { eventually, footprint } from '../support/measure.ts';
import { Upper } from '../support/upper.ts';

const MEBIBYTE = 2 ** 20;

async function joined(t: TestContext, upper: Upper): Promise<Daemon> {
  const hub = await startHub(t, 'laptop', { join: [upper.url] });
  await untilJoins(hub, /joined/);
  await eventually(() => assert.equal(upper.countOf('share'), 1, 'it has shared'), PATIENCE_MS);
  return hub;
}

describe('a hub above that makes much work', { timeout: 240_000 }, () => {
  test('asks and does not read, and seems to be alive: the answers do not pile up', async (t) => {
    const upper = await Upper.start(t);
    const hub = await joined(t, upper);
    const folder = join(hub.home, 'many');
    await mkdir(folder);
    for (let i = 0; i < 2000; i++) await mkdir(join(folder, `${i} ${'x'.repeat(200)}`));
    const [link] = upper.links as [Upper['links'][0]];
    let asked = 0;
    upper.request('first', 'list_directories', { path: 'many' });
    assert.equal((await upper.answer('first')).result.directories.length, 2000);
    const { residentBytes } = await footprint(hub.pid);
    link.pause();
    const timer = setInterval(() => {
      for (let i = 0; i < 8; i++) upper.request(`${asked++}`, 'list_directories', { path: 'many' });
      upper.push({ id: 1, result: { status: 'shared', seq: 1 } });
      link.ping();
    }, 50);
    t.after(() => clearInterval(timer));
    await eventually(async () => assert.match(hub.stderr, /it does not read what it asks for/), PATIENCE_MS);
    const grown = (await footprint(hub.pid)).residentBytes - residentBytes;
    assert.ok(grown < 200 * MEBIBYTE, `${Math.round(grown / MEBIBYTE)} MiB`);
    clearInterval(timer);
    // It comes back, for the other may have been asleep.
    await eventually(() => assert.equal(upper.links.length, 2, 'another link'), PATIENCE_MS);
  });

  test('answers what was not said: nothing is told anew', async (t) => {
    const upper = await Upper.start(t);
    const hub = await joined(t, upper);
    for (let i = 0; i < 500; i++) upper.push({ id: 1e6 + i, error: 'Out of step: what?' });
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    for (const method of ['{"toString":1,"valueOf":1}', deep, 'null', '7']) {
      upper.links[0]?.send(`{"event":"request","request_id":"odd","method":${method},"params":{}}`);
    }
    assert.match((await upper.answer('odd')).error, /^Method not found: object$/);
    upper.request('last', 'spawn_status', {});
    await upper.answer('last');
    assert.equal(upper.countOf('join'), 1);
    assert.ok(upper.countOf('share') < 5, `${upper.countOf('share')} shares`);
    assert.doesNotMatch(hub.stderr, /fault|TypeError|RangeError/);
  });

  test('is joined all the same by a hub below which another claims any number of machines', async (t) => {
    const upper = await Upper.start(t);
    const hub = await joined(t, upper);
    const claim = async (name: string, from: number) => {
      const lower = await LowerHub.join(hub.registryUrl, { name });
      t.after(() => lower.stop());
      const machines = Array.from({ length: 64 }, (_, i) => {
        const id = (from + i).toString(16).padStart(32, '0');
        return { id, name: `m${i}`, version: '1', since: 1, nodes: 0, features: [], path: [id, lower.id] };
      });
      await lower.share({ all: true, machines });
    };
    await claim('one', 0);
    await claim('two', 64);
    const client = await Client.open(hub.registryUrl);
    t.after(() => client.terminate());
    assert.equal((await client.call('list_machines')).result.length, 131);
    upper.links[0]?.terminate();
    await eventually(() => assert.equal(upper.countOf('join'), 2, 'it joins again'), PATIENCE_MS);
    const { params } = upper.said.filter(({ method }) => method === 'join').at(-1);
    assert.equal(params.below.length, 64);
    await eventually(async () => assert.match((await healthOf(hub)).join(), /joined/), PATIENCE_MS);
  });
});
