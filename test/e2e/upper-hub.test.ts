/** Relays to the nodes of a hub that has joined the built daemon. The hub is written with plain `ws`. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { createHypivisor, type HypivisorOptions } from 'hypivisor';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { LowerHub, type LowerHubOptions } from '../support/lower-hub.ts';
import { eventually } from '../support/measure.ts';

const PATIENCE = { timeout: 120_000 };

async function daemonFor(t: TestContext, options: HypivisorOptions = {}) {
  const limits = { dialTimeoutMs: 30_000, ...options.limits };
  const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', home: '/nonexistent', ...options, limits });
  const { port } = await hypivisor.listen();
  t.after(() => hypivisor.close());
  hypivisor.on('fault', (error) => assert.fail(String(error)));
  const registryUrl = `ws://127.0.0.1:${port}/ws`;
  const relay = async (id: string, protocols: string[] = []) => {
    const client = await Client.open(`${registryUrl}/agent/${encodeURIComponent(id)}`, protocols);
    t.after(() => client.terminate());
    return client;
  };
  const hub = async (ids: string[], hubOptions: LowerHubOptions = {}) => {
    const lower = await LowerHub.join(registryUrl, hubOptions);
    t.after(() => lower.stop());
    await lower.share({ all: true, put: ids.map((id) => lower.node(id)) });
    return lower;
  };
  return { hypivisor, registryUrl, relay, hub };
}

const sentenceOf = async (client: Client) => (await client.nextJson()).error;

describe('a relay through a hub that has joined', PATIENCE, () => {
  test('reaches its nodes by the path that any client would ask it for', async (t) => {
    const { relay, hub } = await daemonFor(t);
    const lower = await hub(['a b/ä', 'other']);
    const client = await relay('a b/ä', ['hypi.v1', 'hypi.delta.v1', 'hypi.token.c2VjcmV0']);
    client.socket.send('hello');
    assert.equal(String((await client.next()).payload), 'hello');
    client.socket.send(Buffer.from([1, 2, 3]));
    assert.deepEqual([...(await client.next()).payload], [1, 2, 3]);
    const [request] = lower.requests;
    assert.equal(request?.url, '/ws/agent/a%20b%2F%C3%A4');
    const { authorization, origin, cookie, host } = request?.headers ?? {};
    assert.deepEqual([authorization, origin, cookie, host], [undefined, undefined, undefined, 'localhost:31415']);
    assert.equal(request?.headers['sec-websocket-protocol'], 'hypi.v1, hypi.delta.v1');
    client.socket.close(4321, 'bye');
    assert.deepEqual(await client.closed, { code: 4321, reason: 'bye' });
  });

  test('goes to the node that is meant, if ids collide', async (t) => {
    const { hypivisor, registryUrl, relay, hub } = await daemonFor(t);
    const lower = await hub(['x'], { onConnection: (socket, request) => socket.send(`hub ${request.url}`) });
    const agent = await Agent.serve({ onConnection: (socket) => socket.send('local') });
    t.after(() => agent.stop());
    const heard = async (id: string) => String((await (await relay(id)).next()).payload);
    assert.equal(await heard('x'), 'hub /ws/agent/x');
    await agent.register(registryUrl, 'x');
    assert.deepEqual(
      hypivisor.nodes.map(({ id, hub }) => [id, hub]),
      [
        ['x', undefined],
        ['x@laptop', 'laptop'],
      ],
    );
    assert.equal(await heard('x'), 'local');
    assert.equal(await heard('x@laptop'), 'hub /ws/agent/x');
    await lower.share({ gone: ['x'] });
    assert.equal(await sentenceOf(await relay('x@laptop')), 'Agent not found');
  });

  test('is one of many at once', async (t) => {
    const { relay, hub } = await daemonFor(t);
    const ids = Array.from({ length: 40 }, (_, i) => `n${i}`);
    const lower = await hub(ids, { onConnection: (socket, request) => socket.send(request.url ?? '') });
    const heard = await Promise.all(ids.map(async (id) => String((await (await relay(id)).next()).payload)));
    assert.deepEqual(
      heard,
      ids.map((id) => `/ws/agent/${id}`),
    );
    assert.equal(lower.requests.length, ids.length);
  });

  test('passes on the hub’s words about a node that it cannot reach', async (t) => {
    const { relay, hub } = await daemonFor(t);
    const sentence = '{"error":"Cannot reach agent: connection refused (at laptop)"}';
    await hub(['x'], {
      onConnection: (socket) => {
        socket.send(sentence);
        socket.close(1000);
      },
    });
    const client = await relay('x');
    assert.equal(await sentenceOf(client), 'Cannot reach agent: connection refused (at laptop)');
    assert.equal((await client.closed).code, 1000);
  });

  test('says which hub fails', async (t) => {
    const limits = { dialTimeoutMs: 1000 };
    const { registryUrl, relay, hub } = await daemonFor(t, { limits });
    await hub(['silent'], { name: 'silent', onTicket: () => false });
    await hub(['careful'], { name: 'careful', features: ['roster', 'spawn'] });
    const gone = await hub(['gone'], { name: 'gone' });
    const reason = async (id: string) => sentenceOf(await relay(id));
    assert.equal(await reason('silent'), 'Cannot reach agent: its hub silent opened no connection');
    const noRelay = 'Cannot reach agent: its hub careful does not let others reach its agents';
    assert.equal(await reason('careful'), noRelay);
    gone.uplink.terminate();
    const dashboard = await Client.open(registryUrl);
    t.after(() => dashboard.terminate());
    await eventually(async () => {
      const { result } = await dashboard.call('list_machines');
      const lost = result.filter(({ status }: { status: string }) => status === 'lost');
      assert.equal(lost.length, 1, 'it is lost');
    });
    assert.equal(await reason('gone'), 'Cannot reach agent: its hub gone is not connected');
  });

  test('says so if the hub’s answer is no handshake, or if the node is offline', async (t) => {
    const { relay, hub } = await daemonFor(t, { limits: { dialTimeoutMs: 5000 } });
    const lower = await hub(['x', 'y']);
    await lower.share({ put: [lower.node('y', { status: 'offline', offline_since: 9 })] });
    await eventually(() => assert.equal(lower.sockets.length, 1, 'the spare is there'));
    const [spare] = lower.sockets;
    spare?.removeAllListeners('data');
    const asked = once(spare as NonNullable<typeof spare>, 'data');
    const client = relay('x');
    await asked;
    spare?.write('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    assert.match(await sentenceOf(await client), /^Agent handshake failed: .*404.* \(at its hub laptop\)$/);
    assert.equal(await sentenceOf(await relay('y')), 'Agent is offline');
  });

  test('is not promised while the hub opens no connections: its nodes say so, until it does', async (t) => {
    const { hypivisor, hub } = await daemonFor(t);
    let opens = false;
    const lower = await hub([], { onTicket: () => opens });
    await lower.share({ put: [lower.node('x', { reach: 'direct', reach_since: 1 })] });
    const reach = () => [hypivisor.nodes[0]?.reach, hypivisor.nodes[0]?.reach_error];
    const why = 'Cannot reach agent: its hub laptop opened no connection';
    await eventually(() => assert.deepEqual(reach(), ['unproven', why]), 40_000);
    opens = true;
    await eventually(() => assert.deepEqual(reach(), ['direct', undefined]), 40_000);
    lower.uplink.terminate();
    const away = 'Cannot reach agent: its hub laptop is not connected';
    await eventually(() => assert.deepEqual(reach(), ['unproven', away]));
  });

  test('goes on when the hub’s own connection is lost', async (t) => {
    const { hypivisor, relay, hub } = await daemonFor(t);
    const lower = await hub(['x']);
    const client = await relay('x');
    client.socket.send('one');
    assert.equal(String((await client.next()).payload), 'one');
    lower.uplink.terminate();
    await eventually(() => assert.equal(hypivisor.nodes[0]?.reach, 'unproven'));
    client.socket.send('two');
    assert.equal(String((await client.next()).payload), 'two');
  });
});
