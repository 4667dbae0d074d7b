/** An agent's connection to the registry fails in each way at each stage: the dashboards are told, and nothing stays. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Client, type Json } from '../support/client.ts';
import { CLOSE, clientFrame, closePayload, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';
import { type Fault, FaultyProxy } from './faulty-proxy.ts';
import { describeBuilt, describeEmbedded, type Subject } from './subject.ts';

const LIMITS = {
  headTimeoutMs: 1500,
  frameTimeoutMs: 1500,
  closingTimeoutMs: 500,
  pingIntervalMs: 500,
  lingerTimeoutMs: 500,
};

interface Stage {
  name: string;
  reach: (peer: RawPeer, register: Buffer) => Promise<unknown>;
  /** It is in the roster. */
  registered: boolean;
}

const request = upgradeRequest('/ws');

async function openRegistry(peer: RawPeer): Promise<void> {
  peer.socket.write(request);
  await peer.head();
  assert.equal((await peer.json()).event, 'init');
}

/** Registered, and nothing else under way. */
async function registerAgent(peer: RawPeer, register: Buffer): Promise<void> {
  await openRegistry(peer);
  peer.socket.write(register);
  for (let message: Json = {}; message.id !== 'register'; ) message = await peer.json();
}

const STAGES: Stage[] = [
  { name: 'before the head', reach: async () => {}, registered: false },
  { name: 'in the head', reach: async (peer) => peer.socket.write(request.slice(0, 40)), registered: false },
  { name: 'before it registers', reach: openRegistry, registered: false },
  {
    name: 'in its first frame',
    async reach(peer, register) {
      await openRegistry(peer);
      peer.socket.write(register.subarray(0, 20));
    },
    registered: false,
  },
  { name: 'registered', reach: registerAgent, registered: true },
  {
    name: 'in a later frame',
    async reach(peer, register) {
      await registerAgent(peer, register);
      peer.socket.write(clientFrame(TEXT, '{"method":"ping"}').subarray(0, 9));
    },
    registered: true,
  },
  {
    name: 'in the closing handshake',
    async reach(peer, register) {
      await registerAgent(peer, register);
      peer.socket.write(clientFrame(CLOSE, closePayload(1000)));
      assert.equal((await peer.frame()).payload.readUInt16BE(0), 1000);
    },
    registered: true,
  },
];

let lastId = 0;

async function converse(t: TestContext, { port }: Subject) {
  const proxy = await FaultyProxy.open(port, 'daemon');
  const dashboard = await Client.open(`ws://127.0.0.1:${port}/ws`);
  const peer = await RawPeer.connect(proxy.port, { allowHalfOpen: true });
  t.after(async () => {
    dashboard.terminate();
    peer.socket.destroy();
    await proxy.stop();
  });
  const id = `faulty-${++lastId}`;
  const params = { id, machine: '127.0.0.1', cwd: '/', port: 20_000 + lastId, status: 'active' };
  const register = clientFrame(TEXT, JSON.stringify({ id: 'register', method: 'register', params }));
  return { proxy, dashboard, peer, id, register };
}

function testTable(subject: Subject, faults: readonly Fault[]): void {
  for (const { name, reach, registered } of STAGES) {
    for (const fault of faults) {
      test(`${name}, ${fault}`, async (t) => {
        const { proxy, dashboard, peer, id, register } = await converse(t, subject);
        await reach(peer, register);
        await proxy.inject(fault);
        // "the node that the connection owns is offline at once, and every watcher gets node_offline"
        if (registered) await dashboard.until((message) => message.event === 'node_offline' && message.id === id);
        // Who ends its side alone sees the daemon end the other; through a hole nothing is seen.
        if (fault === 'end') await peer.rest();
        const { result } = await dashboard.call('list_nodes');
        const node = result.find((each: Json) => each.id === id);
        assert.equal(node?.status, registered ? 'offline' : undefined);
      });
    }
  }

  test('split from the first byte: it registers and closes as if nothing were', async (t) => {
    const { proxy, dashboard, peer, id, register } = await converse(t, subject);
    await proxy.inject('split');
    await registerAgent(peer, register);
    peer.socket.write(clientFrame(CLOSE, closePayload(4000)));
    assert.equal((await peer.frame()).payload.readUInt16BE(0), 4000);
    await dashboard.until((message) => message.event === 'node_joined' && message.node.id === id);
    await dashboard.until((message) => message.event === 'node_offline' && message.id === id);
    assert.equal((await peer.rest()).length, 0);
    peer.socket.end();
  });
}

describeEmbedded('the registry in this process', LIMITS, (subject) => {
  testTable(subject, ['reset', 'end', 'blackhole', 'stall']);
});

describeBuilt('the registry of the daemon', (subject) => testTable(subject, ['reset', 'end']));
