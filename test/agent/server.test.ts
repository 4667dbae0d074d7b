import assert from 'node:assert/strict';
import net from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { Agent } from '../../src/agent/agent.ts';
import { AgentServer } from '../../src/agent/server.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { FakeHost } from './fake-host.ts';

describe('AgentServer', () => {
  const faults: unknown[] = [];
  const taken: net.Server[] = [];
  let connections: Connections;
  let agent: Agent;
  let server: AgentServer;

  beforeEach(() => {
    connections = new Connections(new Deadlines(), (error) => faults.push(error));
    const clock = { now: () => 0, after() {} };
    agent = new Agent(new FakeHost(), clock, 'e1', { onDetails() {}, onFault: (error) => faults.push(error) });
    server = new AgentServer({
      connections,
      agent,
      dialKey: 'key',
      token: null,
      onFault: (error) => faults.push(error),
    });
  });
  afterEach(async () => {
    server.close();
    for (const other of taken.splice(0)) other.close();
    agent.close(1001, 'over');
    await connections.shutDown(100);
    assert.deepEqual(faults, []);
  });

  /** The status that an opening handshake is answered with, and the subprotocol that was chosen. */
  const knock = (url: string, options: object = {}, protocols: string[] = []) =>
    new Promise<[status: number, subprotocol: string]>((resolve) => {
      const socket = new WebSocket(url, protocols, options);
      socket.on('unexpected-response', (_request, response) => {
        resolve([response.statusCode ?? 0, '']);
        socket.terminate();
      });
      socket.on('open', () => {
        resolve([101, socket.protocol]);
        socket.terminate();
      });
      socket.on('error', () => resolve([0, '']));
    });
  const withKey = { headers: { Authorization: 'Bearer key' } };

  it('takes the first port that is free', async () => {
    const blocker = net.createServer().listen(0, '127.0.0.1');
    taken.push(blocker);
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as net.AddressInfo;
    const own = await server.listen(port);
    assert.ok(own > port || own < 65_536);
    assert.notEqual(own, port);
    assert.equal((await knock(`ws://127.0.0.1:${own}/`, withKey))[0], 101);
  });

  it('chooses what it knows of what is offered', async () => {
    const url = `ws://127.0.0.1:${await server.listen(38_000)}/`;
    const cases: [offered: string[], chosen: string][] = [
      [[], ''],
      [['hypi.v1'], 'hypi.v1'],
      [['hypi.v1', 'hypi.delta.v1'], 'hypi.delta.v1'],
      [['hypi.v1', 'hypi.delta.v1', 'hypi.resume.x.3'], 'hypi.delta.v1'],
      [['something'], 'something'],
      [['something', 'hypi.v1'], 'hypi.v1'],
    ];
    for (const [offered, chosen] of cases) assert.deepEqual(await knock(url, withKey, offered), [101, chosen]);
  });

  it('lets a daemon in that has no key, from its own address alone, and no page with it', async () => {
    const port = await server.listen(38_000);
    const url = `ws://127.0.0.1:${port}/`;
    assert.equal((await knock(url))[0], 401);
    server.admitKeyless('::1');
    assert.equal((await knock(url))[0], 101, 'loopback is loopback');
    assert.equal((await knock(url, { origin: 'http://localhost' }))[0], 403);
    server.admitKeyless('192.0.2.1');
    assert.equal((await knock(url))[0], 401);
    server.admitKeyless('127.0.0.1');
    server.admitKeyless(null);
    assert.equal((await knock(url))[0], 401);
  });

  it('listens where a daemon elsewhere reaches it, once, and gives it up', {
    skip: process.platform !== 'linux',
  }, async () => {
    const port = await server.listen(38_000);
    assert.equal((await knock(`ws://127.0.0.2:${port}/`, withKey))[0], 0);
    await server.listenOn('127.0.0.2', port);
    await server.listenOn('127.0.0.3', port);
    assert.equal((await knock(`ws://127.0.0.2:${port}/`, withKey))[0], 101);
    assert.equal((await knock(`ws://127.0.0.2:${port}/`))[0], 401);
    assert.equal((await knock(`ws://127.0.0.3:${port}/`, withKey))[0], 0);
    server.close();
    assert.equal((await knock(`ws://127.0.0.2:${port}/`, withKey))[0], 0);
  });

  it('tells what is no opening handshake so', async () => {
    const port = await server.listen(38_000);
    const answer = await fetch(`http://127.0.0.1:${port}/`, withKey);
    assert.equal(answer.status, 426);
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 401);
  });
});
