/** Hubs that are older or newer than each other: they work together, or say in words why not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createHypivisor, type HypivisorOptions } from 'hypivisor';
import { type WebSocket, WebSocketServer } from 'ws';
import { Agent } from '../support/agent.ts';
import { Client, type Json } from '../support/client.ts';
import { eventually } from '../support/measure.ts';

const PATIENCE = { timeout: 120_000 };
const INIT = { event: 'init', nodes: [], protocol_version: '1' };
const LOWER_ID = 'a'.repeat(32);
const UPPER_ID = 'b'.repeat(32);

async function daemonFor(t: TestContext, options: HypivisorOptions = {}) {
  const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', home: '/nonexistent', ...options });
  const { port } = await hypivisor.listen();
  t.after(() => hypivisor.close());
  hypivisor.on('fault', (error) => assert.fail(String(error)));
  const registryUrl = `ws://127.0.0.1:${port}/ws`;
  const client = await Client.open(registryUrl);
  t.after(() => client.terminate());
  return { hypivisor, port, registryUrl, client };
}

/** A hub above as anyone would write it with `ws`, of another version. */
class OtherUpper {
  /** Everything that hubs below have said, in order. */
  readonly said: Json[] = [];
  readonly sockets: WebSocket[] = [];
  readonly server: WebSocketServer;

  private constructor(server: WebSocketServer, answer: (request: Json) => Json) {
    this.server = server;
    server.on('connection', (socket) => {
      this.sockets.push(socket);
      socket.on('error', () => {});
      socket.send(JSON.stringify(INIT));
      socket.on('message', (payload) => {
        const request = JSON.parse(String(payload));
        this.said.push(request);
        socket.send(JSON.stringify({ id: request.id, ...answer(request) }));
      });
    });
  }

  static async start(t: TestContext, answer: (request: Json) => Json, port = 0): Promise<OtherUpper> {
    const server = new WebSocketServer({ host: '127.0.0.1', port });
    await once(server, 'listening');
    const upper = new OtherUpper(server, answer);
    t.after(() => upper.stop());
    return upper;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** How a hub stands with the one that it joins. */
async function upOf(client: Client): Promise<Json> {
  const { result } = await client.call('list_machines');
  return result[0].up[0];
}

describe('a hub above that knows of no joins', PATIENCE, () => {
  const TOO_OLD = (request: Json) => ({ error: `Method not found: ${request.method}` });

  test('is asked again, more and more seldom; the reason is said, and the agents here are served as ever', async (t) => {
    const upper = await OtherUpper.start(t, TOO_OLD);
    const { client, hypivisor, registryUrl, port } = await daemonFor(t, { join: [{ url: upper.url }] });
    await eventually(async () => {
      const { status, reason } = await upOf(client);
      assert.deepEqual([status, reason], ['refused', 'it is too old to be joined']);
    });
    assert.match(await (await fetch(`http://127.0.0.1:${port}/healthz`)).text(), /^ok\njoin .*too old to be joined/);
    await delay(4000);
    assert.ok(upper.sockets.length <= 6, `${upper.sockets.length} connections in 4 s`);
    assert.deepEqual(new Set(upper.said.map(({ method }) => method)), new Set(['join']), 'nothing is shared with it');
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(registryUrl, 'agent');
    const relay = await Client.open(`${registryUrl}/agent/agent`);
    relay.socket.send('hello');
    assert.equal(String((await relay.next()).payload), 'hello');
    relay.terminate();
    assert.equal(hypivisor.nodes.length, 1);
  });

  test('is joined once it is replaced by one that does', async (t) => {
    const old = await OtherUpper.start(t, TOO_OLD);
    const { port, url } = old;
    const lower = await daemonFor(t, { join: [{ url }] });
    await eventually(async () => assert.equal((await upOf(lower.client)).status, 'refused'));
    await old.stop();
    const upper = await daemonFor(t, { port });
    await eventually(async () => assert.equal((await upOf(lower.client)).status, 'joined'), 30_000);
    const { result } = await upper.client.call('list_machines');
    assert.equal(result.length, 2);
  });

  test('may have ten thousand nodes to tell of first', async (t) => {
    const upper = await OtherUpper.start(t, TOO_OLD);
    const node = { machine: 'm', cwd: '/work', port: 1, status: 'active' };
    const nodes = Array.from({ length: 10_000 }, (_, i) => ({ ...node, id: `${i}` }));
    upper.server.on('connection', (socket) => socket.send(JSON.stringify({ ...INIT, nodes })));
    const { client } = await daemonFor(t, { join: [{ url: upper.url }] });
    await eventually(async () => assert.equal((await upOf(client)).reason, 'it is too old to be joined'));
  });
});

describe('a newer hub above', PATIENCE, () => {
  test('may say more than we know, and ask for more than we can', async (t) => {
    const upper = await OtherUpper.start(t, ({ method, params }) => {
      if (method === 'join') {
        const known = { status: 'joined', id: UPPER_ID, name: 'newer', version: '99.0.0' };
        return { result: { ...known, colour: 'green', wants: ['tea'] } };
      }
      if (method === 'share') return { result: { status: 'shared', seq: params.seq, colour: 'green' } };
      return { result: { status: 'responded', colour: 'green' } };
    });
    const { client, registryUrl } = await daemonFor(t, { join: [{ url: upper.url }], hubName: 'lower' });
    await eventually(async () => assert.equal((await upOf(client)).status, 'joined'));
    const [socket] = upper.sockets as [WebSocket];
    const push = (message: Json) => socket.send(JSON.stringify(message));
    push({ event: 'weather', is: 'fine' });
    push({ event: 'node_joined', node: { id: 'not for us' } });
    push({ id: 'never asked', result: {} });
    push({ event: 'request', request_id: 'r1', method: 'reboot', params: {}, colour: 'green' });
    push({
      event: 'request',
      request_id: 'r2',
      method: 'list_directories',
      params: { path: '/nonexistent', deep: true },
    });
    const answerTo = (id: string) =>
      eventually(() => {
        const answer = upper.said.find(({ method, params }) => method === 'respond' && params.request_id === id);
        assert.ok(answer, `an answer to ${id}`);
        return answer.params;
      });
    assert.equal((await answerTo('r1')).error, 'Method not found: reboot');
    assert.equal(typeof (await answerTo('r2')).error, 'string');
    // It goes on sharing.
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(registryUrl, 'agent');
    await eventually(() => {
      const shared = upper.said.flatMap(({ method, params }) => (method === 'share' ? (params.put ?? []) : []));
      assert.ok(
        shared.some(({ id }) => id === 'agent'),
        'the agent is shared',
      );
    });
    assert.equal(upper.sockets.length, 1, 'over the same connection');
  });

  test('whose answer to a join cannot be understood is told of in words', async (t) => {
    const upper = await OtherUpper.start(t, () => ({ result: { status: 'wait in the lobby' } }));
    const { client } = await daemonFor(t, { join: [{ url: upper.url }] });
    await eventually(async () => {
      const { status, reason } = await upOf(client);
      assert.deepEqual([status, reason], ['refused', 'it gives no answer that we understand']);
    });
  });
});

describe('a hub below of another version', PATIENCE, () => {
  const join = { id: LOWER_ID, name: 'lower', version: '0.0.1', features: ['roster'], below: [] };
  const node = { id: 'agent', machine: 'm', cwd: '/work', port: 1, status: 'active', path: [LOWER_ID] };
  const now = () => Math.floor(Date.now() / 1000);

  async function lowerFor(t: TestContext, registryUrl: string): Promise<Client> {
    const lower = await Client.open(registryUrl);
    t.after(() => lower.terminate());
    return lower;
  }

  test('an older one, which says no more than it must', async (t) => {
    const { client, registryUrl } = await daemonFor(t);
    const lower = await lowerFor(t, registryUrl);
    const { result } = await lower.call('join', { ...join, now: now() });
    assert.equal(result.status, 'joined');
    const share = { epoch: 'e', seq: 1, now: now(), all: true, put: [node] };
    assert.equal((await lower.call('share', share)).result.status, 'shared');
    const { result: nodes } = await client.call('list_nodes');
    const [{ reach_since, ...shown }] = nodes;
    assert.equal(typeof reach_since, 'number');
    assert.deepEqual(shown, {
      ...{ id: 'agent', machine: 'm', cwd: '/work', port: 1, status: 'active', hub: 'lower' },
      ...{ reach: 'unproven', reach_error: 'Cannot reach agent: its hub lower does not let others reach its agents' },
    });
  });

  test('a newer one, with features, fields and values that we do not know', async (t) => {
    const { client, registryUrl } = await daemonFor(t);
    const lower = await lowerFor(t, registryUrl);
    const features = ['roster', 'teleport', { name: 'as an object' }];
    const { result } = await lower.call('join', { ...join, version: '99', features, colour: 'green', now: now() });
    assert.equal(result.status, 'joined');
    const newer = { ...node, colour: 'green', state: 'dreaming', reach: 'by telepathy', model: 'm1', context: 'all' };
    const machine = { id: LOWER_ID, name: 'lower', path: [LOWER_ID], features, colour: 'green', load: 'high' };
    const share = { epoch: 'e', seq: 1, now: now(), all: true, put: [newer], machines: [machine], moods: ['fine'] };
    assert.equal((await lower.call('share', share)).result.status, 'shared');
    const { result: nodes } = await client.call('list_nodes');
    assert.deepEqual(
      nodes.map(({ id, hub, model, colour, state, reach }: Json) => ({ id, hub, model, colour, state, reach })),
      [{ id: 'agent', hub: 'lower', model: 'm1', colour: undefined, state: undefined, reach: 'unproven' }],
    );
    const { result: machines } = await client.call('list_machines');
    assert.deepEqual(machines[1].features, ['roster']);
    // What it can beyond that it asks for in vain, and goes on.
    assert.equal(typeof (await lower.call('share_moods', {})).error, 'string');
    const delta = { epoch: 'e', seq: 2, now: now(), gone: ['agent'] };
    assert.equal((await lower.call('share', delta)).result.status, 'shared');
    assert.deepEqual((await client.call('list_nodes')).result, []);
  });

  test('impossible values are refused in words, and not by the end of the connection', async (t) => {
    const { registryUrl } = await daemonFor(t);
    const lower = await lowerFor(t, registryUrl);
    assert.match((await lower.call('join', { ...join, id: 'by name', now: now() })).error, /^Invalid join: id/);
    assert.equal(
      (await lower.call('share', { epoch: 'e', seq: 1, now: now() })).error,
      'No hub has joined on this connection',
    );
    assert.equal((await lower.call('join', { ...join, now: now() })).result.status, 'joined');
    const delta = { epoch: 'unheard of', seq: 7, now: now(), put: [node] };
    assert.match((await lower.call('share', delta)).error, /^Out of step/);
  });
});
