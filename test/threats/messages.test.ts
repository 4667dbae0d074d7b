/**
 * Threats: a message that is deep, huge or named to hurt; floods of messages, pings and fragments; readers that do not
 * read. Single bounds are tested on both sides in test/registry/ and test/e2e/registry.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { footprint } from '../support/measure.ts';
import { MASKING_KEY, rawFrame } from '../support/raw-frame.ts';
import { CLOSE, clientFrame, PING, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';

const MEBIBYTE = 2 ** 20;

let daemon: Daemon;
before(async () => {
  daemon = await Daemon.start({ args: ['--node-ttl', '1'] });
});
after(() => daemon.stop());

async function connect(t: TestContext): Promise<Client> {
  const client = await Client.open(daemon.registryUrl);
  t.after(() => client.terminate());
  assert.equal((await client.nextJson()).event, 'init');
  return client;
}

const info = (id: string, fields: Json = {}): Json => {
  return { id, machine: 'localhost', cwd: '/work', port: 9, status: 'active', ...fields };
};

const nodesOf = async (client: Client): Promise<Json[]> => (await client.call('list_nodes')).result;

/** Sends JSON as it is written here, which no `JSON.stringify` would write. */
async function say(client: Client, text: string): Promise<Json> {
  client.socket.send(text);
  return client.until((message) => message.event === undefined);
}

describe('a message made to hurt', () => {
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const params = '"id":"deep","machine":"","cwd":"","port":9,"status":"active"';

  test('20,000 levels deep, in any place: an answer, and the roster shows nothing of it', async (t) => {
    const [client, watcher] = [await connect(t), await connect(t)];
    for (const text of [deep, `{"id":${deep},"method":"ping"}`, `{"id":1,"method":${deep}}`]) {
      assert.match((await say(client, text)).error, /^Invalid request: /);
    }
    for (const field of ['id', 'cwd', 'pid', 'dialKey']) {
      const text = `{"id":1,"method":"register","params":{${params},"${field}":${deep}}}`;
      assert.deepEqual(await say(client, text), { id: 1, error: 'Invalid node info' });
    }
    const answer = await say(
      client,
      `{"id":1,"extra":${deep},"method":"register","params":{${params},"extra":${deep}}}`,
    );
    assert.deepEqual(answer.result, { status: 'registered' });
    const { node } = await watcher.nextJson();
    const expected = { id: 'deep', machine: '', cwd: '', port: 9, status: 'active', last_seen: node.last_seen };
    assert.deepEqual(node, expected);
    assert.deepEqual(await nodesOf(watcher), [expected]);
    client.terminate();
    await watcher.until(({ event }) => event === 'node_removed');
  });

  test('a mebibyte in a field: refused, and no other client hears of it', async (t) => {
    const [client, watcher] = [await connect(t), await connect(t)];
    const huge = 'x'.repeat(MEBIBYTE - 1000);
    for (const field of ['id', 'machine', 'cwd', 'status', 'pid', 'dialKey']) {
      assert.equal((await client.call('register', info('huge', { [field]: huge }))).error, 'Invalid node info');
    }
    assert.deepEqual((await client.call('deregister', { id: huge })).result, { status: 'not_found' });
    assert.match((await client.call('list_directories', { path: huge })).error, /^(Invalid path|Cannot read)/);
    assert.ok((await client.call('spawn_agent', { path: huge })).error.length < 500);
    assert.ok((await client.call('spawn_agent', { path: daemon.home, new_folder: huge })).error.length < 500);
    assert.deepEqual((await client.call('register', info('extra', { extra: huge }))).result, { status: 'registered' });
    assert.equal((await watcher.nextJson()).node.id, 'extra');
    assert.deepEqual(watcher.pending, []);
    assert.ok(daemon.stderr.length < 100_000);
    client.terminate();
    await watcher.until(({ event }) => event === 'node_removed');
  });

  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then'];
  for (const name of names) {
    test(`${name} is a name like any other`, async (t) => {
      const [client, watcher] = [await connect(t), await connect(t)];
      const { id } = await say(client, `{"id":${JSON.stringify(name)},"method":"ping"}`);
      assert.equal(id, name);
      assert.equal((await client.call(name, {})).error, `Method not found: ${name}`);
      // As a field, it lends nothing to the object that holds it.
      const lent = `{"id":1,"${name}":{"method":"ping","params":{}}}`;
      assert.equal((await say(client, lent)).error, 'Invalid request: method must be a string');
      const registration = `{"id":1,"method":"register","params":{"${name}":${JSON.stringify(info('lent'))}}}`;
      assert.equal((await say(client, registration)).error, 'Invalid node info');
      const spawn = `{"id":1,"method":"spawn_agent","params":{"${name}":{"path":"${daemon.home}"}}}`;
      assert.equal((await say(client, spawn)).error, 'Path does not exist');
      const extra = `{"id":1,"method":"register","params":{${JSON.stringify(info(name)).slice(1, -1)},"${name}":{"pid":7}}}`;
      assert.deepEqual((await say(client, extra)).result, { status: 'registered' });
      const { node } = await watcher.nextJson();
      assert.deepEqual([node.id, Object.keys(node).length, node.pid], [name, 6, undefined]);
      assert.deepEqual((await client.call('deregister', { id: name })).result, { status: 'deregistered' });
      assert.deepEqual((await client.call('deregister', { id: name })).result, { status: 'not_found' });
      assert.deepEqual(await watcher.nextJson(), { event: 'node_removed', id: name });
      assert.deepEqual(await nodesOf(watcher), []);
    });
  }
});

describe('floods', { timeout: 60_000 }, () => {
  test('5,000 registrations on one connection keep one node', async (t) => {
    const [client, watcher] = [await connect(t), await connect(t)];
    const roster = new Set<string>();
    for (let i = 1; i <= 5000; i++) client.send({ id: i, method: 'register', params: info(`n${i}`, { port: i }) });
    await watcher.until(({ event, id, node }) => {
      if (event === 'node_removed') roster.delete(id);
      else roster.add(node.id);
      assert.ok(roster.size <= 1, 'nodes');
      return node?.id === 'n5000';
    });
    assert.deepEqual(
      (await nodesOf(watcher)).map(({ id }) => id),
      ['n5000'],
    );
    client.terminate();
    await watcher.until(({ event }) => event === 'node_removed');
  });

  /** Sends until it is closed or all is sent. @returns the code of the close frame that came */
  async function closeCodeAfter(t: TestContext, bytes: Buffer): Promise<number> {
    const peer = await RawPeer.connect(daemon.port);
    t.after(() => peer.socket.destroy());
    peer.socket.write(upgradeRequest('/ws'));
    await peer.head();
    peer.socket.write(bytes);
    for (;;) {
      const { opcode, payload } = await peer.frame();
      if (opcode === CLOSE) return payload.readUInt16BE(0);
    }
  }

  for (const opcode of [3, 7, 11, 15]) {
    test(`opcode ${opcode}, with a gibibyte to come: 1002 at its header`, async (t) => {
      const header = rawFrame({ opcode, announcedLength: 2n ** 30n, maskingKey: MASKING_KEY });
      assert.equal(await closeCodeAfter(t, header), 1002);
    });
  }

  const fragments = (count: number, payload: string, opcode = TEXT) =>
    Buffer.concat(
      Array.from({ length: count }, (_, i) =>
        rawFrame({ opcode: i === 0 ? opcode : 0, fin: false, payload, maskingKey: MASKING_KEY }),
      ),
    );

  for (const [what, bytes] of [
    ['100,000 pings', Buffer.concat(Array(100_000).fill(clientFrame(PING, 'x'.repeat(125))))],
    ['100,000 empty fragments', fragments(100_000, '')],
    ['100,000 fragments of one byte', fragments(100_000, ' ')],
  ] as const) {
    test(`${what}: 1008 early, and the others are served`, async (t) => {
      const bystander = await connect(t);
      const [closeCode, { result }] = await Promise.all([closeCodeAfter(t, bytes), bystander.call('ping')]);
      assert.equal(closeCode, 1008);
      assert.equal(result.status, 'healthy');
    });
  }

  test('fifty clients with a message each of 1,000 fragments that never ends cost what they sent', async (t) => {
    const bystander = await connect(t);
    const before = await footprint(daemon.pid);
    const bytes = fragments(1000, ' ');
    for (let i = 0; i < 50; i++) {
      const peer = await RawPeer.upgrade(daemon.port, '/ws');
      t.after(() => peer.socket.destroy());
      peer.socket.write(bytes);
      // Between the fragments it still answers.
      peer.socket.write(clientFrame(PING, 'all read?'));
      while ((await peer.frame()).payload.toString() !== 'all read?');
    }
    const grown = (await footprint(daemon.pid)).residentBytes - before.residentBytes;
    assert.ok(grown < 48 * MEBIBYTE, `${grown} bytes`);
    assert.equal((await bystander.call('ping')).result.status, 'healthy');
  });

  test('eight hundred clients with half a head or half a frame each pin no buffer', async (t) => {
    const open = async () => {
      const peer = await RawPeer.connect(daemon.port);
      t.after(() => peer.socket.destroy());
      return peer;
    };
    const bystander = await connect(t);
    const heads = await Promise.all(Array.from({ length: 400 }, open));
    const frames = await Promise.all(Array.from({ length: 400 }, open));
    for (const peer of frames) {
      peer.socket.write(upgradeRequest('/ws'));
      await peer.head();
    }
    const before = await footprint(daemon.pid);
    for (const [i, head] of heads.entries()) {
      head.socket.write('GET /ws HTTP/1.1\r\nHost: ');
      frames[i]?.socket.write(clientFrame(TEXT, '{"method":"ping"}').subarray(0, 12));
      // Each is read by itself.
      await bystander.call('ping');
    }
    const grown = (await footprint(daemon.pid)).residentBytes - before.residentBytes;
    // A chunk is read into 64 KiB: all of them, held for what little is in them, would be 50 MiB.
    assert.ok(grown < 32 * MEBIBYTE, `${grown} bytes`);
  });

  test('ten clients that ask for a large roster and never read: bounded memory, and the others are served', async (t) => {
    const bystander = await connect(t);
    const cwd = 'c'.repeat(4096);
    const uplinks = await Promise.all(Array.from({ length: 100 }, () => connect(t)));
    for (const [i, uplink] of uplinks.entries())
      await uplink.call('register', info(`large-${i}`, { cwd, port: i + 1 }));
    const before = await footprint(daemon.pid);
    const requests = Buffer.concat(Array(1000).fill(clientFrame(TEXT, '{"method":"list_nodes"}')));
    for (let i = 0; i < 10; i++) {
      const peer = await RawPeer.upgrade(daemon.port, '/ws');
      t.after(() => peer.socket.destroy());
      peer.socket.pause();
      peer.socket.write(requests);
    }
    for (let i = 0; i < 50; i++) assert.equal((await bystander.call('ping')).result.status, 'healthy');
    const grown = (await footprint(daemon.pid)).residentBytes - before.residentBytes;
    // What they asked for is 4 GiB.
    assert.ok(grown < 96 * MEBIBYTE, `${grown} bytes`);
    for (const [i, uplink] of uplinks.entries()) await uplink.call('deregister', { id: `large-${i}` });
  });

  test('twenty dashboards that never read: bounded memory, and one that reads gets every change', async (t) => {
    const watcher = await connect(t);
    for (let i = 0; i < 20; i++) {
      const laggard = await RawPeer.upgrade(daemon.port, '/ws');
      laggard.socket.pause();
      t.after(() => laggard.socket.destroy());
    }
    const uplink = await connect(t);
    const before = await footprint(daemon.pid);
    // 96 MiB of changes, kept once if they were kept at all, for all share them.
    const cwd = 'c'.repeat(4096);
    for (let round = 0; round < 240; round++) {
      for (let i = 0; i < 100; i++) uplink.send({ method: 'register', params: info('churning', { cwd }) });
      for (let i = 0; i < 100; i++) {
        assert.equal((await watcher.nextJson()).node.cwd, cwd);
      }
    }
    const grown = (await footprint(daemon.pid)).residentBytes - before.residentBytes;

    assert.ok(grown < 80 * MEBIBYTE, `${grown} bytes`);
  });
});
