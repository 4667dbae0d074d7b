/** The ways to agents, proven by the built daemon before anybody uses them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { createHypivisor, type HypivisorOptions } from 'hypivisor';
import { Agent } from '../support/agent.ts';
import { BackAgent } from '../support/back-agent.ts';
import { Client } from '../support/client.ts';
import { eventually } from '../support/measure.ts';

const PATIENCE = { timeout: 60_000 };

async function daemonFor(t: TestContext, options: HypivisorOptions = {}) {
  const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', home: '/nonexistent', ...options });
  const { port } = await hypivisor.listen();
  t.after(() => hypivisor.close());
  hypivisor.on('fault', (error) => assert.fail(String(error)));
  return { hypivisor, registryUrl: `ws://127.0.0.1:${port}/ws` };
}

async function agentFor(t: TestContext): Promise<Agent> {
  const agent = await Agent.serve();
  t.after(() => agent.stop());
  return agent;
}

describe('the way to an agent that is dialled', PATIENCE, () => {
  test('is proven once it has registered, and again when it comes back', async (t) => {
    const { hypivisor, registryUrl } = await daemonFor(t);
    const agent = await agentFor(t);
    const uplink = await agent.register(registryUrl, 'agent');
    await eventually(() => assert.equal(hypivisor.nodes[0]?.reach, 'direct'));
    assert.ok(Math.abs((hypivisor.nodes[0]?.reach_since ?? 0) - Date.now() / 1000) < 30);
    uplink.terminate();
    await eventually(() => assert.equal(hypivisor.nodes[0]?.status, 'offline'));
    await agent.register(registryUrl, 'agent');
    await eventually(() => assert.equal(hypivisor.nodes[0]?.reach, 'direct'));
  });

  test('is found lost while nobody uses it, and found again, and those who subscribed are told', async (t) => {
    const { registryUrl } = await daemonFor(t, { limits: { proofIntervalMs: 400 } });
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const dashboard = await Client.open(registryUrl);
    t.after(() => dashboard.terminate());
    await dashboard.call('subscribe', { features: ['updates'] });
    const uplink = await Client.open(registryUrl);
    t.after(() => uplink.terminate());
    await uplink.call('register', { id: 'agent', machine: '127.0.0.1', cwd: '/work', port, status: 'active' });
    const toldOf = (reach: string) => dashboard.until((push) => push.event === 'node_updated' && push.reach === reach);
    assert.equal((await toldOf('direct')).reach_error, undefined);
    server.close();
    assert.equal((await toldOf('unproven')).reach_error, 'Cannot reach agent: connection refused');
    const again = net.createServer().listen(port, '127.0.0.1');
    t.after(() => again.close());
    assert.equal((await toldOf('direct')).reach_error, null);
  });

  test('is said to be lost, in words, without a relay', async (t) => {
    const { hypivisor, registryUrl } = await daemonFor(t);
    const uplink = await Client.open(registryUrl);
    t.after(() => uplink.terminate());
    await uplink.call('register', { id: 'agent', machine: '10.255.255.1', cwd: '/work', port: 9, status: 'active' });
    await eventually(() => assert.equal(hypivisor.nodes[0]?.reach, 'unproven'));
    assert.equal(hypivisor.nodes[0]?.reach_error, 'Cannot reach agent: without a token, only where it registered from');
  });

  test('costs the agent no more than a connection that ends: its server sees neither a request nor an error', async (t) => {
    const { hypivisor, registryUrl } = await daemonFor(t, { limits: { proofIntervalMs: 100 } });
    const seen: string[] = [];
    let connections = 0;
    const server = http.createServer(() => seen.push('a request'));
    server.on('connection', () => connections++);
    server.on('upgrade', () => seen.push('an upgrade'));
    server.on('clientError', (error) => seen.push(error.message));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const uplink = await Client.open(registryUrl);
    t.after(() => uplink.terminate());
    await uplink.call('register', { id: 'agent', machine: '127.0.0.1', cwd: '/work', port, status: 'active' });
    await eventually(() => assert.ok(connections >= 3, `${connections} connections`));
    assert.deepEqual(seen, []);
    assert.equal(hypivisor.nodes[0]?.reach, 'direct');
  });
});

describe('the way to an agent that offers dial-back', PATIENCE, () => {
  test('and came through a tunnel, so that nobody is where it seems to be, is proven all the same', async (t) => {
    const { hypivisor, registryUrl } = await daemonFor(t, { limits: { proofIntervalMs: 200 } });
    const agent = await BackAgent.register(registryUrl, 'agent', { fields: { machine: 'localhost', port: 1 } });
    t.after(() => agent.stop());
    await eventually(() => assert.equal(hypivisor.nodes[0]?.reach, 'dial-back'));
    assert.equal(hypivisor.nodes[0]?.reach_error, undefined);
    assert.equal(hypivisor.counters.spares, 1);
  });
});

test('a daemon that is told to end gives up its proofs', PATIENCE, async (t) => {
  const { hypivisor, registryUrl } = await daemonFor(t, { limits: { proofIntervalMs: 50 } });
  const agent = await agentFor(t);
  await agent.register(registryUrl, 'agent');
  await eventually(() => assert.equal(hypivisor.nodes[0]?.reach, 'direct'));
  await hypivisor.close();
  assert.equal(hypivisor.counters.connections, 0);
});
