/** Agents that nobody can dial: they open connections for the built daemon. */
import assert from 'node:assert/strict';
import type net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createHypivisor, type HypivisorOptions } from 'hypivisor';
import { Agent } from '../support/agent.ts';
import { BackAgent, type BackAgentOptions } from '../support/back-agent.ts';
import { Client, type Json } from '../support/client.ts';
import { eventually } from '../support/measure.ts';
import { CLOSE, clientFrame, closePayload, RawPeer, upgradeRequest } from '../support/raw-peer.ts';

const PATIENCE = { timeout: 60_000 };

async function daemonFor(t: TestContext, options: HypivisorOptions = {}) {
  const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', home: '/nonexistent', ...options });
  const { port } = await hypivisor.listen();
  t.after(() => hypivisor.close());
  const faults: unknown[] = [];
  hypivisor.on('fault', (error) => faults.push(error));
  t.after(() => assert.deepEqual(faults, []));
  const query = options.token === undefined ? '' : `?token=${options.token}`;
  return {
    hypivisor,
    port,
    registryUrl: `ws://127.0.0.1:${port}/ws${query}`,
    relayUrl: (id: string) => `ws://127.0.0.1:${port}/ws/agent/${id}${query}`,
  };
}

async function agentFor(t: TestContext, registryUrl: string, id: string, options: BackAgentOptions = {}) {
  const agent = await BackAgent.register(registryUrl, id, options);
  t.after(() => agent.stop());
  return agent;
}

async function echoes(t: TestContext, relayUrl: string, text: string): Promise<void> {
  const client = await Client.open(relayUrl);
  t.after(() => client.terminate());
  client.socket.send(text);
  assert.equal(String((await client.next()).payload), text);
}

describe('a relay over a connection that the agent opened', PATIENCE, () => {
  test('is like any other: both ways, subprotocols, key, and the ends', async (t) => {
    const { registryUrl, relayUrl, hypivisor } = await daemonFor(t);
    const seen: Json[] = [];
    await agentFor(t, registryUrl, 'agent', {
      fields: { dialKey: 'the-key' },
      onConnection(socket, { headers, url }) {
        seen.push({ key: headers.authorization, offered: headers['sec-websocket-protocol'], host: headers.host, url });
        socket.send('welcome');
        socket.on('message', (payload) => socket.close(4000, String(payload)));
      },
    });
    const client = await Client.open(relayUrl('agent'), ['hypi.v1', 'mine']);
    assert.equal(client.socket.protocol, 'hypi.v1');
    assert.equal(String((await client.next()).payload), 'welcome');
    client.socket.send('bye');
    assert.deepEqual(await client.closed, { code: 4000, reason: 'bye' });
    assert.deepEqual(seen, [{ key: 'Bearer the-key', offered: 'hypi.v1, mine', host: 'elsewhere:9', url: '/' }]);
    // The registration, and the next spare.
    await eventually(() => assert.equal(hypivisor.counters.connections, 2));
  });

  test('much goes both ways at once', async (t) => {
    const { registryUrl, relayUrl } = await daemonFor(t);
    const much = Buffer.alloc(8 * 1024 * 1024, 'much');
    await agentFor(t, registryUrl, 'agent', {
      onConnection: (socket) =>
        socket.once('message', (payload) => socket.send(Buffer.concat([payload as Buffer, much]))),
    });
    const client = await Client.open(relayUrl('agent'));
    t.after(() => client.terminate());
    client.socket.send(much);
    assert.equal((await client.next(20_000)).payload.length, 2 * much.length);
  });

  test('the way is proved by a spare at once, which the next relay takes, and which is asked for anew', async (t) => {
    const { hypivisor, registryUrl, relayUrl } = await daemonFor(t);
    const agent = await agentFor(t, registryUrl, 'agent');
    assert.deepEqual(agent.answer.result, { status: 'registered', dial_back: true });
    await eventually(() => assert.equal(hypivisor.counters.spares, 1));
    assert.equal(hypivisor.nodes[0]?.reach, 'dial-back');
    assert.ok(Math.abs((hypivisor.nodes[0]?.reach_since ?? 0) - Date.now() / 1000) < 5);
    assert.equal(agent.tickets.length, 1);
    for (let round = 1; round <= 3; round++) {
      await echoes(t, relayUrl('agent'), `round ${round}`);
      await eventually(() => assert.equal(hypivisor.counters.spares, 1));
      assert.equal(agent.tickets.length, round + 1);
    }
    assert.equal(new Set(agent.tickets).size, 4);
    for (const ticket of agent.tickets) assert.match(ticket, /^[A-Za-z0-9_-]{22}$/, '128 bits');
  });

  test('many at once: each gets its own, and no more tickets are out than an agent need serve', async (t) => {
    const { hypivisor, registryUrl, relayUrl } = await daemonFor(t);
    let out = 0;
    let most = 0;
    const agent = await agentFor(t, registryUrl, 'agent', {
      onTicket(ticket, agent) {
        most = Math.max(most, ++out);
        setTimeout(() => {
          out--;
          void agent.open(ticket);
        }, 20);
        return false;
      },
    });
    await Promise.all(Array.from({ length: 60 }, (_, i) => echoes(t, relayUrl('agent'), `client ${i}`)));
    await eventually(() => assert.equal(hypivisor.counters.spares, 1));
    assert.ok(most <= 16, `${most} tickets at once`);
    assert.equal(agent.tickets.length, 61);
  });

  test('with a token: a ticket stands for it', async (t) => {
    const { registryUrl, relayUrl } = await daemonFor(t, { token: 'secret' });
    await agentFor(t, registryUrl, 'agent');
    await echoes(t, relayUrl('agent'), 'hello');
  });

  test('an agent that does not offer it is not asked, and one of this machine is dialled as ever', async (t) => {
    const { hypivisor, registryUrl, relayUrl } = await daemonFor(t);
    const plain = await Agent.serve();
    t.after(() => plain.stop());
    const uplink = await plain.register(registryUrl, 'plain', { machine: 'localhost' });
    await echoes(t, relayUrl('plain'), 'hello');
    assert.equal(hypivisor.nodes[0]?.reach, 'direct');

    const both = await Agent.serve();
    t.after(() => both.stop());
    const answer = await uplink.call('register', both.info('both', { machine: 'localhost', dial_back: true }));
    assert.deepEqual(answer.result, { status: 'registered', dial_back: true });
    await echoes(t, relayUrl('both'), 'hello');
    assert.equal(hypivisor.nodes[0]?.reach, 'direct');
    assert.equal(uplink.pending.length, 0, 'nothing is pushed to it');
  });

  test('one that came through a tunnel, and bears this machine’s name, is asked once the dial has failed', async (t) => {
    const { hypivisor, registryUrl, relayUrl } = await daemonFor(t);
    const agent = await agentFor(t, registryUrl, 'agent', { fields: { machine: 'localhost', port: 1 } });
    await echoes(t, relayUrl('agent'), 'hello');
    assert.equal(hypivisor.nodes[0]?.reach, 'dial-back');
    await eventually(() => assert.equal(hypivisor.counters.spares, 1));
    assert.ok(agent.tickets.length >= 2, 'one for the relay, one for the next');
  });
});

describe('an agent that does not come', PATIENCE, () => {
  test('the client is told in words and in time, and the node says that the way is not proved', async (t) => {
    const { hypivisor, registryUrl, relayUrl } = await daemonFor(t, { limits: { dialTimeoutMs: 500 } });
    await agentFor(t, registryUrl, 'agent', { onTicket: () => false });
    const client = await Client.open(relayUrl('agent'));
    assert.deepEqual(await client.nextJson(), { error: 'Cannot reach agent: it opened no connection' });
    assert.equal(hypivisor.nodes[0]?.reach, 'unproven');
  });

  test('it leaves while a client waits: the client is told', async (t) => {
    const { registryUrl, relayUrl } = await daemonFor(t);
    const agent = await agentFor(t, registryUrl, 'agent', { onTicket: () => false });
    const opening = Client.open(relayUrl('agent'));
    await delay(100);
    agent.uplink.terminate();
    assert.deepEqual(await (await opening).nextJson(), { error: 'Cannot reach agent: it has left' });
  });

  test('a client leaves while it waits: the connection that comes is the spare', async (t) => {
    const { hypivisor, port, registryUrl, relayUrl } = await daemonFor(t);
    const agent = await agentFor(t, registryUrl, 'agent', { onTicket: () => false });
    const peer = await RawPeer.connect(port);
    peer.socket.write(upgradeRequest('/ws/agent/agent'));
    await delay(100);
    peer.socket.destroy();
    await eventually(() => assert.equal(hypivisor.counters.connections, 1));
    for (const ticket of agent.tickets) assert.equal(await agent.open(ticket), 101);
    await eventually(() => assert.equal(hypivisor.counters.spares, 1));
    await echoes(t, relayUrl('agent'), 'hello');
  });

  test('a spare that dies is asked for anew, and one that died unheard costs a part of the time, not the relay', async (t) => {
    const { hypivisor, registryUrl, relayUrl } = await daemonFor(t, { limits: { dialTimeoutMs: 2000 } });
    const agent = await agentFor(t, registryUrl, 'agent');
    await eventually(() => assert.equal(hypivisor.counters.spares, 1));
    agent.sockets[0]?.destroy();
    // It lived for less than a moment: there is a pause first.
    await eventually(() => assert.equal(agent.tickets.length, 2));
    await eventually(() => assert.equal(hypivisor.counters.spares, 1));
    // The daemon may count it before the agent has read its 101.
    await eventually(() => assert.equal(agent.sockets.length, 2));
    // It is there for the daemon's kernel, and nobody answers on it.
    const silent = agent.sockets[1] as net.Socket;
    silent.removeAllListeners();
    silent.on('error', () => {});
    silent.pause();
    await echoes(t, relayUrl('agent'), 'hello');
  });

  test('one that hangs up on each connection is not asked over and over', async (t) => {
    const { registryUrl } = await daemonFor(t);
    const agent = await agentFor(t, registryUrl, 'agent', {
      onTicket(ticket, agent) {
        void agent.open(ticket).then(() => agent.sockets.at(-1)?.destroy());
        return false;
      },
    });
    await delay(2500);
    assert.ok(agent.tickets.length >= 2 && agent.tickets.length <= 3, `${agent.tickets.length}`);
  });

  test('one that speaks before it is asked is cut off', async (t) => {
    const { hypivisor, port, registryUrl } = await daemonFor(t);
    const agent = await agentFor(t, registryUrl, 'agent', { onTicket: () => false });
    await eventually(() => assert.equal(agent.tickets.length, 1));
    const early = await RawPeer.connect(port);
    early.socket.write(`${upgradeRequest(`/ws/back/${agent.tickets[0]}`)}HTTP/1.1 101 Switching Protocols\r\n\r\n`);
    assert.equal((await early.rest()).length, 0);
    await eventually(() => assert.equal(agent.tickets.length, 2));
    const late = await RawPeer.upgrade(port, `/ws/back/${agent.tickets[1]}`);
    await eventually(() => assert.equal(hypivisor.counters.spares, 1));
    late.socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    assert.equal((await late.rest()).length, 0);
    await eventually(() => assert.equal(hypivisor.counters.spares, 0));
  });
});

describe('tickets', PATIENCE, () => {
  const refusals: [what: string, act: (scene: Scene) => Promise<string>][] = [
    ['guessed', async () => 'AAAAAAAAAAAAAAAAAAAAAA'],
    ['of no shape at all', async () => '%00..%2F'],
    [
      'used twice',
      async ({ agent }) => {
        const [ticket = ''] = agent.tickets;
        assert.equal(await agent.open(ticket), 101);
        return ticket;
      },
    ],
    [
      'of an agent that has left',
      async ({ agent, hypivisor }) => {
        agent.uplink.terminate();
        await eventually(() => assert.equal(hypivisor.counters.waysBack, 1));
        return agent.tickets[0] as string;
      },
    ],
    [
      'of an agent that has deregistered',
      async ({ agent }) => {
        await agent.uplink.call('deregister', { id: 'agent' });
        return agent.tickets[0] as string;
      },
    ],
    [
      'of an agent whose id another has now',
      async ({ t, agent, registryUrl }) => {
        await agentFor(t, registryUrl, 'agent', { onTicket: () => false });
        return agent.tickets[0] as string;
      },
    ],
    [
      'of a registration that was made anew without the offer',
      async ({ agent }) => {
        const params = { id: 'agent', machine: 'elsewhere', cwd: '/work', port: 9, status: 'active' };
        assert.deepEqual((await agent.uplink.call('register', params)).result, { status: 'registered' });
        return agent.tickets[0] as string;
      },
    ],
  ];

  interface Scene {
    t: TestContext;
    agent: BackAgent;
    hypivisor: Awaited<ReturnType<typeof daemonFor>>['hypivisor'];
    registryUrl: string;
  }

  for (const [what, act] of refusals) {
    test(`${what}: refused, counted, and harmless`, async (t) => {
      for (const token of [undefined, 'secret']) {
        const { hypivisor, port, registryUrl } = await daemonFor(t, token === undefined ? {} : { token });
        const agent = await agentFor(t, registryUrl, 'agent', { onTicket: () => false });
        const bystander = await agentFor(t, registryUrl, 'bystander');
        await eventually(() => assert.equal(agent.tickets.length, 1));
        await eventually(() => assert.equal(hypivisor.counters.spares, 1));
        const ticket = await act({ t, agent, hypivisor, registryUrl });
        const peer = await RawPeer.connect(port);
        peer.socket.write(upgradeRequest(`/ws/back/${ticket}`));
        // As anywhere where nothing is: who has no token does not learn whether there was such a ticket.
        assert.match(await peer.head(), token === undefined ? /^HTTP\/1\.1 404 / : /^HTTP\/1\.1 401 /);
        assert.equal(hypivisor.counters.ticketsRefused, 1);
        assert.equal(bystander.tickets.length, 1, 'nobody else notices');
      }
    });
  }

  test('late: after ten seconds', async (t) => {
    const { hypivisor, registryUrl } = await daemonFor(t);
    const agent = await agentFor(t, registryUrl, 'agent', { onTicket: () => false });
    await eventually(() => assert.equal(agent.tickets.length, 1));
    await delay(10_200);
    assert.equal(await agent.open(agent.tickets[0] as string), 404);
    assert.equal(hypivisor.counters.ticketsRefused, 1);
    assert.equal(hypivisor.nodes[0]?.reach, 'unproven');
    assert.equal(hypivisor.nodes[0]?.reach_error, 'Cannot reach agent: it opened no connection');
  });

  test('a plain request with one is nothing, and does not use it up', async (t) => {
    const { port, registryUrl } = await daemonFor(t);
    const agent = await agentFor(t, registryUrl, 'agent', { onTicket: () => false });
    await eventually(() => assert.equal(agent.tickets.length, 1));
    const [ticket = ''] = agent.tickets;
    assert.equal((await fetch(`http://127.0.0.1:${port}/ws/back/${ticket}`)).status, 404);
    assert.equal(await agent.open(ticket), 101);
  });
});

test(
  'a client that closes while its relay is being opened over the spare, and one that breaks framing',
  PATIENCE,
  async (t) => {
    const { hypivisor, port, registryUrl, relayUrl } = await daemonFor(t);
    await agentFor(t, registryUrl, 'agent');
    await eventually(() => assert.equal(hypivisor.counters.spares, 1));
    const hasty = await RawPeer.connect(port);
    hasty.socket.write(upgradeRequest('/ws/agent/agent'));
    hasty.socket.destroy();
    const wrong = await RawPeer.upgrade(port, '/ws/agent/agent');
    wrong.socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]));
    const { opcode, payload } = await wrong.frame();
    assert.deepEqual([opcode, payload.readUInt16BE()], [CLOSE, 1002]);
    wrong.socket.write(clientFrame(CLOSE, closePayload(1002)));
    wrong.socket.end();
    await echoes(t, relayUrl('agent'), 'hello');
    await wrong.closed;
  },
);

test('the end of the daemon ends clients that wait, and relays that are open, as ever', PATIENCE, async (t) => {
  const { hypivisor, registryUrl, relayUrl } = await daemonFor(t);
  const agent = await agentFor(t, registryUrl, 'agent');
  const client = await Client.open(relayUrl('agent'));
  client.socket.send('hello');
  await client.next();
  await eventually(() => assert.equal(hypivisor.counters.spares, 1));
  await hypivisor.close();
  assert.equal((await client.closed).code, 1001);
  await agent.uplink.closed;
  assert.equal(hypivisor.counters.spares, 0);
  assert.equal(hypivisor.counters.connections, 0);
});
