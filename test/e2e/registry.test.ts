/** The registry as its clients see it: storms, the rules of the roster, requests and their errors. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createHypivisor, type HypivisorOptions } from 'hypivisor';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { MASKING_KEY, rawFrame, readFrames } from '../support/raw-frame.ts';
import { BINARY, CLOSE, clientFrame, PING, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';

let lastPort = 20_000;

/** What an agent says of itself; each in a place of its own unless told otherwise. */
function nodeInfo(id: string, fields: Json = {}): Json {
  return { id, machine: '127.0.0.1', cwd: '/work', port: ++lastPort, status: 'active', ...fields };
}

/** A connection that closes when the test ends. */
async function connect(t: TestContext, url: string, options = {}): Promise<Client> {
  const client = await Client.open(url, [], options);
  t.after(() => client.terminate());
  return client;
}

/** An agent's uplink, registered. */
async function register(t: TestContext, url: string, info: Json, options = {}): Promise<Client> {
  const uplink = await connect(t, url, options);
  assert.deepEqual((await uplink.call('register', info)).result, { status: 'registered' });
  return uplink;
}

/** A dashboard that has been greeted: what it gets next is what happens next. */
async function watch(t: TestContext, url: string): Promise<Client> {
  const dashboard = await connect(t, url);
  assert.equal((await dashboard.nextJson()).event, 'init');
  return dashboard;
}

/** What a client was sent before the answer to a request of this moment. */
async function soFar(client: Client): Promise<Json[]> {
  const id = `barrier-${Math.random()}`;
  client.send({ id, method: 'ping' });
  const messages: Json[] = [];
  for (;;) {
    const message = await client.nextJson();
    if (message.id === id) return messages;
    messages.push(message);
  }
}

/** A daemon in this process, with limits that a test can reach. */
async function embed(t: TestContext, options: HypivisorOptions) {
  const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', ...options });
  t.after(() => hypivisor.close());
  const { port } = await hypivisor.listen();
  return { hypivisor, port, url: `ws://127.0.0.1:${port}/ws` };
}

describe('storms', () => {
  const AGENTS = 500;
  const DASHBOARDS = 20;

  test('500 agents at once, 20 dashboards: each sees each of them once, all in one order', async (t) => {
    const daemon = await Daemon.start();
    t.after(() => daemon.stop());
    const dashboards = await Promise.all(Array.from({ length: DASHBOARDS }, () => watch(t, daemon.registryUrl)));
    const uplinks = await Promise.all(Array.from({ length: AGENTS }, () => connect(t, daemon.registryUrl)));
    const answers = await Promise.all(uplinks.map((uplink, i) => uplink.call('register', nodeInfo(`agent-${i}`))));
    for (const answer of answers) assert.deepEqual(answer.result, { status: 'registered' });

    const seen = await Promise.all(dashboards.map(soFar));
    const ids = (seen[0] as Json[]).map(({ node }) => node.id);
    assert.equal(new Set(ids).size, AGENTS);
    assert.equal(ids.length, AGENTS);
    for (const events of seen) {
      assert.deepEqual([...new Set(events.map(({ event }) => event))], ['node_joined']);
      assert.deepEqual(
        events.map(({ node }) => node.id),
        ids,
      );
    }
    // Whoever registered hears nothing of the others from then on.
    for (const uplink of uplinks) assert.deepEqual(await soFar(uplink), []);
    const [first] = dashboards as [Client];
    assert.equal((await first.call('list_nodes')).result.length, AGENTS);

    // All leave at once, half of them with a word.
    for (const [i, uplink] of uplinks.entries()) {
      if (i % 2) uplink.send({ method: 'deregister', params: { id: `agent-${i}` } });
      else uplink.terminate();
    }
    const gone = await Promise.all(
      dashboards.map(async (dashboard) => {
        const events: string[] = [];
        while (events.length < AGENTS) {
          const { event, id } = await dashboard.nextJson();
          if (event !== undefined) events.push(`${event} ${id}`);
        }
        return events;
      }),
    );
    assert.equal(new Set(gone[0]).size, AGENTS);
    for (const events of gone) assert.deepEqual(events, gone[0]);
    const nodes = (await first.call('list_nodes')).result as Json[];
    assert.equal(nodes.length, AGENTS / 2);
    assert.ok(nodes.every(({ status }) => status === 'offline'));
  });

  test('a late dashboard gets the roster of that moment, and every change after it', async (t) => {
    const daemon = await Daemon.start();
    t.after(() => daemon.stop());
    const uplinks = await Promise.all(Array.from({ length: 50 }, () => connect(t, daemon.registryUrl)));
    const dashboards = uplinks.map(async (uplink, i) => {
      const registered = uplink.call('register', nodeInfo(`agent-${i}`));
      const dashboard = await connect(t, daemon.registryUrl);
      await registered;
      return dashboard;
    });
    for (const dashboard of await Promise.all(dashboards)) {
      const ids: string[] = [];
      for (const { event, nodes, node } of await soFar(dashboard)) {
        if (event === 'init') ids.push(...nodes.map(({ id }: Json) => id));
        else ids.push(node.id);
      }
      assert.equal(new Set(ids).size, ids.length, 'nobody twice');
      assert.equal(ids.length, 50, 'nobody missing');
    }
  });
});

describe('the roster', () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start({ args: ['--node-ttl', '1'] });
  });
  after(() => daemon.stop());

  test('init comes first, with the protocol version; a node has what it registered and no more', async (t) => {
    const before = Math.floor(Date.now() / 1000);
    const info = nodeInfo('fields', { pid: 42, status: 'offline', secret: 'x', offline_since: 1, last_seen: 1 });
    await register(t, daemon.registryUrl, info);
    const dashboard = await connect(t, daemon.registryUrl);
    const { event, nodes, protocol_version } = await dashboard.nextJson();
    assert.equal(event, 'init');
    assert.equal(protocol_version, '1');
    const node = nodes.find(({ id }: Json) => id === 'fields');
    const { last_seen, ...fields } = node;
    const { port } = info;
    assert.deepEqual(fields, { id: 'fields', machine: '127.0.0.1', cwd: '/work', port, status: 'active', pid: 42 });
    assert.ok(last_seen >= before && last_seen <= Date.now() / 1000);
    assert.deepEqual((await dashboard.call('list_nodes')).result, nodes);
  });

  test('an agent that deregisters is removed; one whose connection ends is offline, then removed', async (t) => {
    const dashboard = await watch(t, daemon.registryUrl);
    const leaving = await register(t, daemon.registryUrl, nodeInfo('leaving'));
    const dying = await register(t, daemon.registryUrl, nodeInfo('dying'));
    assert.deepEqual((await leaving.call('deregister', { id: 'leaving' })).result, { status: 'deregistered' });
    leaving.terminate();
    dying.terminate();
    const mine = ({ id, node }: Json) => ['leaving', 'dying'].includes(id ?? node?.id);
    const events = [];
    for (let i = 0; i < 5; i++) events.push(await dashboard.until(mine));
    assert.deepEqual(
      events.map(({ event, id, node }) => `${event} ${id ?? node.id}`),
      ['node_joined leaving', 'node_joined dying', 'node_removed leaving', 'node_offline dying', 'node_removed dying'],
    );
  });

  test('offline, a node says since when; coming back it is active again, and the TTL forgets it', async (t) => {
    const info = nodeInfo('returning');
    const dashboard = await watch(t, daemon.registryUrl);
    (await register(t, daemon.registryUrl, info)).terminate();
    await dashboard.until(({ event, id }) => event === 'node_offline' && id === 'returning');
    const nodeOf = async () =>
      (await dashboard.call('list_nodes')).result.find(({ id }: Json) => id === 'returning') as Json;
    const offline = await nodeOf();
    assert.equal(offline.status, 'offline');
    assert.ok(offline.offline_since <= offline.last_seen && offline.last_seen <= Date.now() / 1000);
    await register(t, daemon.registryUrl, info);
    assert.equal((await dashboard.until(({ event }) => event === 'node_joined')).node.status, 'active');
    await delay(1500);
    const active = await nodeOf();
    assert.equal(active.status, 'active');
    assert.equal(active.offline_since, undefined);
  });

  test('an agent whose connection answers is alive, whatever the TTL', async (t) => {
    await register(t, daemon.registryUrl, nodeInfo('silent'));
    const dashboard = await watch(t, daemon.registryUrl);
    await delay(2500);
    const { result } = await dashboard.call('list_nodes');
    assert.equal(result.find(({ id }: Json) => id === 'silent').status, 'active');
  });

  test('a half-open agent is found by our own pings; one that answers them stays', async (t) => {
    const { url, port } = await embed(t, { nodeTtlMs: 100, limits: { pingIntervalMs: 400 } });
    const dashboard = await watch(t, url);
    await register(t, url, nodeInfo('answers'));
    const halfOpen = await RawPeer.upgrade(port, '/ws');
    t.after(() => halfOpen.socket.destroy());
    const params = nodeInfo('half-open');
    halfOpen.socket.write(clientFrame(TEXT, JSON.stringify({ method: 'register', params })));
    const events = [];
    for (let i = 0; i < 4; i++) events.push(await dashboard.nextJson());
    assert.deepEqual(
      events.map(({ event, id, node }) => `${event} ${id ?? node.id}`),
      ['node_joined answers', 'node_joined half-open', 'node_offline half-open', 'node_removed half-open'],
    );
    await halfOpen.closed;
    const nodes = (await dashboard.call('list_nodes')).result;
    assert.deepEqual(
      nodes.map(({ id, status }: Json) => `${id} ${status}`),
      ['answers active'],
    );
  });

  test('another id in the same place replaces the old node, whose late close changes nothing', async (t) => {
    const { port } = nodeInfo('-');
    const dashboard = await watch(t, daemon.registryUrl);
    const former = await register(t, daemon.registryUrl, nodeInfo('former', { port }));
    await register(t, daemon.registryUrl, nodeInfo('latter', { port }));
    assert.equal((await dashboard.nextJson()).node.id, 'former');
    assert.deepEqual(await dashboard.nextJson(), { event: 'node_removed', id: 'former' });
    assert.equal((await dashboard.nextJson()).node.id, 'latter');
    await former.close();
    assert.deepEqual(await soFar(dashboard), []);
  });

  test('the same place means the same peer address too, and a folder is no place', async (t) => {
    const { port } = nodeInfo('-');
    const place = { machine: 'ubuntu', port, cwd: '/shared' };
    await register(t, daemon.registryUrl, nodeInfo('laptop-1', place));
    await register(t, daemon.registryUrl, nodeInfo('laptop-2', place), { localAddress: '127.0.0.2' });
    await register(t, daemon.registryUrl, nodeInfo('neighbour', { cwd: '/shared' }));
    const dashboard = await connect(t, daemon.registryUrl);
    const ids = (await dashboard.call('list_nodes')).result.map(({ id }: Json) => id);
    for (const id of ['laptop-1', 'laptop-2', 'neighbour']) assert.ok(ids.includes(id), id);
  });

  test('a second id on one connection replaces its first', async (t) => {
    const dashboard = await watch(t, daemon.registryUrl);
    const uplink = await register(t, daemon.registryUrl, nodeInfo('first-id'));
    await uplink.call('register', nodeInfo('second-id'));
    assert.equal((await dashboard.nextJson()).node.id, 'first-id');
    assert.deepEqual(await dashboard.nextJson(), { event: 'node_removed', id: 'first-id' });
    assert.equal((await dashboard.nextJson()).node.id, 'second-id');
    await uplink.close();
    assert.deepEqual(await dashboard.nextJson(), { event: 'node_offline', id: 'second-id' });
  });

  test('the last registration wins: the connection that had the id before owns nothing any more', async (t) => {
    const dashboard = await watch(t, daemon.registryUrl);
    const old = await register(t, daemon.registryUrl, nodeInfo('twice'));
    const fresh = await register(t, daemon.registryUrl, nodeInfo('twice'));
    assert.equal((await dashboard.nextJson()).event, 'node_joined');
    assert.equal((await dashboard.nextJson()).event, 'node_joined');
    assert.match((await old.call('deregister', { id: 'twice' })).error, /^Unauthorized: /);
    await old.close();
    assert.deepEqual(await soFar(dashboard), []);
    fresh.terminate();
    assert.deepEqual(await dashboard.nextJson(), { event: 'node_offline', id: 'twice' });
  });

  test('the nodes that a connection may deregister', async (t) => {
    const one = await register(t, daemon.registryUrl, nodeInfo('one'));
    const other = await register(t, daemon.registryUrl, nodeInfo('other'));
    const stranger = await watch(t, daemon.registryUrl);
    const unauthorized = 'Unauthorized: cannot deregister another node';
    assert.equal((await one.call('deregister', { id: 'other' })).error, unauthorized);
    assert.equal((await one.call('deregister', { id: 'nobody' })).error, unauthorized);
    assert.deepEqual((await one.call('deregister', { id: 'one' })).result, { status: 'deregistered' });
    assert.deepEqual((await one.call('deregister', { id: 'one' })).result, { status: 'not_found' });
    assert.deepEqual((await stranger.call('deregister', { id: 'nobody' })).result, { status: 'not_found' });
    assert.deepEqual((await stranger.call('deregister', { id: 'other' })).result, { status: 'deregistered' });
    other.terminate();
    const { result } = await stranger.call('list_nodes');
    assert.ok(!result.some(({ id }: Json) => id === 'one' || id === 'other'));
  });
});

describe('the init of a large roster', () => {
  /** More than 64 KiB of nodes. */
  async function fill(t: TestContext, url: string): Promise<number> {
    const count = 20;
    for (let i = 0; i < count; i++) await register(t, url, nodeInfo(`large-${i}`, { cwd: 'x'.repeat(4096) }));
    return count;
  }

  test('waits for the first message, and comes before its answer', async (t) => {
    const { url } = await embed(t, { limits: { initDelayMs: 60_000 } });
    const count = await fill(t, url);
    for (const first of ['{"id":1,"method":"ping"}', 'no request', Buffer.from('binary')]) {
      const client = await connect(t, url);
      await delay(30);
      assert.deepEqual(client.pending, []);
      client.socket.send(first);
      const { event, nodes } = await client.nextJson();
      assert.equal(event, 'init');
      assert.equal(nodes.length, count);
    }
  });

  test('is empty for a peer that registers first, and whole if the registration fails', async (t) => {
    const { url } = await embed(t, { limits: { initDelayMs: 60_000 } });
    const count = await fill(t, url);
    const agent = await connect(t, url);
    agent.send({ id: 1, method: 'register', params: nodeInfo('comes-back') });
    assert.deepEqual(await agent.nextJson(), { event: 'init', nodes: [], protocol_version: '1' });
    assert.deepEqual(await agent.nextJson(), { id: 1, result: { status: 'registered' } });
    const failing = await connect(t, url);
    failing.send({ id: 1, method: 'register', params: {} });
    assert.equal((await failing.nextJson()).nodes.length, count + 1);
    assert.deepEqual(await failing.nextJson(), { id: 1, error: 'Invalid node info' });
  });

  test('comes at once to a browser, and after a while to a program that says nothing', async (t) => {
    const { url } = await embed(t, { limits: { initDelayMs: 60_000 } });
    const count = await fill(t, url);
    const browser = await connect(t, url, { origin: 'http://localhost' });
    assert.equal((await browser.nextJson()).nodes.length, count);

    const daemon = await Daemon.start();
    t.after(() => daemon.stop());
    assert.equal(await fill(t, daemon.registryUrl), count);
    const program = await connect(t, daemon.registryUrl);
    assert.equal((await program.nextJson()).nodes.length, count);
    await register(t, daemon.registryUrl, nodeInfo('afterwards'));
    assert.equal((await program.nextJson()).node.id, 'afterwards');
  });
});

describe('a dashboard that does not read', () => {
  /** Registers the same node again and again: each time 4 KiB for everyone. */
  async function churn(uplink: Client, rounds: number): Promise<void> {
    const info = nodeInfo('churning', { cwd: 'x'.repeat(4096) });
    for (let i = 0; i < rounds; i++) uplink.send({ method: 'register', params: { ...info, pid: i } });
    await uplink.call('ping');
  }

  test('is brought up to date by one fresh init once it reads again, and loses nothing after it', async (t) => {
    const { hypivisor, url } = await embed(t, { limits: { backlogBudgetBytes: 64 * 1024 } });
    const sleeper = await watch(t, url);
    sleeper.socket.pause();
    const uplink = await register(t, url, nodeInfo('churning'));
    await eventually(async () => {
      await churn(uplink, 500);
      assert.equal(hypivisor.counters.resyncs, 1);
    });
    await churn(uplink, 500);
    assert.equal(hypivisor.counters.resyncs, 1, 'one at a time');
    sleeper.socket.resume();
    const { nodes } = await sleeper.until(({ event }) => event === 'init');
    assert.equal(nodes[0].pid, 499);
    await churn(uplink, 1);
    assert.equal((await sleeper.nextJson()).node.pid, 0);
  });

  test('is closed with 1013 if it does not read for too long; the others notice nothing', async (t) => {
    const limits = { backlogBudgetBytes: 64 * 1024, laggardTimeoutMs: 100 };
    const { hypivisor, port, url } = await embed(t, { limits });
    const watcher = await watch(t, url);
    const laggard = await RawPeer.upgrade(port, '/ws');
    t.after(() => laggard.socket.destroy());
    laggard.socket.pause();
    const uplink = await register(t, url, nodeInfo('churning'));
    await eventually(async () => {
      await churn(uplink, 500);
      await soFar(watcher);
      assert.equal(hypivisor.counters.laggardsClosed, 1);
    });
    assert.equal(watcher.socket.readyState, watcher.socket.OPEN);
    // Had it read at last, it would have learnt why.
    laggard.socket.resume();
    const last = readFrames(await laggard.rest()).at(-1);
    assert.equal(last?.opcode, CLOSE);
    assert.equal(last?.payload.readUInt16BE(0), 1013);
    await eventually(() => assert.equal(hypivisor.counters.connections, 2));
  });
});

describe('requests', () => {
  let daemon: Daemon;
  let client: Client;
  before(async () => {
    daemon = await Daemon.start();
    client = await Client.open(daemon.registryUrl);
    await client.nextJson();
  });
  after(async () => {
    client?.terminate();
    await daemon?.stop();
  });

  test('a slow list_directories holds up no list_nodes; answers that need no waiting keep their order', async () => {
    const peer = await RawPeer.upgrade(daemon.port, '/ws');
    await peer.frame();
    const requests: Json[] = [{ id: 'slow', method: 'list_directories' }];
    for (let id = 0; id < 100; id++) requests.push({ id, method: id % 2 ? 'ping' : 'list_nodes' });
    peer.socket.write(Buffer.concat(requests.map((request) => clientFrame(TEXT, JSON.stringify(request)))));
    for (let id = 0; id < 100; id++) assert.equal((await peer.json()).id, id);
    assert.equal((await peer.json()).id, 'slow');
    peer.socket.destroy();
  });

  test('the id is echoed as it came, and a request without one is answered without one', async () => {
    for (const id of [0, -1, 1.5, 1e21, '', '0', 'ü\u2028"\\', '__proto__', 'x'.repeat(10_000)]) {
      client.send({ id, method: 'ping' });
      assert.deepEqual((await client.nextJson()).id, id);
    }
    client.send({ method: 'ping' });
    assert.deepEqual(Object.keys(await client.nextJson()), ['result']);
    client.send({ method: 'nothing' });
    assert.deepEqual(await client.nextJson(), { error: 'Method not found: nothing' });
  });

  test('text that is no request is answered with an error, and the connection goes on', async () => {
    const texts = [
      '',
      'hello',
      '[]',
      'null',
      '42',
      '"ping"',
      '{',
      '{}',
      '{"method":1}',
      '{"method":"ping","params":[]}',
    ];
    for (const text of [...texts, '{"id":null,"method":"ping"}', '{"id":{},"method":"ping"}', '[{"method":"ping"}]']) {
      client.socket.send(text);
      const answer = await client.nextJson();
      assert.deepEqual(Object.keys(answer), ['error'], text);
      assert.match(answer.error, /^Invalid request: /, text);
    }
    client.send({ id: 7, method: ['ping'] });
    assert.deepEqual(await client.nextJson(), { id: 7, error: 'Invalid request: method must be a string' });
    // A hundred thousand levels deep.
    client.socket.send(`{"id":8,"method":"ping","params":{"x":${'['.repeat(1e5)}${']'.repeat(1e5)}}}`);
    assert.equal((await client.nextJson()).id, 8);
  });

  test('binary messages are ignored', async () => {
    client.socket.send(Buffer.from('{"id":1,"method":"ping"}'));
    client.send({ id: 2, method: 'ping' });
    assert.equal((await client.nextJson()).id, 2);
  });

  test('ping tells the number of nodes and the version', async () => {
    const { result } = await client.call('ping');
    assert.deepEqual(Object.keys(result), ['status', 'nodes', 'version']);
    assert.equal(result.status, 'healthy');
    assert.equal(result.nodes, 0);
    assert.match(result.version, /^\d+\.\d+\.\d+/);
  });

  test('unknown methods, also those that every object has', async () => {
    for (const method of ['', 'nothing', 'toString', 'constructor', '__proto__', 'Register']) {
      assert.equal((await client.call(method)).error, `Method not found: ${method}`);
    }
  });

  test('register: every field is checked, on both sides of its bound', async (t) => {
    const uplink = await connect(t, daemon.registryUrl);
    assert.equal((await uplink.call('register')).error, 'Missing params');
    const right: Json[] = [
      { id: 'x'.repeat(256) },
      { id: 'ü'.repeat(128) },
      { id: '../ü ?#%/\\"<script>' },
      { machine: 'm'.repeat(253) },
      { cwd: '' },
      { cwd: 'c'.repeat(4096) },
      { port: 1 },
      { port: 65535 },
      { status: 'offline' },
      { pid: 0 },
      { pid: null },
      { dialKey: 'k'.repeat(128) },
      { dialKey: null },
    ];
    for (const fields of right) {
      const answer = await uplink.call('register', nodeInfo('bounds', fields));
      assert.deepEqual(answer.result, { status: 'registered' }, JSON.stringify(fields));
    }
    const wrong: Json[] = [
      { id: undefined },
      { id: '' },
      { id: 1 },
      { id: 'x'.repeat(257) },
      { id: 'ü'.repeat(129) },
      { id: 'line\nfeed' },
      { id: 'nul\0' },
      { machine: undefined },
      { machine: null },
      { machine: 'm'.repeat(254) },
      { machine: 'a\r\nHost: b' },
      { cwd: undefined },
      { cwd: 'c'.repeat(4097) },
      { cwd: '\u0085' },
      { port: undefined },
      { port: '8080' },
      { port: 0 },
      { port: 65536 },
      { port: 80.5 },
      { port: -1 },
      { status: undefined },
      { status: 'gone' },
      { pid: '1' },
      { pid: -1 },
      { dialKey: '' },
      { dialKey: 'k'.repeat(129) },
      { dialKey: 'a b' },
    ];
    for (const fields of wrong) {
      const { error } = await uplink.call('register', nodeInfo('bounds', fields));
      assert.equal(error, 'Invalid node info', JSON.stringify(fields));
    }
    for (const params of [{}, { id: 'only' }]) {
      assert.equal((await uplink.call('register', params)).error, 'Invalid node info');
    }
  });

  test('deregister without an id', async () => {
    for (const params of [undefined, {}, { id: 1 }, { id: null }]) {
      assert.equal((await client.call('deregister', params)).error, 'Missing params.id');
    }
  });

  test('list_directories: the canonical path, folders in code-point order, and its errors', async (t) => {
    const outside = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
    t.after(() => rm(outside, { recursive: true, force: true }));
    const home = await realpath(daemon.home);
    const folder = join(home, 'folder');
    for (const name of ['b', 'a', 'ä', 'Z', '\u{1f511}', '\uff21', '.hidden']) {
      await mkdir(join(folder, name), { recursive: true });
    }
    await writeFile(join(folder, 'file'), '');
    await symlink(join(folder, 'a'), join(folder, 'inside'));
    await symlink(outside, join(folder, 'leads-outside'));
    await symlink(join(folder, 'missing'), join(folder, 'leads-nowhere'));

    const { result } = await client.call('list_directories', { path: `${home}/./folder/../folder/` });
    assert.deepEqual(result, { current: folder, directories: ['Z', 'a', 'b', 'inside', 'ä', '\uff21', '\u{1f511}'] });
    assert.deepEqual((await client.call('list_directories')).result, { current: home, directories: ['folder'] });

    const errorOf = async (path: unknown) => (await client.call('list_directories', { path })).error;
    for (const path of ['/', outside, `${home}/..`, `${home}-sibling`, join(folder, 'leads-outside')]) {
      assert.match(await errorOf(path), /^(Path resolves outside home directory$|Invalid path: )/, path);
    }
    assert.equal(await errorOf(outside), 'Path resolves outside home directory');
    assert.match(await errorOf(join(folder, 'missing')), /^Invalid path: /);
    assert.match(await errorOf('nul\0'), /^Invalid path: /);
    assert.match(await errorOf(42), /^Invalid path: /);
    assert.match(await errorOf(join(folder, 'file')), /^Cannot read directory: /);
  });

  test('spawn_agent: its errors, and nothing is created', async () => {
    const errorOf = async (params?: unknown) => (await client.call('spawn_agent', params)).error;
    assert.equal(await errorOf(), 'Missing params');
    for (const params of [{}, { path: '' }, { path: null }, { path: join(daemon.home, 'missing') }]) {
      assert.equal(await errorOf(params), 'Path does not exist', JSON.stringify(params));
    }
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith('escaped-'));
    const outside = 'Path resolves outside home directory';
    assert.equal(await errorOf({ path: '/' }), outside);
    for (const new_folder of ['../escaped-1', 'a/../../escaped-2', join(tmpdir(), 'escaped-3'), '..']) {
      assert.equal(await errorOf({ path: daemon.home, new_folder }), outside, new_folder);
    }
    assert.equal(await errorOf({ path: tmpdir(), new_folder: 'escaped-4' }), outside);
    assert.deepEqual(
      (await readdir(tmpdir())).filter((name) => name.startsWith('escaped-')),
      before,
    );
    assert.match(await errorOf({ path: join(daemon.home, '.pi/logs/hyper-pi.jsonl') }), /^Failed to spawn: /);
    assert.match(await errorOf({ path: daemon.home, new_folder: 7 }), /^Failed to spawn: /);
  });
});

describe('how the registry ends a connection', () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start();
  });
  after(() => daemon.stop());

  const masked = { maskingKey: MASKING_KEY };
  const cases: [what: string, closeCode: number, bytes: Buffer][] = [
    ['a close is answered with its code', 4321, clientFrame(CLOSE, Buffer.from([4321 >> 8, 4321 & 0xff]))],
    ['a frame that is not masked', 1002, rawFrame({ opcode: TEXT, payload: '{}' })],
    ['a reserved bit, for no extension was agreed on', 1002, rawFrame({ opcode: TEXT, rsv: 4, ...masked })],
    ['a reserved opcode', 1002, rawFrame({ opcode: 3, ...masked })],
    ['a length that is not minimal', 1002, rawFrame({ opcode: TEXT, payload: '{}', lengthForm: 64, ...masked })],
    ['bad UTF-8', 1007, clientFrame(TEXT, Buffer.from([0xc0, 0xaf]))],
    ['a message over 1 MiB', 1009, rawFrame({ opcode: TEXT, announcedLength: 2n ** 20n + 1n, ...masked })],
    ['a binary message over 1 MiB', 1009, rawFrame({ opcode: BINARY, announcedLength: 2n ** 20n + 1n, ...masked })],
    [
      'more fragments than 1,024',
      1008,
      Buffer.concat(Array.from({ length: 1025 }, (_, i) => rawFrame({ opcode: i ? 0 : TEXT, fin: false, ...masked }))),
    ],
    ['more pings than 200 at once', 1008, Buffer.concat(Array.from({ length: 400 }, () => clientFrame(PING)))],
  ];
  for (const [what, closeCode, bytes] of cases) {
    test(`${closeCode}: ${what}`, async () => {
      const peer = await RawPeer.upgrade(daemon.port, '/ws');
      await peer.frame();
      peer.socket.write(bytes);
      let frame = await peer.frame();
      while (frame.opcode !== CLOSE) frame = await peer.frame();
      assert.equal(frame.payload.readUInt16BE(0), closeCode);
      assert.deepEqual(await peer.rest(), Buffer.alloc(0));
    });
  }

  test('a message of exactly 1 MiB, and one in 1,024 fragments, are taken', async (t) => {
    const peer = await RawPeer.upgrade(daemon.port, '/ws');
    t.after(() => peer.socket.destroy());
    await peer.frame();
    const request = '{"id":1,"method":"ping"}';
    peer.socket.write(clientFrame(TEXT, request.padEnd(2 ** 20)));
    assert.equal((await peer.json()).id, 1);
    const fragments = [...request.padEnd(1024)].map((payload, i) =>
      rawFrame({ opcode: i ? 0 : TEXT, fin: i === 1023, payload, ...masked }),
    );
    peer.socket.write(Buffer.concat(fragments));
    assert.equal((await peer.json()).id, 1);
  });

  test('half a message that is never finished is 1008, and a close that is never answered is not waited for', async (t) => {
    const { hypivisor, port } = await embed(t, {
      limits: { frameTimeoutMs: 100, pingIntervalMs: 50, closingTimeoutMs: 100 },
    });
    const peer = await RawPeer.connect(port, { allowHalfOpen: true });
    t.after(() => peer.socket.destroy());
    peer.socket.write(upgradeRequest('/ws'));
    await peer.head();
    await peer.frame();
    // Alive, but for ever in the middle of a message.
    const drip = setInterval(() => peer.socket.write('\0'), 20);
    t.after(() => clearInterval(drip));
    peer.socket.write(clientFrame(BINARY, Buffer.alloc(1000)).subarray(0, 10));
    let frame = await peer.frame();
    while (frame.opcode !== CLOSE) frame = await peer.frame();
    assert.equal(frame.payload.readUInt16BE(0), 1008);
    clearInterval(drip);
    await eventually(() => assert.equal(hypivisor.counters.connections, 0));
  });

  test('faults in one connection reach no other', async (t) => {
    const bystander = await watch(t, daemon.registryUrl);
    for (const [, , bytes] of cases) {
      const peer = await RawPeer.connect(daemon.port);
      peer.socket.write(Buffer.concat([Buffer.from(upgradeRequest('/ws')), bytes]));
      peer.socket.end();
      await peer.closed;
    }
    assert.deepEqual(await soFar(bystander), []);
  });
});
