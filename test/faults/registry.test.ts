/**
 * A registry connection fails in each way at each stage, an agent's or a dashboard's: who watches is told of the agent, and
 * notices nothing of the dashboard; the one that failed is told why where it still reads; and nothing stays.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { Client, type Json } from '../support/client.ts';
import { CLOSE, clientFrame, closePayload, RawPeer, TEXT } from '../support/raw-peer.ts';
import { type Fault, FaultyProxy } from './faulty-proxy.ts';
import { AGENT_STAGES, DASHBOARD_STAGES, registerAgent, type Stage, toldOf } from './registration.ts';
import { describeBuilt, describeEmbedded, type Subject } from './subject.ts';

const LIMITS = {
  headTimeoutMs: 1500,
  frameTimeoutMs: 1500,
  closingTimeoutMs: 500,
  // Dead after three times as long: later than any frame that took too long.
  pingIntervalMs: 700,
  lingerTimeoutMs: 500,
};

let lastId = 0;

/** A peer behind a proxy, and a dashboard beside it. */
async function converse(t: TestContext, { port }: Subject) {
  const proxy = await FaultyProxy.open(port, 'daemon');
  t.after(() => proxy.stop());
  const dashboard = await Client.open(`ws://127.0.0.1:${port}/ws`);
  t.after(() => dashboard.terminate());
  const peer = await RawPeer.connect(proxy.port, { allowHalfOpen: true });
  t.after(() => peer.socket.destroy());
  const info = { id: `faulty-${++lastId}`, machine: '127.0.0.1', cwd: '/', port: 20_000 + lastId, status: 'active' };
  const register = clientFrame(TEXT, JSON.stringify({ id: 'register', method: 'register', params: info }));
  return { proxy, dashboard, peer, info, register };
}

/** What the peer that failed is told, where it is told anything. */
async function assertTold(peer: RawPeer, stage: Stage, fault: Fault): Promise<void> {
  // "It ended before its head was complete: nothing, cut", "It ended without one [a close frame]: FIN"
  if (fault === 'end') assert.deepEqual(await toldOf(peer, stage), ['end']);
  if (fault === 'mute') assert.deepEqual(await toldOf(peer, stage), stage.silence);
}

function testAgents(subject: Subject, faults: readonly Fault[]): void {
  for (const stage of AGENT_STAGES) {
    for (const fault of faults) {
      test(`an agent ${stage.name}, ${fault}`, async (t) => {
        const { proxy, dashboard, peer, info, register } = await converse(t, subject);
        await stage.reach(peer, register);
        await proxy.inject(fault, peer.socket.bytesWritten);
        // "the node that the connection owns is offline at once, and every watcher gets node_offline"
        const { registered } = stage;
        if (registered) await dashboard.until(({ event, id }) => event === 'node_offline' && id === info.id);
        await assertTold(peer, stage, fault);
        const { result } = await dashboard.call('list_nodes');
        const node = result.find(({ id }: Json) => id === info.id);
        assert.equal(node?.status, registered ? 'offline' : undefined);
      });
    }
  }
}

function testDashboards(subject: Subject, faults: readonly Fault[]): void {
  for (const stage of DASHBOARD_STAGES) {
    for (const fault of faults) {
      test(`a dashboard ${stage.name}, ${fault}: the one beside it sees all`, async (t) => {
        const { proxy, dashboard, peer, info, register } = await converse(t, subject);
        await stage.reach(peer, register);
        await proxy.inject(fault, peer.socket.bytesWritten);
        assert.deepEqual(await seenOfAgent(dashboard, subject, info), ['node_joined', 'node_offline']);
        await assertTold(peer, stage, fault);
        // After it is gone too.
        const later = { ...info, id: `${info.id}-later` };
        assert.deepEqual(await seenOfAgent(dashboard, subject, later), ['node_joined', 'node_offline']);
      });
    }
  }
}

function testTables(subject: Subject, faults: readonly Fault[]): void {
  describe('its agents', () => testAgents(subject, faults));
  describe('its dashboards', () => testDashboards(subject, faults));
}

function testSplit(subject: Subject): void {
  test('an agent split from the first byte: it registers and closes as if nothing were', async (t) => {
    const { proxy, dashboard, peer, info, register } = await converse(t, subject);
    await proxy.inject('split');
    await registerAgent(peer, register);
    peer.socket.write(clientFrame(CLOSE, closePayload(4000)));
    assert.equal((await peer.frame()).payload.readUInt16BE(0), 4000);
    await dashboard.until(({ event, node }) => event === 'node_joined' && node.id === info.id);
    await dashboard.until(({ event, id }) => event === 'node_offline' && id === info.id);
    assert.equal((await peer.rest()).length, 0);
    peer.socket.end();
  });

  test('a dashboard split from the first byte: it sees all', async (t) => {
    const { proxy, peer, info } = await converse(t, subject);
    await proxy.inject('split');
    const dashboard = await Client.open(`ws://127.0.0.1:${proxy.port}/ws`);
    t.after(() => dashboard.terminate());
    assert.deepEqual(await seenOfAgent(dashboard, subject, info), ['node_joined', 'node_offline']);
    peer.socket.destroy();
  });
}

/** An agent comes and goes. @returns the events about it that the dashboard gets, up to an answer to a later request */
async function seenOfAgent(dashboard: Client, { port }: Subject, info: Json): Promise<string[]> {
  const agent = await Client.open(`ws://127.0.0.1:${port}/ws`);
  assert.deepEqual((await agent.call('register', info)).result, { status: 'registered' });
  await agent.close();
  const seen: string[] = [];
  dashboard.send({ id: 'then', method: 'ping' });
  let answered = false;
  await dashboard.until(({ event, id, node }) => {
    if ((event !== undefined && id === info.id) || node?.id === info.id) seen.push(event);
    answered ||= event === undefined && id === 'then';
    return answered && seen.includes('node_offline');
  });
  return seen;
}

const AT_ONCE: Fault[] = ['reset', 'end'];
const IN_TIME: Fault[] = ['mute', 'blackhole', 'stall'];

describeEmbedded('the registry in this process', {}, (subject) => {
  testTables(subject, AT_ONCE);
  testSplit(subject);
});

describeEmbedded('the registry in this process, where only time tells', LIMITS, (subject) =>
  testTables(subject, IN_TIME),
);

describeBuilt('the registry of the daemon', (subject) => {
  testTables(subject, AT_ONCE);
  testSplit(subject);
});
