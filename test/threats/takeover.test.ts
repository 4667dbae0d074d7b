/**
 * Threat: somebody takes over an agent's id, or evicts it by registering its machine and port. The rules of the roster
 * are tested in test/e2e/registry.test.ts; here is what they come to for an attacker.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Agent } from '../support/agent.ts';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';

/** An agent that says its name to whoever connects. */
async function serve(t: TestContext, says: string): Promise<Agent> {
  const agent = await Agent.serve({
    onConnection: (socket) => {
      socket.send(says);
      socket.on('message', (payload) => socket.send(`${says}: ${payload}`));
    },
  });
  t.after(() => agent.stop());
  return agent;
}

describe('an id or a place that is somebody else’s', () => {
  let daemon: Daemon;
  before(async () => {
    daemon = await Daemon.start();
  });
  after(() => daemon.stop());

  async function roster(): Promise<Json[]> {
    const dashboard = await Client.open(daemon.registryUrl);
    const { nodes } = await dashboard.nextJson();
    dashboard.terminate();
    return nodes;
  }

  async function heard(client: Client): Promise<string> {
    return String((await client.next()).payload);
  }

  test('an agent that takes over an id gets later relays, and none that is open', async (t) => {
    const [owner, thief] = [await serve(t, 'owner'), await serve(t, 'thief')];
    await owner.register(daemon.registryUrl, 'wanted');
    const open = await Client.open(daemon.relayUrl('wanted'));
    assert.equal(await heard(open), 'owner');
    await thief.register(daemon.registryUrl, 'wanted');
    open.socket.send('still you?');
    assert.equal(await heard(open), 'owner: still you?');
    const later = await Client.open(daemon.relayUrl('wanted'));
    assert.equal(await heard(later), 'thief');
    for (const client of [open, later]) client.terminate();
  });

  test('the owner that comes back has its id again; the late close of the thief changes nothing', async (t) => {
    const [owner, thief] = [await serve(t, 'owner'), await serve(t, 'thief')];
    await owner.register(daemon.registryUrl, 'back');
    const stolen = await thief.register(daemon.registryUrl, 'back');
    await owner.register(daemon.registryUrl, 'back');
    assert.match((await stolen.call('deregister', { id: 'back' })).error, /^Unauthorized: /);
    await stolen.close();
    const node = (await roster()).find(({ id }) => id === 'back');
    assert.deepEqual([node.status, node.port], ['active', owner.port]);
    const client = await Client.open(daemon.relayUrl('back'));
    assert.equal(await heard(client), 'owner');
    client.terminate();
  });

  test('the same machine and port from another address evicts no node, and from the same one only from the roster', async (t) => {
    const owner = await serve(t, 'owner');
    const uplink = await owner.register(daemon.registryUrl, 'in-place');
    const place = owner.info('elsewhere');
    const stranger = await Client.open(daemon.registryUrl, [], { localAddress: '127.0.0.2' });
    await stranger.call('register', place);
    const ids = (await roster()).map(({ id }) => id);
    assert.ok(ids.includes('in-place') && ids.includes('elsewhere'));

    const neighbour = await Client.open(daemon.registryUrl);
    await neighbour.call('register', { ...place, id: 'evictor' });
    assert.ok(!(await roster()).some(({ id }) => id === 'in-place'));
    // Its connection was not touched: it can say so, and is back.
    assert.deepEqual((await uplink.call('register', owner.info('in-place'))).result, { status: 'registered' });
    assert.ok((await roster()).some(({ id }) => id === 'in-place'));
    for (const client of [stranger, neighbour]) client.terminate();
  });

  test('an agent may not deregister another, whatever it calls itself', async (t) => {
    const victim = await serve(t, 'victim');
    await victim.register(daemon.registryUrl, 'victim');
    const attacker = await Client.open(daemon.registryUrl);
    for (const id of ['attacker', 'victim ', 'VICTIM', '__proto__']) {
      await attacker.call('register', { id, machine: 'localhost', cwd: '', port: 9, status: 'active' });
      assert.match((await attacker.call('deregister', { id: 'victim' })).error, /^Unauthorized: /);
    }
    assert.equal((await roster()).find(({ id }) => id === 'victim').status, 'active');
    attacker.terminate();
  });
});

test('with a token, a stranger can do none of it; a client with the token can', async (t) => {
  const daemon = await Daemon.start({ env: { HYPI_TOKEN: 'right' } });
  t.after(() => daemon.stop());
  const agent = await serve(t, 'agent');
  await agent.register(`${daemon.registryUrl}?token=right`, 'guarded');
  await assert.rejects(Client.open(daemon.registryUrl), /401/);
  await assert.rejects(Client.open(`${daemon.relayUrl('guarded')}?token=wrong`), /401/);
  const holder = await Client.open(`${daemon.registryUrl}?token=right`);
  assert.equal((await holder.nextJson()).nodes.length, 1);
  assert.deepEqual((await holder.call('deregister', { id: 'guarded' })).result, { status: 'deregistered' });
  holder.terminate();
});
