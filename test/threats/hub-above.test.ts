/** Threat: the hub above means harm. What it was not given it does not get, and what it floods costs it the link. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from '../support/agent.ts';
import { Client, type Json } from '../support/client.ts';
import type { Daemon } from '../support/daemon.ts';
import { healthOf, PATIENCE_MS, startHub, untilJoins } from '../support/hub.ts';
import { eventually, footprint } from '../support/measure.ts';
import { RawPeer, upgradeRequest } from '../support/raw-peer.ts';
import { Upper, type UpperOptions } from '../support/upper.ts';

const TOKEN = 'the-key-of-the-lower';

async function startBelow(
  t: TestContext,
  args: string[] = [],
  options: UpperOptions = {},
): Promise<{ upper: Upper; hub: Daemon }> {
  const upper = await Upper.start(t, options);
  const hub = await startHub(t, 'laptop', {
    join: [upper.url],
    args,
    env: { HYPI_TOKEN: TOKEN, HYPI_JOIN_TOKEN: 'x' },
  });
  return { upper, hub };
}

async function isServed(hub: Daemon): Promise<void> {
  const client = await Client.open(`${hub.registryUrl}?token=${TOKEN}`);
  assert.equal((await client.call('ping')).result.status, 'healthy');
  client.terminate();
}

describe('a hub above that means harm', { timeout: 240_000 }, () => {
  test('gets no folder and no agent that it was not given, whatever it asks for', async (t) => {
    const { upper, hub } = await startBelow(t, ['--join-only', 'roster,relay']);
    await untilJoins(hub, /joined/);
    for (const method of ['list_directories', 'list_sessions', 'spawn_agent', 'spawn_status']) {
      upper.request(method, method, { path: '~', spawn_id: 'x' });
      const { error } = await upper.answer(method);
      assert.match(error, /^Machine laptop does not let other hubs see its folders or start agents \(--join-only\)$/);
    }
    for (const method of ['register', 'deregister', 'list_nodes', 'constructor', '__proto__', '']) {
      upper.request(`odd ${method}`, method, { id: 'x' });
      assert.equal((await upper.answer(`odd ${method}`)).error, `Method not found: ${method}`);
    }
    // These are no requests, and change nothing.
    for (const message of [
      null,
      [],
      { event: 'request' },
      { event: 'request', request_id: 7, method: 'spawn_agent' },
      { event: 'request', request_id: 'x'.repeat(65), method: 'spawn_agent' },
      { event: 'node_joined', node: { id: 'y' } },
      { event: 'init', nodes: [{ id: 'y' }] },
      { id: 'join', result: { status: 'joined' } },
      { id: 1e9, error: 'x' },
    ]) {
      upper.push(message);
    }
    const client = await Client.open(`${hub.registryUrl}?token=${TOKEN}`);
    assert.deepEqual((await client.call('list_nodes')).result, []);
    await client.close();
    assert.equal((await healthOf(hub))[0]?.includes('joined'), true);
  });

  test('stays in the home folder, as any caller', async (t) => {
    const { upper, hub } = await startBelow(t, ['--spawn-command', 'sleep 60']);
    await untilJoins(hub, /joined/);
    const before = await readdir(join(hub.home, '..'));
    const outside = ['/', '/etc', '..', '../..', `${hub.home}/../x`];
    for (const path of outside) {
      upper.request(`list ${path}`, 'list_directories', { path });
      assert.match((await upper.answer(`list ${path}`)).error, /outside home|Invalid path/);
      upper.request(`spawn ${path}`, 'spawn_agent', { path });
      assert.match((await upper.answer(`spawn ${path}`)).error, /outside home|does not exist/);
    }
    upper.request('new', 'spawn_agent', { path: '~', new_folder: '../evil' });
    assert.match((await upper.answer('new')).error, /new_folder|outside home/);
    assert.deepEqual((await readdir(join(hub.home, '..'))).includes('evil'), before.includes('evil'));
  });

  test('a flood of starts gets as many agents as may be, and of requests as many at once', async (t) => {
    const { upper, hub } = await startBelow(t, ['--spawn-command', 'sleep 60', '--max-agents', '2']);
    await untilJoins(hub, /joined/);
    await mkdir(join(hub.home, 'project'));
    for (let i = 0; i < 300; i++) upper.request(`${i}`, 'spawn_agent', { path: 'project' });
    const answers: Json[] = await Promise.all(Array.from({ length: 300 }, (_, i) => upper.answer(`${i}`)));
    assert.equal(answers.filter(({ result }) => result?.status === 'spawning').length, 2);
    const refused = answers.filter(({ error }) => /Too many requests at once|--max-agents 2/.test(error ?? ''));
    assert.equal(refused.length, 298);
    await isServed(hub);
    for (const { pid } of hub.stderr
      .split('\n')
      .flatMap((line) => (line.includes('agent started') ? JSON.parse(line) : []))) {
      process.kill(pid, 'SIGKILL');
    }
  });

  test('a flood of tickets leaves few connections waiting, and opens none that no ticket could have', async (t) => {
    const { upper, hub } = await startBelow(t);
    await untilJoins(hub, /joined/);
    for (const ticket of ['../../healthz', 'a b', 'x'.repeat(129), '', 7, null, { a: 1 }, 'é']) {
      upper.push({ event: 'dial_back', ticket });
    }
    await isServed(hub);
    await delay(500);
    assert.equal(upper.backs.length, 0);
    const { descriptors } = await footprint(hub.pid);
    for (let i = 0; i < 1500; i++) upper.push({ event: 'dial_back', ticket: `ticket${i}` });
    await eventually(() => assert.ok(upper.backs.length > 0, 'some are opened'), PATIENCE_MS);
    await isServed(hub);
    await delay(1000);
    const held = (await footprint(hub.pid)).descriptors - descriptors;
    assert.ok(held <= 40, `${held} are held`);
    await untilJoins(hub, /joined/);
  });

  test('with neither relay nor agents shared no connection is opened', async (t) => {
    const { upper, hub } = await startBelow(t, ['--join-only', 'roster,spawn']);
    await untilJoins(hub, /joined/);
    for (let i = 0; i < 10; i++) upper.push({ event: 'dial_back', ticket: `ticket${i}` });
    await isServed(hub);
    await delay(500);
    assert.equal(upper.backs.length, 0);
  });

  test('a connection that it asked for leads to agents, and to nothing else', async (t) => {
    const { upper, hub } = await startBelow(t);
    await untilJoins(hub, /joined/);
    const agent = await Agent.serve({ onConnection: (socket) => socket.send('hello') });
    t.after(() => agent.stop());
    await agent.register(`${hub.registryUrl}?token=${TOKEN}`, 'x');
    await eventually(() => assert.ok(upper.countOf('share') > 1, 'it is shared'), PATIENCE_MS);
    let tickets = 0;
    const open = async (request: string): Promise<RawPeer> => {
      const ticket = `ticket${tickets++}`;
      upper.push({ event: 'dial_back', ticket });
      const { socket } = await eventually(() => {
        const back = upper.backs.find((it) => it.ticket === ticket);
        if (back === undefined) throw new Error('it opens none');
        return back;
      }, PATIENCE_MS);
      const peer = new RawPeer(socket);
      socket.write(request);
      return peer;
    };
    for (const request of [
      upgradeRequest('/ws'),
      upgradeRequest(`/ws?token=${TOKEN}`),
      upgradeRequest('/ws/back/ticket'),
      upgradeRequest('/ws/agent/'),
      'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n',
    ]) {
      assert.match(await (await open(request)).head(), /^HTTP\/1\.1 40[04] /, request);
    }
    assert.match(await (await open('nonsense\r\n\r\n')).head(), /^HTTP\/1\.1 400 /);
    assert.match(
      await (await open('GET /ws/agent/x HTTP/1.1\r\nHost: localhost\r\n\r\n')).head(),
      /^HTTP\/1\.1 (400|426) /,
    );
    const nobody = await open(upgradeRequest('/ws/agent/nobody'));
    assert.match(await nobody.head(), /^HTTP\/1\.1 101 /);
    assert.deepEqual(await nobody.json(), { error: 'Agent not found (at laptop)' });
    const found = await open(upgradeRequest('/ws/agent/x'));
    assert.match(await found.head(), /^HTTP\/1\.1 101 /);
  });

  test('a flood of messages costs it the link, and this machine next to nothing', async (t) => {
    const { upper, hub } = await startBelow(t);
    await untilJoins(hub, /joined/);
    const { residentBytes } = await footprint(hub.pid);
    const link = upper.links[0] as Upper['links'][0];
    const closed = once(link, 'close');
    const text = 'x'.repeat(1024 * 1024);
    for (let i = 0; i < 40; i++) link.send(text);
    await closed;
    await isServed(hub);
    await eventually(() => assert.match(hub.stderr, /it sends more than a hub would/), PATIENCE_MS);
    const grown = (await footprint(hub.pid)).residentBytes - residentBytes;
    assert.ok(grown < 200 * 1024 * 1024, `${grown} bytes more`);
  });

  test('one that answers nonsense is refused, and its words cannot forge a line', async (t) => {
    const forged = 'x\nok\njoin y: joined';
    for (const [answer, state] of [
      [{ result: 7 }, /: refused since .*, it gives no answer that we understand$/],
      [
        { result: { status: 'joined', id: 7, name: 'x' } },
        /: refused since .*, it gives no answer that we understand$/,
      ],
      [{ error: forged }, /^join 127\.0\.0\.1:\d+: refused since [^,]*, x ok join y: joined$/],
      [{ result: { status: 'joined', id: 'a'.repeat(32), name: forged } }, /^join x ok join y: joined: joined since /],
      [{ error: 'e'.repeat(100_000) }, /: refused since .*, e{199}…$/],
    ] as const) {
      const { hub } = await startBelow(t, [], { onJoin: () => answer });
      await untilJoins(hub, state);
      assert.equal((await healthOf(hub)).length, 1);
    }
  });

  test('one that refuses all that is shared with it is told a few times, and then again after a pause', async (t) => {
    const { upper, hub } = await startBelow(t, [], { onShare: () => ({ error: 'Out of step: never' }) });
    await eventually(async () => {
      assert.match((await healthOf(hub)).join(), /it refuses what is shared with it: Out of step: never/);
    }, PATIENCE_MS);
    assert.ok(upper.countOf('share') <= 20 * upper.links.length, `${upper.countOf('share')} messages`);
    await isServed(hub);
  });
});
