/**
 * Threat: a hub that has joined means harm. It knows the token, as every client does, and so could do on this machine what
 * any client may; here is that joining gives it nothing over the nodes and machines of others, and no room that is theirs.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { createHypivisor } from 'hypivisor';
import { Agent } from '../support/agent.ts';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { LowerHub, type LowerHubOptions } from '../support/lower-hub.ts';
import { eventually, footprint } from '../support/measure.ts';

const PATIENCE = { timeout: 240_000 };
const MEBIBYTE = 2 ** 20;

async function start(t: TestContext): Promise<Daemon> {
  const daemon = await Daemon.start();
  t.after(() => daemon.stop());
  return daemon;
}

async function join(
  t: TestContext,
  daemon: Pick<Daemon, 'registryUrl'>,
  options: LowerHubOptions = {},
): Promise<LowerHub> {
  const hub = await LowerHub.join(daemon.registryUrl, options);
  t.after(() => hub.stop());
  return hub;
}

async function connect(t: TestContext, daemon: Pick<Daemon, 'registryUrl'>, features: string[] = []): Promise<Client> {
  const client = await Client.open(daemon.registryUrl);
  t.after(() => client.terminate());
  await client.nextJson();
  if (features.length > 0) await client.call('subscribe', { features });
  return client;
}

async function register(t: TestContext, daemon: Daemon, id: string, says: string): Promise<Client> {
  const agent = await Agent.serve({ onConnection: (socket) => socket.send(says) });
  t.after(() => agent.stop());
  return agent.register(daemon.registryUrl, id);
}

async function heard(t: TestContext, daemon: Daemon, id: string): Promise<string> {
  const client = await Client.open(daemon.relayUrl(id));
  t.after(() => client.terminate());
  return String((await client.next()).payload);
}

describe('a hub below that claims what is not its own', PATIENCE, () => {
  test('ids of others’ agents: theirs stay theirs, whoever came first', async (t) => {
    const daemon = await start(t);
    await register(t, daemon, 'mine', 'mine');
    const says = (name: string): LowerHubOptions => ({ name, onConnection: (socket) => socket.send(name) });
    const honest = await join(t, daemon, says('honest'));
    await honest.share({ all: true, put: [honest.node('theirs'), honest.node('late')] });
    const hostile = await join(t, daemon, says('hostile'));
    const ids = ['mine', 'theirs', 'early', 'theirs@honest', 'mine@honest'];
    for (let i = 0; i < 3; i++) await hostile.share({ all: true, put: ids.map((id) => hostile.node(id)) });
    await hostile.share({ gone: ['mine', 'late', 'theirs'] });
    await hostile.share({ put: [hostile.node('theirs', { status: 'offline' }), hostile.node('mine', { pid: 1 })] });
    await register(t, daemon, 'early', 'mine too');
    await honest.share({ put: [honest.node('mine')] });
    assert.equal(await heard(t, daemon, 'mine'), 'mine');
    assert.equal(await heard(t, daemon, 'early'), 'mine too');
    assert.equal(await heard(t, daemon, 'theirs'), 'honest');
    assert.equal(await heard(t, daemon, 'late'), 'honest');
    assert.equal(await heard(t, daemon, 'mine@hostile'), 'hostile');
    // Its end is the end of its own.
    const watcher = await connect(t, daemon);
    await hostile.share({ all: true });
    const { result } = await watcher.call('list_nodes');
    assert.deepEqual(result.map(({ id, hub, status }: Json) => [id, hub, status]).sort(), [
      ['early', undefined, 'active'],
      ['late', 'honest', 'active'],
      ['mine', undefined, 'active'],
      ['mine@honest-2', 'honest', 'active'],
      ['theirs', 'honest', 'active'],
    ]);
  });

  test('the id of another hub: not without its key, also once that has left', async (t) => {
    const daemon = await start(t);
    const honest = await join(t, daemon, { name: 'honest' });
    await honest.share({ all: true, put: [honest.node('theirs')] });
    const hostile = await LowerHub.connect(daemon.registryUrl, { name: 'hostile' });
    t.after(() => hostile.stop());
    assert.equal((await hostile.join({ id: honest.id })).error, 'Invalid join: key');
    assert.equal((await hostile.join({ id: honest.id, key: null })).error, 'Another hub has this id');
    honest.uplink.terminate();
    const watcher = await connect(t, daemon);
    await eventually(async () => {
      const { result } = await watcher.call('list_machines');
      assert.equal(result[1]?.status, 'lost', 'it is lost');
    });
    assert.equal((await hostile.join({ id: honest.id, key: null })).error, 'Another hub has this id');
    assert.equal((await watcher.call('list_nodes')).result.length, 1);
  });

  test('machines of others, and this one: they are asked where they are', async (t) => {
    const daemon = await start(t);
    const watcher = await connect(t, daemon);
    const [here] = (await watcher.call('list_machines')).result;
    const honest = await join(t, daemon, { name: 'honest' });
    const hostile = await join(t, daemon, { name: 'honest', key: 'another' });
    const claim = (machine: Json) => ({ ...machine, features: ['spawn'], path: [machine.id, hostile.id] });
    const machines = [
      here,
      { ...here, id: honest.id, name: 'honest' },
      { ...here, id: 'a'.repeat(32), name: here.name },
    ];
    await hostile.share({ all: true, machines: machines.map(claim) });
    const { result } = await watcher.call('list_machines');
    assert.deepEqual(
      result.map(({ name, via }: Json) => [name, via]),
      [
        [here.name, undefined],
        ['honest', undefined],
        ['honest-2', undefined],
        ['honest-3', 'honest-2'],
        [`${here.name}-2`, 'honest-2'],
      ],
    );
    for (const machine of [here.name, here.id]) {
      assert.equal((await watcher.call('list_directories', { machine })).result.current, daemon.home);
    }
    for (const machine of ['honest', honest.id]) {
      watcher.send({ id: machine, method: 'list_directories', params: { machine } });
      const { request_id } = await honest.uplink.until(({ event }) => event === 'request');
      await honest.uplink.call('respond', { request_id, result: { current: '/honest', directories: [] } });
      assert.equal((await watcher.until(({ id }) => id === machine)).result.current, '/honest');
    }
  });

  test('anything that only clients and agents may ask for', async (t) => {
    const daemon = await start(t);
    await register(t, daemon, 'mine', 'mine');
    const hostile = await join(t, daemon);
    for (const [method, params] of [
      ['deregister', { id: 'mine' }],
      ['register', { id: 'x', machine: 'm', cwd: '/', port: 9, status: 'active' }],
      ['update', { name: 'x' }],
      ['list_nodes', {}],
      ['list_directories', {}],
      ['spawn_agent', { path: daemon.home }],
    ] as const) {
      assert.equal((await hostile.uplink.call(method, params)).error, 'A hub that has joined may not ask for that');
    }
  });
});

describe('a hub below that says too much', PATIENCE, () => {
  test('200,000 nodes, and a snapshot that never ends: half of the roster is its, and the others are served', async (t) => {
    const daemon = await start(t);
    const watcher = await connect(t, daemon);
    const hostile = await join(t, daemon);
    const before = (await footprint(daemon.pid)).residentBytes;
    const part = (i: number) => Array.from({ length: 1000 }, (_, k) => hostile.node(`n${i}-${k}`));
    let leftOut = 0;
    for (let i = 0; i < 100; i++) await hostile.share({ all: true, more: true, put: part(i) });
    leftOut += (await hostile.share({ all: true })).result.left_out;
    for (let i = 100; i < 200; i++) leftOut += (await hostile.share({ put: part(i) })).result.left_out;
    assert.equal(leftOut, 190_000);
    assert.equal((await watcher.call('ping')).result.nodes, 10_000);
    const other = await join(t, daemon, { name: 'other' });
    await other.share({ all: true, put: [other.node('theirs')] });
    await register(t, daemon, 'mine', 'mine');
    assert.equal(await heard(t, daemon, 'mine'), 'mine');
    for (let i = 0; i < 50; i++) await hostile.share({ all: true, more: true, put: part(i) });
    const grown = (await footprint(daemon.pid)).residentBytes - before;
    assert.ok(grown < 400 * MEBIBYTE, `${Math.round(grown / MEBIBYTE)} MiB`);
    assert.equal((await watcher.call('ping')).result.nodes, 10_002);
    await eventually(() => assert.match(daemon.stderr, /some nodes of a hub do not fit into the roster/));
  });

  test('fields that are huge, deep or no fields at all: left out, and nothing breaks', async (t) => {
    const daemon = await start(t);
    const hostile = await join(t, daemon);
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const say = async (text: string) => {
      hostile.uplink.socket.send(text);
      return hostile.uplink.until((message) => message.event === undefined);
    };
    const node = JSON.stringify(hostile.node('x'));
    const params = `"epoch":"e","seq":1,"now":1,"all":true`;
    const deepNode = `${node.slice(0, -1)},"question":${deep},"name":${deep},"extra":${deep}}`;
    const machine = `{"id":"${hostile.id}","name":${deep},"path":${deep}}`;
    for (const more of ['true', 'false']) {
      const share = `{${params},"more":${more},"put":[${deep},${deepNode},{"path":${deep}}],"machines":[${deep},${machine}]}`;
      assert.equal((await say(`{"id":1,"method":"share","params":${share}}`)).result.status, 'shared');
    }
    for (const field of ['id', 'name', 'below', 'features', 'key']) {
      assert.match(
        (await say(`{"id":1,"method":"join","params":{"id":"${hostile.id}","name":"x","${field}":${deep}}}`)).error,
        /^Invalid join/,
      );
    }
    assert.match((await say(`{"id":1,"method":"respond","params":{"request_id":${deep}}}`)).error, /^Invalid response/);
    const huge = 'x'.repeat(900_000);
    const fields = { cwd: huge, machine: huge, name: huge, id: huge };
    for (const [field, value] of Object.entries(fields)) {
      const { result } = await hostile.share({ seq: 1, all: true, put: [hostile.node('y', { [field]: value })] });
      assert.equal(result.left_out ?? 0, field === 'name' ? 0 : 1, field);
    }
    const watcher = await connect(t, daemon);
    const nodes = (await watcher.call('list_nodes')).result;
    assert.ok(JSON.stringify(nodes).length < 2000);
    assert.doesNotMatch(daemon.stderr, /needsHardening|fault/i);
  });

  test('names and machines without end: at most 65 machines, and one that never reads them costs little', async (t) => {
    const daemon = await start(t);
    const reader = await connect(t, daemon, ['machines']);
    const deaf = await connect(t, daemon, ['machines']);
    deaf.socket.pause();
    const hostile = await join(t, daemon);
    const before = (await footprint(daemon.pid)).residentBytes;
    const machine = (i: number, round: number): Json => {
      const id = i.toString(16).padStart(32, '0');
      return {
        id,
        name: `${round} ${'x'.repeat(200)}`,
        version: '1',
        since: 1,
        nodes: 0,
        features: [],
        path: [id, hostile.id],
      };
    };
    await hostile.share({ all: true });
    for (let round = 0; round < 100; round++) {
      const machines = Array.from({ length: 1000 }, (_, i) => machine(round * 100 + i, round));
      await hostile.share({ machines });
    }
    const grown = (await footprint(daemon.pid)).residentBytes - before;
    assert.ok(grown < 200 * MEBIBYTE, `${Math.round(grown / MEBIBYTE)} MiB`);
    const { result } = await reader.call('list_machines');
    assert.ok(result.length <= 67, `${result.length} machines`);
    deaf.socket.resume();
    const known = new Set<string>([result[0].id]);
    await eventually(async () => {
      deaf.send({ id: 'list', method: 'list_machines' });
      for (;;) {
        const message = await deaf.nextJson();
        if (message.event === 'machine_left') assert.ok(known.delete(message.id), 'only what is known can leave');
        else if (message.event?.startsWith('machine_')) known.add(message.machine.id);
        if (message.id !== 'list') continue;
        assert.deepEqual([...known].sort(), message.result.map(({ id }: Json) => id).sort());
        return;
      }
    });
  });
});

describe('a hub below whose short messages cost much', PATIENCE, () => {
  const NODES = 4000;
  const STORM = 600;
  const storms: Record<string, (hub: LowerHub, round: number) => [string, Json][]> = {
    'is called otherwise again and again': (hub, round) => {
      const facts = { id: hub.id, name: `h${round}`, version: '1', since: 1, nodes: 0, features: [], path: [hub.id] };
      return [['share', { machines: [facts] }]];
    },
    'joins again and again': ({ id, key, name }) => [
      ['join', { id, key, name, version: '0', features: ['roster'], below: [], now: 1 }],
      ['share', {}],
    ],
  };
  for (const [name, messages] of Object.entries(storms)) {
    test(`${name}, with thousands of nodes: others are served between any two of them`, async (t) => {
      const daemon = await start(t);
      const hub = await join(t, daemon);
      await hub.share({ all: true, put: Array.from({ length: NODES }, (_, i) => hub.node(`n${i}`)) });
      const client = await connect(t, daemon);
      let answered = 0;
      hub.uplink.socket.on('message', () => answered++);
      for (let round = 0; round < STORM; round++) {
        for (const [method, params] of messages(hub, round)) {
          const position = method === 'share' ? { epoch: hub.epoch, seq: ++hub.seq, now: 1 } : {};
          hub.uplink.send({ id: round, method, params: { ...position, ...params } });
        }
      }
      await eventually(() => assert.ok(answered > 0, 'it has begun'));
      const before = answered;
      for (let i = 0; i < 5; i++) await client.call('ping');
      assert.ok(answered - before < STORM / 4, `${answered - before} of ${STORM} were served meanwhile`);
    });
  }

  test('joins on many connections at once, with thousands of nodes: only so often', async (t) => {
    const daemon = await start(t);
    const options = { name: 'many' };
    const hub = await join(t, daemon, options);
    await hub.share({ all: true, put: Array.from({ length: 5000 }, (_, i) => hub.node(`n${i}`)) });
    const others = await Promise.all(Array.from({ length: 30 }, () => LowerHub.connect(daemon.registryUrl, options)));
    for (const other of others) t.after(() => other.stop());
    const answers = await Promise.all(others.map(async (other) => (await other.join()).error));
    assert.ok(answers.includes('many joins too often'), answers.join());
    // One that waits a little may.
    await eventually(async () => {
      const another = await LowerHub.connect(daemon.registryUrl, options);
      t.after(() => another.stop());
      assert.equal((await another.join()).error, undefined);
    }, 30_000);
    const client = await connect(t, daemon);
    assert.equal((await client.call('ping')).result.nodes, 5000);
  });

  test('many of them at once, with snapshots that never end: all together have a bounded room', async (t) => {
    // Without a bound they would fill more than twice as much, and the daemon would die of it.
    const daemon = await Daemon.start({ env: { NODE_OPTIONS: '--max-old-space-size=112' } });
    t.after(() => daemon.stop());
    const hubs = await Promise.all(Array.from({ length: 24 }, (_, i) => join(t, daemon, { name: `h${i}` })));
    const cwd = 'x'.repeat(800);
    for (const hub of hubs) {
      for (let i = 0; i < 8; i++) {
        const put = Array.from({ length: 1000 }, (_, k) => hub.node(`n${i}-${k}`, { cwd }));
        await hub.share({ all: true, more: true, put });
      }
    }
    // None of that is in the way of one that ends its own.
    for (const hub of hubs.slice(1)) hub.stop();
    const [last] = hubs as [LowerHub];
    await last.share({ all: true });
    await last.share({ all: true, put: [last.node('x')] });
    const client = await connect(t, daemon);
    await eventually(async () => {
      const { result } = await client.call('list_nodes');
      assert.deepEqual(
        result.map(({ id }: Json) => id),
        ['x'],
      );
    });
  });
});

describe('a hub below that does not do what it is asked', PATIENCE, () => {
  test('answers nothing, and does not even read: requests are bounded, and all are answered', async (t) => {
    const hypivisor = createHypivisor({ port: 0, home: '/nonexistent', limits: { hubRequestTimeoutMs: 2000 } });
    const { port } = await hypivisor.listen();
    t.after(() => hypivisor.close());
    const daemon = { registryUrl: `ws://127.0.0.1:${port}/ws` };
    const hostile = await join(t, daemon);
    hostile.uplink.socket.pause();
    const clients = await Promise.all(Array.from({ length: 6 }, () => connect(t, daemon)));
    const prompt = 'x'.repeat(500_000);
    const errors = new Map<string, number>();
    await Promise.all(
      clients.map(async (client) => {
        for (let i = 0; i < 60; i++) {
          client.send({ id: i, method: 'spawn_agent', params: { machine: 'laptop', path: '/', prompt } });
        }
        for (let i = 0; i < 60; i++) {
          const { error } = await nextWithin(client, 60_000);
          errors.set(error, (errors.get(error) ?? 0) + 1);
        }
      }),
    );
    const [late = 0, busy = 0] = [
      'Machine laptop did not answer in time',
      'Machine laptop is asked too much at once',
    ].map((sentence) => errors.get(sentence) ?? 0);
    assert.equal(late + busy, 360, JSON.stringify([...errors]));
    assert.ok(busy > 0 && late > 0, JSON.stringify([...errors]));
  });

  test('answers what nobody asked, and for others: nobody hears of it', async (t) => {
    const daemon = await start(t);
    const honest = await join(t, daemon, { name: 'honest' });
    const hostile = await join(t, daemon, { name: 'hostile' });
    const client = await connect(t, daemon, ['spawns']);
    client.send({ id: 1, method: 'spawn_agent', params: { machine: 'honest', path: '/' } });
    const { request_id } = await honest.uplink.until(({ event }) => event === 'request');
    const result = { status: 'spawning', path: '/hostile', spawn_id: 's' };
    const push = { event: 'spawn_ended', spawn_id: 's', exit_code: 0, signal: null, output: 'hostile' };
    for (const id of [request_id, '1', '2', 'x']) {
      await hostile.uplink.call('respond', { request_id: id, result });
      await hostile.uplink.call('respond', { request_id: id, push });
    }
    await honest.uplink.call('respond', { request_id, result: { ...result, path: '/honest' } });
    assert.equal((await client.nextJson()).result.path, '/honest');
    await hostile.uplink.call('respond', { request_id, push });
    await client.call('ping');
    assert.deepEqual(client.pending, []);
  });

  test('spawn ids of agents that were started here are not told to have registered', async (t) => {
    const daemon = await start(t);
    const hostile = await join(t, daemon);
    const client = await connect(t, daemon);
    const { result } = await client.call('list_machines');
    assert.equal(result.length, 2);
    await hostile.share({ all: true, put: [hostile.node('x', { spawn_id: 'guess' })] });
    assert.equal((await client.call('spawn_status', { spawn_id: 'guess' })).error, 'No such spawn');
  });
});

async function nextWithin(client: Client, patienceMs: number): Promise<Json> {
  return JSON.parse(String((await client.next(patienceMs)).payload));
}
