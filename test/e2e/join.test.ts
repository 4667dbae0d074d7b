/** Hubs that join hubs, as built daemons on this machine. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { freePort } from '../../bench/subjects/free-port.ts';
import { FaultyProxy } from '../faults/faulty-proxy.ts';
import { Agent } from '../support/agent.ts';
import { Client, type Json } from '../support/client.ts';
import type { Daemon } from '../support/daemon.ts';
import { ask, Dashboard, healthOf, PATIENCE_MS, startHub, untilJoins } from '../support/hub.ts';
import { eventually } from '../support/measure.ts';

async function startAgent(t: TestContext, hub: Daemon, id: string, fields: Json = {}): Promise<Agent> {
  const agent = await Agent.serve({
    onConnection: (socket) => socket.on('message', (text) => socket.send(`${id} heard ${text}`)),
  });
  t.after(() => agent.stop());
  await agent.register(hub.registryUrl, id, fields);
  return agent;
}

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'hypivisor-test-')));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('hubs that join hubs', { timeout: 300_000 }, () => {
  test('agents below are seen, change, are reached and leave as if they were here', async (t) => {
    const upper = await startHub(t, 'server');
    const lower = await startHub(t, 'laptop', { join: [upper.registryUrl] });
    await untilJoins(lower, /^join server: joined since \d{4}-/);
    const dashboard = await Dashboard.open(t, upper);
    const agent = await startAgent(t, lower, 'one', { name: 'first' });
    await startAgent(t, upper, 'here');
    await dashboard.shows({ one: 'laptop', here: undefined });
    assert.equal(dashboard.nodes.get('one').name, 'first');
    await agent.uplink?.call('update', { state: 'working', name: null });
    await dashboard.shows({ one: 'working', here: undefined }, ({ state }) => state);
    assert.equal(dashboard.nodes.get('one').name, undefined);

    assert.equal(await ask(upper, 'one', 'hello'), 'one heard hello');
    const many = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(upper, 'one', `${i}`)));
    assert.deepEqual(
      many,
      Array.from({ length: 50 }, (_, i) => `one heard ${i}`),
    );
    // The other way nothing is shown.
    assert.deepEqual(
      (await (await Dashboard.open(t, lower)).call('list_nodes')).result.map(({ id }: Json) => id),
      ['one'],
    );

    agent.uplink?.terminate();
    await dashboard.shows({ one: 'offline', here: 'active' }, ({ status }) => status);
    assert.match(await ask(upper, 'one', 'hello'), /^\{"error":"Agent is offline/);
  });

  test('a refusal says at which hub', async (t) => {
    const upper = await startHub(t, 'server');
    const lower = await startHub(t, 'laptop', { join: [upper.registryUrl] });
    await untilJoins(lower, /joined/);
    const dashboard = await Dashboard.open(t, upper);
    const port = await freePort();
    const agent = await startAgent(t, lower, 'lost', { port });
    await dashboard.shows({ lost: 'laptop' });
    assert.deepEqual(JSON.parse(await ask(upper, 'lost', 'hello')), {
      error: 'Cannot reach agent: connection refused (at laptop)',
    });
    await agent.stop();
  });

  test('folders are listed and agents are started on the machine that is asked for, and their end is told', async (t) => {
    const folder = await temporaryFolder(t);
    const script = join(folder, 'agent.sh');
    await writeFile(script, '#!/bin/sh\nsleep 4\necho goodbye\nexit 3\n', { mode: 0o755 });
    const upper = await startHub(t, 'server', { args: ['--max-agents', '0'] });
    const args = ['--spawn-command', script, '--max-agents', '1'];
    const lower = await startHub(t, 'laptop', { join: [upper.registryUrl], args });
    await untilJoins(lower, /joined/);
    await mkdir(join(lower.home, 'project'));
    const dashboard = await Dashboard.open(t, upper);
    await dashboard.call('subscribe', { features: ['spawns'] });

    const [here, there] = (await dashboard.call('list_machines')).result;
    assert.deepEqual([here.name, here.here, there.name, there.status], ['server', true, 'laptop', 'connected']);
    assert.deepEqual(there.features, ['roster', 'relay', 'spawn']);
    assert.ok(there.memory > 0, 'it tells its memory');
    const own = (await (await Dashboard.open(t, lower)).call('list_machines')).result;
    assert.deepEqual(
      own[0].up.map(({ name, status, url }: Json) => [name, status, url]),
      [['server', 'joined', upper.registryUrl]],
    );

    const { result } = await dashboard.call('list_directories', { machine: 'laptop' });
    assert.deepEqual(result.directories, ['project']);
    assert.match((await dashboard.call('list_directories', { path: '/', machine: 'laptop' })).error, /outside home/);
    assert.match((await dashboard.call('list_directories', { machine: 'phone' })).error, /^No machine called phone/);
    assert.match((await dashboard.call('spawn_agent', { path: '~' })).error, /starts no agents/);
    const started = await dashboard.call('spawn_agent', { path: 'project', machine: 'laptop' });
    assert.equal(started.result?.status, 'spawning', JSON.stringify(started));
    const again = await dashboard.call('spawn_agent', { path: 'project', machine: 'laptop' });
    assert.match(again.error, /^Failed to spawn: 1 agents that were started here are alive/);
    const ended = await dashboard.client.until(({ event }) => event === 'spawn_ended');
    assert.deepEqual([ended.exit_code, ended.output, ended.spawn_id], [3, 'goodbye', started.result.spawn_id]);
    const status = await dashboard.call('spawn_status', { spawn_id: ended.spawn_id, machine: 'laptop' });
    assert.equal(status.result.status, 'ended');
  });

  test('a chain of three, and two that join the same one: relays go all the way', async (t) => {
    const top = await startHub(t, 'top');
    const middle = await startHub(t, 'middle', { join: [top.registryUrl] });
    const bottom = await startHub(t, 'bottom', { join: [middle.registryUrl] });
    const other = await startHub(t, 'other', { join: [top.registryUrl] });
    for (const hub of [middle, bottom, other]) await untilJoins(hub, /joined/);
    const dashboard = await Dashboard.open(t, top);
    for (const [hub, id] of [
      [middle, 'm'],
      [bottom, 'b'],
      [other, 'o'],
      [top, 't'],
    ] as const) {
      await startAgent(t, hub, id);
    }
    await dashboard.shows({ m: 'middle', b: 'bottom', o: 'other', t: undefined });
    for (const id of ['m', 'b', 'o', 't']) assert.equal(await ask(top, id, 'hi'), `${id} heard hi`);
    const machines = (await dashboard.call('list_machines')).result;
    assert.deepEqual(machines.map(({ name, via }: Json) => [name, via]).sort(), [
      ['bottom', 'middle'],
      ['middle', undefined],
      ['other', undefined],
      ['top', undefined],
    ]);
    await mkdir(join(bottom.home, 'deep'));
    const { result } = await dashboard.call('list_directories', { machine: 'bottom' });
    assert.deepEqual(result?.directories, ['deep']);
    // The one in the middle is killed: both below it are unproven now, and the others are as they were.
    await middle.stop('SIGKILL');
    await dashboard.shows({ m: 'unproven', b: 'unproven', o: 'direct', t: 'direct' }, ({ reach }) => reach);
    assert.match(await ask(top, 'b', 'hi'), /its hub .* is not connected/);
  });

  test('ids that are taken get another, and each reaches its own', async (t) => {
    const upper = await startHub(t, 'server');
    const lower = await startHub(t, 'laptop', { join: [upper.registryUrl] });
    const other = await startHub(t, 'laptop', { join: [upper.registryUrl] });
    for (const hub of [lower, other]) await untilJoins(hub, /joined/);
    const dashboard = await Dashboard.open(t, upper);
    await startAgent(t, upper, 'x');
    await startAgent(t, lower, 'x');
    await eventually(() => assert.equal(dashboard.nodes.size, 2), PATIENCE_MS);
    await startAgent(t, other, 'x');
    await eventually(() => assert.equal(dashboard.nodes.size, 3), PATIENCE_MS);
    for (const id of dashboard.nodes.keys()) assert.equal(await ask(upper, id, 'hi'), 'x heard hi');
    const hubs = [...dashboard.nodes.values()].map(({ hub }) => hub ?? 'here').sort();
    assert.equal(new Set(hubs).size, 3, hubs.join());
  });

  test('a loop is refused in words, and so is a hub that joins itself', async (t) => {
    const [a, b] = [await freePort(), await freePort()];
    const url = (port: number) => `ws://127.0.0.1:${port}/ws`;
    const first = await startHub(t, 'first', { args: ['--port', `${a}`], join: [url(b), url(a)] });
    await eventually(
      async () => assert.match((await healthOf(first))[1] ?? '', /refused since .*, Joining would make a loop/),
      PATIENCE_MS,
    );
    const second = await startHub(t, 'second', { args: ['--port', `${b}`], join: [url(a)] });
    // Whoever comes first has joined the other.
    await eventually(async () => {
      const states = [(await healthOf(first))[0], (await healthOf(second))[0]].join('\n');
      assert.match(states, /joined since/);
      assert.match(states, /refused since .*, Joining would make a loop/);
    }, PATIENCE_MS);
    const dashboard = await Dashboard.open(t, first);
    await startAgent(t, first, 'x');
    await dashboard.shows({ x: undefined });
  });

  test('whichever hub is killed, all is as before when it is back', async (t) => {
    const [upperPort, lowerPort] = [await freePort(), await freePort()];
    const [upperHome, lowerHome] = [await temporaryFolder(t), await temporaryFolder(t)];
    const startUpper = () => startHub(t, 'server', { args: ['--port', `${upperPort}`], env: { HOME: upperHome } });
    const startLower = () =>
      startHub(t, 'laptop', {
        args: ['--port', `${lowerPort}`],
        env: { HOME: lowerHome },
        join: [`ws://127.0.0.1:${upperPort}/ws`],
      });
    let upper = await startUpper();
    let lower = await startLower();
    await untilJoins(lower, /joined/);
    await startAgent(t, lower, 'x');
    let dashboard = await Dashboard.open(t, upper);
    await dashboard.shows({ x: 'direct' }, ({ reach }) => reach);

    await lower.stop('SIGKILL');
    await dashboard.shows({ x: 'unproven' }, ({ reach }) => reach);
    lower = await startLower();
    await untilJoins(lower, /joined/);
    await startAgent(t, lower, 'x');
    await dashboard.shows({ x: 'direct' }, ({ reach }) => reach);
    assert.equal(await ask(upper, 'x', 'hi'), 'x heard hi');

    await upper.stop('SIGKILL');
    await untilJoins(lower, /^join server: connecting/);
    upper = await startUpper();
    await untilJoins(lower, /joined/);
    dashboard = await Dashboard.open(t, upper);
    await dashboard.shows({ x: 'direct' }, ({ reach }) => reach);
    assert.equal(await ask(upper, 'x', 'hi'), 'x heard hi');
    await eventually(() => assert.match(lower.stderr, /"msg":"the hub above is lost"/), PATIENCE_MS);
  });

  test('a link that is cut is resumed: nobody sees a node leave, and changes meanwhile are told', async (t) => {
    const upper = await startHub(t, 'server');
    const proxy = await FaultyProxy.open(upper.port, 'daemon');
    t.after(() => proxy.stop());
    const lower = await startHub(t, 'laptop', { join: [`ws://127.0.0.1:${proxy.port}/ws`] });
    await untilJoins(lower, /joined/);
    const dashboard = await Dashboard.open(t, upper);
    const agents = await Promise.all(['a', 'b', 'c'].map((id) => startAgent(t, lower, id)));
    await dashboard.shows({ a: 'direct', b: 'direct', c: 'direct' }, ({ reach }) => reach);
    const before = dashboard.pushes.length;
    for (let round = 0; round < 3; round++) {
      proxy.drop();
      await agents[0]?.uplink?.call('update', { name: `round ${round}` });
      await eventually(() => {
        assert.equal(dashboard.nodes.get('a').name, `round ${round}`);
        for (const { reach } of dashboard.nodes.values()) assert.equal(reach, 'direct');
      }, PATIENCE_MS);
      assert.equal(await ask(upper, 'b', 'hi'), 'b heard hi');
    }
    const since = dashboard.pushes.slice(before);
    assert.deepEqual(
      since.filter(([event]) => event !== 'node_updated'),
      [],
      'updates alone',
    );
  });

  test('with --join-only a hub above can do no more, and is told so', async (t) => {
    const upper = await startHub(t, 'server');
    const lower = await startHub(t, 'laptop', { join: [upper.registryUrl], args: ['--join-only', 'roster'] });
    await untilJoins(lower, /joined/);
    const dashboard = await Dashboard.open(t, upper);
    await startAgent(t, lower, 'x');
    await dashboard.shows({ x: 'laptop' });
    assert.match(await ask(upper, 'x', 'hi'), /does not let others reach its agents/);
    assert.match((await dashboard.call('list_directories', { machine: 'laptop' })).error, /does not let/);
    await eventually(() => assert.match(lower.stderr, /who can use it can see this machine.s agents"/), PATIENCE_MS);
  });

  test('keys stay where they belong: none is in a log, in a health check, or with the other hub', async (t) => {
    const [upperKey, lowerKey] = ['the-key-of-the-upper', 'the-key-of-the-lower'];
    const upper = await startHub(t, 'server', { env: { HYPI_TOKEN: upperKey } });
    // What the lower one says to the upper one.
    const said: string[] = [];
    const tap = await FaultyProxy.open(upper.port, 'daemon');
    t.after(() => tap.stop());
    const lower = await startHub(t, 'laptop', {
      env: { HYPI_TOKEN: lowerKey, HYPI_JOIN_TOKEN: upperKey },
      join: [`ws://127.0.0.1:${tap.port}/ws`],
    });
    await untilJoins(lower, /joined/);
    const dashboard = await Dashboard.open(t, upper, upperKey);
    dashboard.client.socket.on('message', (text) => said.push(String(text)));
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(`${lower.registryUrl}?token=${lowerKey}`, 'x', { dialKey: 'a-dial-key' });
    await dashboard.shows({ x: 'laptop' });
    assert.equal(await ask(upper, 'x', 'hi', upperKey), 'hi');
    await dashboard.call('list_machines');
    const told = [upper.stderr, lower.stderr, ...said, ...(await healthOf(lower)), ...(await healthOf(upper))].join(
      '\n',
    );
    for (const key of [upperKey, lowerKey, 'a-dial-key']) assert.equal(told.includes(key), false, key);

    const wrong = await startHub(t, 'phone', { env: { HYPI_TOKEN: lowerKey }, join: [upper.registryUrl] });
    await untilJoins(wrong, /: refused since .*, it refuses the token$/);
    // A busy daemon writes its log a little later.
    const line = /"msg":"a hub refuses to be joined".*"reason":"it refuses the token"/;
    await eventually(() => assert.match(wrong.stderr, line), PATIENCE_MS);
  });

  test('a hub that is too old says so, and a server that is no hub does too', async (t) => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    t.after(() => server.close());
    await once(server, 'listening');
    server.on('connection', (socket) => {
      socket.send('{"event":"init","nodes":[],"protocol_version":"1"}');
      socket.on('message', (text) => {
        const { id, method } = JSON.parse(String(text));
        socket.send(JSON.stringify({ id, error: `Method not found: ${method}` }));
      });
    });
    const { port } = server.address() as { port: number };
    const old = await startHub(t, 'laptop', { join: [`ws://127.0.0.1:${port}/ws`] });
    await untilJoins(old, /: refused since .*, it is too old to be joined$/);
    const page = await startHub(t, 'desk', { join: [`${(await startHub(t, 'x')).registryUrl}/elsewhere`] });
    await untilJoins(page, /: refused since .*, no hypivisor is there: status 404$/);
    const nobody = await startHub(t, 'phone', { join: [`ws://127.0.0.1:${await freePort()}/ws`] });
    await untilJoins(nobody, /: connecting since .*ECONNREFUSED/);
    // Each is told once, however often it is tried.
    await eventually(() => assert.match(nobody.stderr, /a hub cannot be joined/), PATIENCE_MS);
    assert.equal(nobody.stderr.match(/a hub cannot be joined/g)?.length, 1);
  });

  test('a hub ends promptly while it is joined, and its agents leave', async (t) => {
    const upper = await startHub(t, 'server');
    const lower = await startHub(t, 'laptop', { join: [upper.registryUrl] });
    await untilJoins(lower, /joined/);
    const dashboard = await Dashboard.open(t, upper);
    await startAgent(t, lower, 'x');
    await dashboard.shows({ x: 'laptop' });
    const relay = await Client.open(upper.relayUrl('x'));
    t.after(() => relay.terminate());
    assert.equal(await lower.stop(), 0);
    await relay.closed;
    await dashboard.shows({ x: 'unproven' }, ({ reach }) => reach);
    assert.equal(await upper.stop(), 0);
  });
});
