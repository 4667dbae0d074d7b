/** What agents say of themselves, through the built daemon: told to those that asked, and unnoticed by all others. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SUBPROTOCOL } from '../../src/protocol/subprotocol.ts';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { clientFrame, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';

const PATIENCE = { timeout: 60_000 };
const info = (id: string, port: number) => ({ id, machine: 'm', cwd: '/work', port, status: 'active' });

describe('updates of nodes', PATIENCE, () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start();
  });
  after(() => daemon.stop());

  async function dashboard(features: string[] | null): Promise<Client> {
    const client = await Client.open(daemon.registryUrl, [SUBPROTOCOL]);
    assert.equal((await client.nextJson()).event, 'init');
    if (features !== null) {
      const answer = await client.call('subscribe', { features });
      assert.deepEqual(answer.result, { features: features.filter((feature) => feature === 'updates') });
    }
    return client;
  }

  /** The pushes about a node up to the one that says it is gone. */
  async function until(client: Client, id: string): Promise<Json[]> {
    const pushes: Json[] = [];
    for (;;) {
      const push = await client.nextJson();
      if (push.id !== id && push.node?.id !== id) continue;
      pushes.push(push);
      if (push.event === 'node_removed') return pushes;
    }
  }

  test('reach those that subscribed, field by field; to others there are only optional fields', async () => {
    const [plain, eager] = [await dashboard(null), await dashboard(['updates', 'made-up'])];
    const agent = await Client.open(daemon.registryUrl);
    const registered = await agent.call('register', { ...info('a', 1), name: 'parser', state: 'idle', spawn_id: 's1' });
    assert.deepEqual(registered.result, { status: 'registered' });
    const updated = await agent.call('update', {
      state: 'waiting',
      question: { id: 'q', kind: 'confirm', title: 'Go?' },
    });
    assert.deepEqual(updated.result, { status: 'updated' });
    assert.deepEqual((await agent.call('update', { question: null, name: null })).result, { status: 'updated' });
    const [node] = (await agent.call('list_nodes')).result;
    await agent.call('update', { successor: 'b' });
    await agent.call('deregister', { id: 'a' });

    const { last_seen, state_since, ...seen } = node;
    assert.deepEqual(seen, { ...info('a', 1), state: 'waiting', spawn_id: 's1' });
    assert.ok(Math.abs(state_since - Date.now() / 1000) < 60);
    const told = await until(eager, 'a');
    assert.deepEqual(
      told.map(({ event }) => event),
      ['node_joined', 'node_updated', 'node_updated', 'node_updated', 'node_removed'],
    );
    const { state_since: since, last_seen: _, ...joined } = told[0].node;
    assert.deepEqual(joined, { ...info('a', 1), name: 'parser', state: 'idle', spawn_id: 's1' });
    assert.equal(typeof since, 'number');
    assert.deepEqual(told[2], { event: 'node_updated', id: 'a', question: null, name: null });
    assert.deepEqual(told[3], { event: 'node_updated', id: 'a', successor: 'b' });
    assert.deepEqual(
      (await until(plain, 'a')).map(({ event }) => event),
      ['node_joined', 'node_removed'],
    );
    for (const client of [plain, eager, agent]) await client.close();
  });

  test('of one turn are one, however many there were', async () => {
    const eager = await dashboard(['updates']);
    const agent = await RawPeer.upgrade(daemon.port, '/ws');
    const frame = (method: string, params: object) => clientFrame(TEXT, JSON.stringify({ id: 1, method, params }));
    agent.socket.write(
      Buffer.concat([
        frame('register', info('b', 2)),
        ...Array.from({ length: 100 }, (_, cost) => frame('update', { cost, tool: `tool-${cost}` })),
        frame('deregister', { id: 'b' }),
      ]),
    );
    const pushes = await until(eager, 'b');
    const updates = pushes.filter(({ event }) => event === 'node_updated');
    assert.ok(updates.length < 10, `${updates.length} updates`);
    assert.deepEqual([updates.at(-1).cost, updates.at(-1).tool], [99, 'tool-99']);
    agent.socket.destroy();
    await eager.close();
  });

  test('that are invalid are refused to their sender, and change nothing', async () => {
    const eager = await dashboard(['updates']);
    const agent = await Client.open(daemon.registryUrl);
    assert.match((await agent.call('update', { name: 'n' })).error, /No node is registered/);
    await agent.call('register', info('c', 3));
    for (const [params, field] of [
      [{ name: 7 }, 'name'],
      [{ name: 'ok', state: 'busy' }, 'state'],
      [{ question: { id: 'q', kind: 'confirm', title: 'x'.repeat(513) } }, 'question'],
      [{ state: 'idle', state_age: -1 }, 'state_age'],
    ] as const) {
      assert.equal((await agent.call('update', params)).error, `Invalid node info: ${field}`);
    }
    assert.equal((await agent.call('register', { ...info('c', 3), model: {} })).error, 'Invalid node info: model');
    const [node] = (await agent.call('list_nodes')).result;
    assert.deepEqual(Object.keys(node).sort(), ['cwd', 'id', 'last_seen', 'machine', 'port', 'status']);
    await agent.call('deregister', { id: 'c' });
    assert.equal((await until(eager, 'c')).length, 2);
    for (const client of [agent, eager]) await client.close();
  });

  test('that came between the roster and the subscription are in a fresh roster', async () => {
    const agent = await Client.open(daemon.registryUrl);
    await agent.call('register', info('d', 4));
    const late = await dashboard(null);
    await agent.call('update', { name: 'meanwhile' });
    late.send({ id: 7, method: 'subscribe', params: { features: ['updates'] } });
    let init: Json = null;
    for (let answered = false; !answered || init === null; ) {
      const message = await late.nextJson();
      if (message.event === 'init') init = message;
      answered ||= message.id === 7;
    }
    assert.deepEqual(
      init.nodes.map(({ name }: Json) => name),
      ['meanwhile'],
    );
    for (const client of [agent, late]) await client.close();
  });

  test('change nothing for a client of the plain protocol, down to its bytes', async () => {
    const agent = await Client.open(daemon.registryUrl);
    await agent.call('register', info('e', 5));
    const plain = await RawPeer.connect(daemon.port);
    plain.socket.write(upgradeRequest('/ws'));
    await plain.head();
    assert.equal((await plain.json()).event, 'init');
    for (let i = 0; i < 50; i++) await agent.call('update', { cost: i });
    await agent.call('deregister', { id: 'e' });
    assert.deepEqual(await plain.json(), { event: 'node_removed', id: 'e' });
    assert.equal(plain.takeAll().length, 0);
    plain.socket.destroy();
    await agent.close();
  });
});
