import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WebSocket, WebSocketServer } from 'ws';
import { Agent } from '../../src/agent/agent.ts';
import { AgentServer } from '../../src/agent/server.ts';
import { type Registration, Uplink, type UplinkStatus } from '../../src/agent/uplink.ts';
import { acceptFor } from '../../src/http/handshake.ts';
import type { NodeDetails } from '../../src/protocol/registry.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { FakeHost } from './fake-host.ts';

type Json = Record<string, unknown> & { id?: string; method?: string; params?: Record<string, unknown> };

/** A daemon as far as an uplink sees it. */
class FakeDaemon {
  readonly requests: Json[] = [];
  readonly tickets: string[] = [];
  /** What came with each opening handshake. */
  readonly heads: http.IncomingMessage[] = [];
  registry: WebSocket | null = null;
  /** What it answers to `register`. */
  result: object = { status: 'registered' };
  /** A token that it wants in the query, as older ones do. */
  queryToken: string | null = null;
  /** What it sends before anything else. */
  init = '{"event":"init","nodes":[],"protocol_version":"1"}';
  isOlder = false;
  readonly back: net.Socket[] = [];
  readonly #http = http.createServer();
  readonly #sockets = new Set<net.Socket>();

  async start(): Promise<this> {
    const registry = new WebSocketServer({ noServer: true, handleProtocols: () => (this.isOlder ? false : 'hypi.v1') });
    this.#http.on('connection', (socket: net.Socket) => this.#sockets.add(socket));
    this.#http.on('upgrade', (request, socket, head) => {
      this.heads.push(request);
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://h');
      if (this.queryToken !== null && searchParams.get('token') !== this.queryToken) {
        socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
      } else if (pathname.startsWith('/ws/back/')) {
        this.tickets.push(pathname.slice('/ws/back/'.length));
        this.#open(request, socket as net.Socket);
      } else {
        registry.handleUpgrade(request, socket, head, (client) => this.#serve(client));
      }
    });
    this.#http.listen(0, '127.0.0.1');
    await once(this.#http, 'listening');
    return this;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as net.AddressInfo).port}/ws`;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#http.close();
  }

  push(event: object): void {
    this.registry?.send(JSON.stringify(event));
  }

  async request(method: string): Promise<Json> {
    for (;;) {
      const index = this.requests.findIndex((request) => request.method === method);
      if (index !== -1) return this.requests.splice(index, 1)[0] as Json;
      await sleep(5);
    }
  }

  #serve(client: WebSocket): void {
    this.registry = client;
    client.send(this.init);
    client.on('message', (data) => {
      const request = JSON.parse(String(data)) as Json;
      this.requests.push(request);
      const result = request.method === 'register' ? this.result : request.method === 'ping' ? { nodes: 7 } : {};
      client.send(JSON.stringify({ id: request.id, result }));
    });
  }

  /** Turns the roles, in the same segment: from now on the daemon is the client. */
  #open(request: http.IncomingMessage, socket: net.Socket): void {
    const accept = acceptFor(request.headers['sec-websocket-key'] ?? '');
    const { dialKey } = (this.requests.find(({ method }) => method === 'register') ?? this.registered)?.params ?? {};
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n` +
        `GET / HTTP/1.1\r\nHost: agent\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${dialKey}\r\n\r\n`,
    );
    this.back.push(socket);
  }

  registered: Json | null = null;
}

describe('Uplink', () => {
  let daemon: FakeDaemon;
  let connections: Connections;
  let agent: Agent;
  let server: AgentServer;
  let uplink: Uplink;
  let details: NodeDetails;
  const statuses: UplinkStatus[] = [];
  const registrations: Registration[] = [];
  const faults: unknown[] = [];
  const dialKey = 'the-key_1';

  const create = (more: Partial<ConstructorParameters<typeof Uplink>[0]> = {}) => {
    uplink = new Uplink(
      {
        url: daemon.url,
        token: null,
        connections,
        environment: {},
        firstDelayMs: 50,
        maxDelayMs: 100,
        dialsBack: false,
        identity: { id: 'a1', machine: 'm', cwd: '/', port: 8080, status: 'active', dialKey },
        details: () => details,
        ages: () => ({ state_age: 3 }),
        ...more,
      },
      {
        onStatus: (status) => statuses.push(status),
        onRegistered: (registration) => registrations.push(registration),
        onDialledBack: (connection, rest) => server.serve(connection, rest),
      },
    );
    uplink.start();
  };
  const online = async () => {
    while (uplink.status.state !== 'online') await sleep(5);
  };

  beforeEach(async () => {
    statuses.length = 0;
    registrations.length = 0;
    details = { state: 'idle', questions: 0 };
    daemon = await new FakeDaemon().start();
    connections = new Connections(new Deadlines(), (error) => faults.push(error));
    const clock = { now: () => Date.now(), after: (ms: number, act: () => void) => void setTimeout(act, ms).unref() };
    agent = new Agent(new FakeHost(), clock, 'e1', { onDetails() {}, onFault: (error) => faults.push(error) });
    server = new AgentServer({ connections, agent, dialKey, token: null, onFault: (error) => faults.push(error) });
  });
  afterEach(async () => {
    uplink.stop({});
    server.close();
    agent.close(1001, 'over');
    daemon.stop();
    await connections.shutDown(100);
    assert.deepEqual(faults, []);
  });

  it('takes a large roster at the beginning, and leaves a daemon that floods it', async () => {
    daemon.init = JSON.stringify({ event: 'init', nodes: 'x'.repeat(20 * 1024 * 1024) });
    create();
    await online();
    daemon.push({ event: 'none', text: 'x'.repeat(9 * 1024 * 1024) });
    const isFlooded = ({ state, reason }: UplinkStatus) =>
      state === 'offline' && reason === 'it sends more than a registry would';
    while (!statuses.some(isFlooded)) await sleep(5);
  });

  it('registers with all it has to say, and asks how many there are', async () => {
    create();
    const { params } = await daemon.request('register');
    assert.deepEqual(params, {
      ...{ id: 'a1', machine: 'm', cwd: '/', port: 8080, status: 'active', dialKey },
      ...{ state: 'idle', questions: 0, state_age: 3 },
    });
    await online();
    while (uplink.status.agents !== 7) await sleep(5);
    assert.deepEqual(
      registrations.map(({ isOurs, dialsBack }) => [isOurs, dialsBack]),
      [[true, false]],
    );
    assert.deepEqual(statuses.map(({ state }) => state).slice(0, 2), ['registering', 'online']);
  });

  it('tells what has changed, and no more than a few times a second', async () => {
    create();
    await online();
    details = { state: 'working', questions: 0, tool: 'bash' };
    const begun = Date.now();
    for (let i = 0; i < 100; i++) {
      details = { ...details, cost: i };
      uplink.update();
      await sleep(5);
    }
    await sleep(400);
    const updates = daemon.requests.filter(({ method }) => method === 'update').map(({ params }) => params);
    assert.ok(updates.length >= 2 && updates.length <= 2 + (Date.now() - begun) / 250, `${updates.length}`);
    assert.equal(updates[0]?.state, 'working');
    assert.equal(updates.at(-1)?.cost, 99);
    assert.ok(updates.slice(1).every((update) => !('state' in (update ?? {}))));
    daemon.requests.length = 0;
    uplink.update();
    await sleep(300);
    assert.deepEqual(
      daemon.requests.filter(({ method }) => method === 'update'),
      [],
      'nothing has changed',
    );
  });

  it('comes back for ever, and says anew what it is', async () => {
    create();
    await online();
    await daemon.request('register');
    details = { state: 'failed', questions: 0 };
    for (let i = 0; i < 3; i++) {
      daemon.registry?.terminate();
      assert.equal((await daemon.request('register')).params?.state, 'failed');
      await online();
    }
    assert.ok(statuses.some(({ state, reason }) => state === 'offline' && reason === 'the connection was lost'));
  });

  it('names the session that follows before it leaves', async () => {
    create();
    await online();
    uplink.stop({ successor: 'a2' });
    assert.deepEqual((await daemon.request('update')).params, { successor: 'a2' });
    assert.deepEqual((await daemon.request('deregister')).params, { id: 'a1' });
    await sleep(200);
    assert.equal(daemon.heads.length, 1, 'and comes back no more');
  });

  it('stays in the roster if it is back in a moment', async () => {
    create();
    await online();
    uplink.stop({ returns: true });
    await sleep(100);
    assert.deepEqual(
      daemon.requests.map(({ method }) => method),
      ['register', 'ping'],
    );
  });

  it('presents the token as a bearer, and to an older daemon in the query', async () => {
    create({ token: 'a+b' });
    await online();
    const [head] = daemon.heads;
    assert.deepEqual([head?.url, head?.headers.authorization], ['/ws', 'Bearer a+b']);
    assert.equal(head?.headers['sec-websocket-protocol'], 'hypi.v1');
    uplink.stop({});
    daemon.queryToken = 'a+b';
    daemon.isOlder = true;
    create({ token: 'a+b' });
    await online();
    assert.equal(daemon.heads.at(-1)?.url, '/ws?token=a%2Bb');
    assert.equal(registrations.at(-1)?.isOurs, false);
    details = { state: 'working' };
    uplink.update();
    await sleep(400);
    assert.equal(
      daemon.requests.some(({ method }) => method === 'update'),
      false,
      'an older daemon has no word for it',
    );
  });

  it('says that the token is refused', async () => {
    daemon.queryToken = 'right';
    create({ token: 'wrong' });
    while (uplink.status.reason !== 'it refuses the token') await sleep(5);
  });

  it('says why it cannot use what it was given', async () => {
    for (const url of ['nonsense', 'ftp://h/', 'ws://']) assert.throws(() => create({ url }), TypeError, url);
    // What fits no field is found out when it is written; nothing is thrown into a timer.
    create({ token: 'line\nbreak' });
    await sleep(200);
    assert.equal(uplink.status.state, 'offline');
    assert.notEqual(uplink.status.reason, null);
  });

  describe('with a daemon that dials back', () => {
    /** Opens one connection, and says something through it. */
    const chatOver = async (socket: net.Socket): Promise<string> => {
      let received = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk]);
      });
      while (!received.includes('"type":"init_state"')) await sleep(5);
      return received.toString('latin1');
    };

    it('opens a connection for each ticket, which then is as one that was accepted', async () => {
      daemon.result = { status: 'registered', dial_back: true };
      create({ dialsBack: true });
      await online();
      daemon.registered = daemon.requests.find(({ method }) => method === 'register') ?? null;
      assert.equal(daemon.registered?.params?.dial_back, true);
      assert.equal(registrations[0]?.dialsBack, true);
      for (const ticket of ['ticket-1', 'ticket_2']) {
        daemon.push({ event: 'dial_back', ticket });
        while (!daemon.tickets.includes(ticket)) await sleep(5);
        const answer = await chatOver(daemon.back.at(-1) as net.Socket);
        assert.match(answer, /^HTTP\/1\.1 101[\s\S]*s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
      }
      assert.equal(agent.clients, 2);
      const back = daemon.heads.filter(({ url }) => url?.startsWith('/ws/back/'));
      assert.ok(
        back.every(({ headers }) => headers.authorization === undefined),
        'a ticket stands in for the token',
      );
      for (const socket of daemon.back) socket.destroy();
      while (agent.clients > 0) await sleep(5);
    });

    it('lets nobody in over it who does not present the key', async () => {
      daemon.result = { status: 'registered', dial_back: true };
      create({ dialsBack: true });
      await online();
      daemon.registered = { params: { dialKey: 'another' } };
      daemon.requests.length = 0;
      daemon.push({ event: 'dial_back', ticket: 't' });
      while (daemon.back.length === 0) await sleep(5);
      let answer = '';
      daemon.back[0]?.on('data', (chunk) => {
        answer += chunk;
      });
      while (!answer.includes('\r\n\r\n')) await sleep(5);
      assert.match(answer, /^HTTP\/1\.1 401 /);
      assert.equal(agent.clients, 0);
    });

    it('opens nothing that it did not offer, and nothing for a ticket that is none', async () => {
      create({ dialsBack: false });
      await online();
      daemon.push({ event: 'dial_back', ticket: 't' });
      uplink.stop({});
      create({ dialsBack: true });
      await online();
      for (const ticket of ['', '../x', 'a b', 'x'.repeat(129), 7, null]) daemon.push({ event: 'dial_back', ticket });
      await sleep(200);
      assert.deepEqual(daemon.tickets, []);
    });
  });
});
