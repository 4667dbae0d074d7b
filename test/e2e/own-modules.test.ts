/** An agent and a dashboard on our own modules, beside those that anyone writes with `ws`, on the built daemon. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { registryUrl, relayUrl } from '../../src/protocol/url.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { GREETING, startOwnAgent } from '../support/own-agent.ts';
import { OwnDashboard } from '../support/own-dashboard.ts';
import { eventually } from '../transport/loopback.ts';

const LARGE = 'ü'.repeat(150_000);

describe('our own modules beside ws', () => {
  const faults: unknown[] = [];
  const connections = new Connections(new Deadlines(), (fault) => void faults.push(fault));
  const dashboard = new OwnDashboard();
  let daemon: Daemon;
  let registry: string;
  let wsAgent: Agent;
  let stopListening: () => void;

  before(async () => {
    daemon = await Daemon.start();
    registry = registryUrl(daemon.origin, null);
    wsAgent = await Agent.serve();
    await dashboard.watch(registry, connections);
    stopListening = await startOwnAgent(registry, 'own', connections);
    await wsAgent.register(registry, 'ws');
  });

  after(async () => {
    stopListening?.();
    await connections.shutDown(1000);
    await wsAgent?.stop();
    await daemon?.stop();
  });

  test('the dashboard and a ws client see the same two agents', async () => {
    await eventually(() => assert.deepEqual([...dashboard.roster.keys()].sort(), ['own', 'ws']));
    const client = await Client.open(registry);
    const { nodes } = await client.nextJson();
    assert.deepEqual(nodes, [...dashboard.roster.values()]);
    await client.close();
  });

  for (const [id, greeting] of [
    ['own', [GREETING]],
    ['ws', []],
  ] as const) {
    test(`the dashboard chats with the agent ${id}, and closes`, async () => {
      const heard: string[] = [];
      const chat = await dashboard.chat(relayUrl(daemon.origin, id, null), connections, heard);
      for (const text of ['hello', LARGE, '']) chat.sendText(text);
      await eventually(() => assert.equal(heard.length, greeting.length + 3, 'the echoes'));
      assert.deepEqual(heard, [...greeting, 'hello', LARGE, '']);
      chat.close(4000, 'done');
      await eventually(() => assert.equal(heard.at(-1), 'closed 4000'));
    });
  }

  test('a ws client chats with the agent of ours', async () => {
    const client = await Client.open(relayUrl(daemon.origin, 'own', null));
    assert.equal(JSON.stringify(await client.nextJson()), GREETING);
    client.socket.send(LARGE);
    client.socket.ping();
    assert.equal((await client.next()).payload.toString(), LARGE);
    client.socket.close(4001, 'bye');
    assert.deepEqual(await client.closed, { code: 4001, reason: '' });
  });

  test('both are told when the daemon ends', async () => {
    const heard: string[] = [];
    await dashboard.chat(relayUrl(daemon.origin, 'own', null), connections, heard);
    await eventually(() => assert.deepEqual(heard, [GREETING]));
    await daemon.stop();
    await eventually(() => assert.deepEqual(heard, [GREETING, 'closed 1001']));
    await eventually(() => assert.equal(dashboard.closed?.closeCode, 1001));
    await eventually(() => assert.equal(connections.size, 0, 'nothing is left'));
    assert.deepEqual(faults, []);
  });
});
