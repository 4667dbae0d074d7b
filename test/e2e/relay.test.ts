/** The relay between real clients and real agents: whatever they say, and however they leave. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createHypivisor } from 'hypivisor';
import type { WebSocket } from 'ws';
import { Agent, type AgentOptions } from '../support/agent.ts';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually, footprint, inLanes } from '../support/measure.ts';
import { MASKING_KEY, rawFrame } from '../support/raw-frame.ts';
import {
  BINARY,
  CLOSE,
  clientFrame,
  closePayload,
  fieldOf,
  PING,
  RawAgent,
  RawPeer,
  serverFrame,
  TEXT,
  upgradeRequest,
  upgradeResponse,
} from '../support/raw-peer.ts';

const MEBIBYTE = 1024 * 1024;

/** What never comes fails its test, on a busy machine too. */
const PATIENCE = { timeout: 40_000 };

let daemon: Daemon;
before(async () => {
  daemon = await Daemon.start();
});
after(() => daemon.stop());

async function serve(t: TestContext, id: string, options: AgentOptions = {}, fields: Json = {}): Promise<Agent> {
  const agent = await Agent.serve(options);
  t.after(() => agent.stop());
  await agent.register(daemon.registryUrl, id, fields);
  return agent;
}

/** Registers whatever listens on a port. */
async function register(t: TestContext, id: string, port: number, fields: Json = {}): Promise<Client> {
  const uplink = await Client.open(daemon.registryUrl);
  t.after(() => uplink.terminate());
  const params = { id, machine: '127.0.0.1', cwd: '/', port, status: 'active', ...fields };
  assert.deepEqual((await uplink.call('register', params)).result, { status: 'registered' });
  return uplink;
}

async function serveRaw(t: TestContext, id: string, onPeer: (peer: RawPeer) => unknown): Promise<RawAgent> {
  const agent = await RawAgent.serve(onPeer);
  t.after(() => agent.stop());
  await register(t, id, agent.port);
  return agent;
}

async function open(t: TestContext, id: string, protocols: string[] = [], options = {}): Promise<Client> {
  const client = await Client.open(daemon.relayUrl(id), protocols, options);
  t.after(() => client.terminate());
  return client;
}

/** What a client is told where there is no relay. */
async function refusalOf(id: string): Promise<string> {
  const client = await Client.open(daemon.relayUrl(id), ['hypi.v1', 'hypi.delta.v1']);
  assert.equal(client.socket.protocol, 'hypi.v1');
  assert.equal(client.socket.extensions, '');
  const { error, ...others } = await client.nextJson();
  assert.deepEqual(others, {});
  assert.deepEqual(await client.closed, { code: 1000, reason: '' });
  return error;
}

describe('large transfers', PATIENCE, () => {
  const TOTAL = 64 * MEBIBYTE;

  /** Sends, and waits for the socket to take each message. */
  async function pour(socket: WebSocket, messages: number, bytes: number, hash: Hash, sent = { bytes: 0 }) {
    const payload = randomBytes(bytes);
    for (let i = 0; i < messages; i++) {
      payload.writeUInt32BE(i);
      const message = Buffer.from(payload);
      hash.update(message);
      await new Promise<void>((resolve, reject) =>
        socket.send(message, (error) => (error ? reject(error) : resolve())),
      );
      sent.bytes += bytes;
    }
  }

  /** Resolves to the SHA-256 of what came, once that many bytes have come. */
  function drink(socket: WebSocket, total: number): Promise<string> {
    const hash = createHash('sha256');
    let bytes = 0;
    return new Promise((resolve, reject) => {
      socket.once('close', () => reject(new Error(`closed after ${bytes} bytes`)));
      socket.on('message', (payload: Buffer) => {
        hash.update(payload);
        bytes += payload.length;
        if (bytes >= total) resolve(hash.digest('hex'));
      });
    });
  }

  for (const [how, messages] of [
    ['in one message', 1],
    ['in 2,048 messages', 2048],
  ] as const) {
    test(`64 MiB each way at once, ${how}`, async (t) => {
      const id = `large-${messages}`;
      let answered: Promise<void> = Promise.resolve();
      let received = Promise.resolve('');
      const down = createHash('sha256');
      await serve(t, id, {
        onConnection(socket) {
          received = drink(socket, TOTAL);
          answered = once(socket, 'message').then(() => pour(socket, messages, TOTAL / messages, down));
        },
      });
      const client = await open(t, id);
      const came = drink(client.socket, TOTAL);
      const up = createHash('sha256');
      await pour(client.socket, messages, TOTAL / messages, up);
      await answered;
      assert.equal(await received, up.digest('hex'));
      assert.equal(await came, down.digest('hex'));
    });
  }

  test('a flood to a sleeping peer is stopped: memory stays flat, and every byte arrives', async (t) => {
    const SLEEP_MS = 3000;
    const accepted: WebSocket[] = [];
    await serve(t, 'pouring', { onConnection: (socket) => accepted.push(socket) });
    const [first, second] = [await open(t, 'pouring'), await open(t, 'pouring')];
    await eventually(() => assert.equal(accepted.length, 2));
    // One agent pours to a dashboard that sleeps; one dashboard pours to an agent that sleeps.
    const [pouringAgent, sleepingAgent] = accepted as [WebSocket, WebSocket];
    const cases = [
      { from: pouringAgent, to: first.socket },
      { from: second.socket, to: sleepingAgent },
    ].map(({ from, to }) => {
      to.pause();
      const hash = createHash('sha256');
      const sent = { bytes: 0 };
      return { to, hash, sent, came: drink(to, TOTAL), poured: pour(from, 256, TOTAL / 256, hash, sent) };
    });
    const before = await footprint(daemon.pid);
    const wakeAt = performance.now() + SLEEP_MS;
    let mostBytes = 0;
    while (performance.now() < wakeAt) {
      mostBytes = Math.max(mostBytes, (await footprint(daemon.pid)).residentBytes);
      await delay(100);
    }
    for (const { sent } of cases) assert.ok(sent.bytes < TOTAL, 'the source was stopped');
    const grownBytes = mostBytes - before.residentBytes;
    assert.ok(grownBytes < 32 * MEBIBYTE, `grown by ${grownBytes} bytes`);
    for (const { to } of cases) to.resume();
    for (const { hash, came, poured } of cases) {
      await poured;
      assert.equal(await came, hash.digest('hex'));
    }
  });

  test('fifty relays at once, each with words of its own', async (t) => {
    await serve(t, 'many');
    await inLanes(50, 50, async (round) => {
      const client = await open(t, 'many');
      for (let i = 0; i < 20; i++) client.socket.send(`${round}-${i}-`.padEnd(1 + ((round * 997) % 5000), 'x'));
      for (let i = 0; i < 20; i++) {
        assert.ok(
          (await client.next()).payload.toString().startsWith(`${round}-${i}-`.slice(0, 1 + ((round * 997) % 5000))),
        );
      }
      await client.close();
    });
  });

  test('messages of a client before its 101 are kept, also if they exceed one chunk', async (t) => {
    const payload = randomBytes(MEBIBYTE);
    const agent = await serveRaw(t, 'slow-to-answer', async (peer) => {
      const head = await peer.head();
      await delay(200);
      peer.socket.write(upgradeResponse(head));
      const { opcode, payload: received } = await peer.frame();
      peer.socket.write(serverFrame(TEXT, `${opcode} ${payload.equals(received)}`));
    });
    const peer = await RawPeer.connect(daemon.port);
    t.after(() => peer.socket.destroy());
    peer.socket.write(upgradeRequest('/ws/agent/slow-to-answer'));
    peer.socket.write(clientFrame(BINARY, payload));
    await peer.head();
    assert.equal((await peer.frame()).payload.toString(), `${BINARY} true`);
    assert.equal(agent.peers.length, 1);
  });
});

describe('how a relay ends', PATIENCE, () => {
  const CLOSES: [code: number, reason: string][] = [
    [1000, ''],
    [1000, 'done'],
    [1001, 'the tab was closed'],
    [3000, 'Grüße 🔑'],
    [4999, 'x'.repeat(123)],
  ];

  test('close codes and reasons pass, from the client and from the agent; so does a close without a code', async (t) => {
    const closedByClient: Promise<[number, Buffer]>[] = [];
    let closeWith: [number, string] | null = null;
    await serve(t, 'closing', {
      onConnection(socket) {
        closedByClient.push(once(socket, 'close') as Promise<[number, Buffer]>);
        if (closeWith !== null) socket.close(...closeWith);
      },
    });
    for (const [code, reason] of CLOSES) {
      const client = await open(t, 'closing');
      client.socket.close(code, reason);
      assert.deepEqual(await client.closed, { code, reason });
      const [seenCode, seenReason] = (await closedByClient.at(-1)) as [number, Buffer];
      assert.deepEqual([seenCode, String(seenReason)], [code, reason]);
    }
    const client = await open(t, 'closing');
    client.socket.close();
    assert.equal((await client.closed).code, 1005);
    for (const [code, reason] of CLOSES) {
      closeWith = [code, reason];
      assert.deepEqual(await (await open(t, 'closing')).closed, { code, reason });
    }
  });

  test('pings and pongs pass', async (t) => {
    const pinged: Buffer[] = [];
    await serve(t, 'pinged', { onConnection: (socket) => socket.on('ping', (payload) => pinged.push(payload)) });
    const client = await open(t, 'pinged');
    client.socket.ping('are you there?');
    const [payload] = await once(client.socket, 'pong');
    assert.equal(String(payload), 'are you there?');
    assert.deepEqual(pinged.map(String), ['are you there?']);
  });

  /** An agent in a process of its own; told `half` it sends half a frame. */
  async function spawnAgent(t: TestContext) {
    const script = `
      import { WebSocketServer } from 'ws';
      const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
      server.on('listening', () => console.log(server.address().port));
      server.on('connection', (socket) => socket.on('message', (message) => {
        if (String(message) === 'half') socket._socket.write(Buffer.from([0x81, 100, 0x61]));
        else socket.send(message);
      }));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('../../', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    const [port] = await once(child.stdout, 'data');
    return { child, port: Number(port) };
  }

  /** How many bytes have come, of whole frames or not. */
  function bytesRead({ socket }: Client): number {
    return (socket as unknown as { _socket: Socket })._socket.bytesRead;
  }

  test('an agent killed between frames: 1014. Killed inside one: 1006, for no close can be put in', async (t) => {
    for (const [word, code] of [
      ['whole', 1014],
      ['half', 1006],
    ] as const) {
      const { child, port } = await spawnAgent(t);
      await register(t, `killed-${word}`, port);
      const client = await open(t, `killed-${word}`);
      const bystander = await open(t, `killed-${word}`);
      client.socket.send('hello');
      await client.next();
      const heardBytes = bytesRead(client);
      client.socket.send(word);
      if (word === 'whole') await client.next();
      else await eventually(() => assert.notEqual(bytesRead(client), heardBytes));
      child.kill('SIGKILL');
      assert.equal((await client.closed).code, code);
      assert.equal((await bystander.closed).code, 1014);
    }
  });

  test('a frame illegal in itself ends both legs: 1002 for its sender, 1014 or the end for the other', async (t) => {
    const agents: RawPeer[] = [];
    await serveRaw(t, 'illegal', async (peer) => {
      peer.socket.write(upgradeResponse(await peer.head()));
      agents.push(peer);
    });
    const fromClient: Buffer[] = [
      rawFrame({ opcode: TEXT, payload: 'not masked' }),
      rawFrame({ opcode: 3, maskingKey: MASKING_KEY }),
      rawFrame({ opcode: PING, fin: false, maskingKey: MASKING_KEY }),
      rawFrame({ opcode: PING, payload: Buffer.alloc(126), maskingKey: MASKING_KEY }),
      rawFrame({ opcode: TEXT, payload: 'not minimal', lengthForm: 16, maskingKey: MASKING_KEY }),
    ];
    for (const bytes of fromClient) {
      const client = await RawPeer.upgrade(daemon.port, '/ws/agent/illegal');
      await eventually(() => assert.equal(agents.length, 1));
      const agent = agents.pop() as RawPeer;
      client.socket.write(Buffer.concat([clientFrame(TEXT, 'legal'), bytes]));
      assert.equal((await client.frame()).payload.readUInt16BE(0), 1002);
      assert.equal((await agent.frame()).payload.toString(), 'legal');
      await agent.rest();
      await client.rest();
    }
    const client = await RawPeer.upgrade(daemon.port, '/ws/agent/illegal');
    await eventually(() => assert.equal(agents.length, 1));
    const agent = agents.pop() as RawPeer;
    agent.socket.write(Buffer.concat([serverFrame(TEXT, 'legal'), clientFrame(TEXT, 'masked')]));
    assert.equal((await client.frame()).payload.toString(), 'legal');
    assert.equal((await client.frame()).payload.readUInt16BE(0), 1014);
    assert.equal((await agent.frame()).payload.readUInt16BE(0), 1002);
  });

  test('an idle relay is pinged on both legs; a half-open agent is found, and its client told 1014', async (t) => {
    const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', limits: { pingIntervalMs: 250 } });
    t.after(() => hypivisor.close());
    const { port } = await hypivisor.listen();
    const url = `ws://127.0.0.1:${port}/ws`;
    let pings = 0;
    const living = await Agent.serve({ onConnection: (socket) => socket.on('ping', () => pings++) });
    t.after(() => living.stop());
    await living.register(url, 'living');
    const halfOpen = await RawAgent.serve(async (peer) => {
      peer.socket.write(upgradeResponse(await peer.head()));
    });
    t.after(() => halfOpen.stop());
    const uplink = await Client.open(url);
    t.after(() => uplink.terminate());
    const params = { id: 'half-open', machine: '127.0.0.1', cwd: '/', port: halfOpen.port, status: 'active' };
    await uplink.call('register', params);

    const told = await Client.open(`${url}/agent/half-open`);
    const kept = await Client.open(`${url}/agent/living`);
    let pinged = 0;
    kept.socket.on('ping', () => pinged++);
    assert.equal((await told.closed).code, 1014);
    await eventually(() => assert.ok(pings > 3 && pinged > 3, 'pinged'));
    assert.equal(kept.socket.readyState, kept.socket.OPEN);
    await kept.close();
  });
});

describe('nothing is put into a frame', PATIENCE, () => {
  const DRIP_MS = 20;
  const PAYLOAD = Buffer.from('a frame that takes its time, from its first byte to the last');

  /** A daemon in this process that pings often, and a relay through it, open at both ends. */
  async function openRelay(t: TestContext) {
    const limits = { pingIntervalMs: 250, drainTimeoutMs: 200 };
    const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1', limits });
    t.after(() => hypivisor.close());
    const { port } = await hypivisor.listen();
    const dialled: RawPeer[] = [];
    const raw = await RawAgent.serve(async (peer) => {
      peer.socket.write(upgradeResponse(await peer.head()));
      dialled.push(peer);
    });
    t.after(() => raw.stop());
    const uplink = await Client.open(`ws://127.0.0.1:${port}/ws`);
    t.after(() => uplink.terminate());
    const params = { id: 'slow', machine: '127.0.0.1', cwd: '/', port: raw.port, status: 'active' };
    await uplink.call('register', params);
    const client = await RawPeer.upgrade(port, '/ws/agent/slow');
    t.after(() => client.socket.destroy());
    await eventually(() => assert.equal(dialled.length, 1));
    return { hypivisor, client, agent: dialled[0] as RawPeer };
  }

  async function drip(peer: RawPeer, bytes: Buffer): Promise<void> {
    for (const byte of bytes) {
      peer.socket.write(Buffer.from([byte]));
      await delay(DRIP_MS);
    }
  }

  test('no ping, and a peer that cannot be pinged owes no answer: a slow frame arrives whole', async (t) => {
    for (const direction of ['from the agent', 'from the client']) {
      const { client, agent } = await openRelay(t);
      const [from, to, frame] =
        direction === 'from the agent'
          ? [agent, client, serverFrame(BINARY, PAYLOAD)]
          : [client, agent, clientFrame(BINARY, PAYLOAD)];
      // Longer than it takes to be found dead.
      await drip(from, frame);
      const { opcode, payload } = await to.frame();
      assert.deepEqual([opcode, payload.toString()], [BINARY, PAYLOAD.toString()], direction);
      assert.equal((await to.frame()).opcode, PING, direction);
    }
  });

  test('no close: if the agent dies inside a frame, or the daemon ends, the client gets the received bytes and the end', async (t) => {
    const part = serverFrame(BINARY, PAYLOAD).subarray(0, 20);
    for (const how of ['the agent dies', 'the daemon goes']) {
      const { hypivisor, client, agent } = await openRelay(t);
      agent.socket.write(part);
      await delay(50);
      if (how === 'the agent dies') agent.socket.destroy();
      else await hypivisor.close();
      assert.deepEqual(await client.rest(), part, how);
    }
  });
});

describe('vanishing at every stage', PATIENCE, () => {
  /** It ends its side and reads on, is suddenly not there, or resets the connection. */
  const WAYS: [how: string, leave: (peer: RawPeer) => void][] = [
    ['FIN', (peer) => peer.socket.resume().end()],
    ['gone', (peer) => peer.socket.destroy()],
    ['RST', (peer) => peer.socket.resetAndDestroy()],
  ];
  const TIMES = 4;

  /** Nothing stays, and the daemon serves as before. */
  async function assertUnharmed(t: TestContext, before: number): Promise<void> {
    await eventually(async () => {
      const { descriptors } = await footprint(daemon.pid);
      assert.ok(descriptors <= before, `${descriptors} descriptors, were ${before}`);
    });
    await serve(t, 'afterwards');
    const client = await open(t, 'afterwards');
    client.socket.send('still there?');
    assert.equal((await client.next()).payload.toString(), 'still there?');
  }

  test('the client', async (t) => {
    const silent = await serveRaw(t, 'silent', (peer) => peer.head());
    let speaking: RawPeer[] = [];
    await serveRaw(t, 'speaking', async (peer) => {
      peer.socket.write(upgradeResponse(await peer.head()));
      speaking.push(peer);
    });
    const pouring = await serveRaw(t, 'pouring-out', async (peer) => {
      peer.socket.write(upgradeResponse(await peer.head()));
      peer.socket.write(serverFrame(BINARY, Buffer.alloc(24 * MEBIBYTE)));
    });
    const saying = await serveRaw(t, 'says-goodbye', async (peer) => {
      peer.socket.write(upgradeResponse(await peer.head()));
      peer.socket.write(serverFrame(CLOSE, closePayload(1000)));
    });
    const stages: [what: string, reach: () => Promise<RawPeer>][] = [
      ['before its head', () => RawPeer.connect(daemon.port)],
      [
        'inside its head',
        async () => {
          const peer = await RawPeer.connect(daemon.port);
          peer.socket.write(upgradeRequest('/ws/agent/speaking').slice(0, 50));
          return peer;
        },
      ],
      [
        'with its head just sent',
        async () => {
          const peer = await RawPeer.connect(daemon.port);
          peer.socket.write(upgradeRequest('/ws/agent/speaking'));
          return peer;
        },
      ],
      [
        'while the agent is dialled',
        async () => {
          const dialled = silent.peers.length;
          const peer = await RawPeer.connect(daemon.port);
          peer.socket.write(upgradeRequest('/ws/agent/silent'));
          await eventually(() => assert.ok(silent.peers.length > dialled, 'dialled'));
          return peer;
        },
      ],
      ['after its 101', () => RawPeer.upgrade(daemon.port, '/ws/agent/speaking')],
      [
        'inside a frame',
        async () => {
          const peer = await RawPeer.upgrade(daemon.port, '/ws/agent/speaking');
          peer.socket.write(clientFrame(BINARY, Buffer.alloc(70_000)).subarray(0, 66_000));
          return peer;
        },
      ],
      [
        'while the agent pours',
        async () => {
          const peer = await RawPeer.upgrade(daemon.port, '/ws/agent/pouring-out');
          peer.socket.pause();
          await delay(50);
          return peer;
        },
      ],
      [
        'with its close just sent',
        async () => {
          const peer = await RawPeer.upgrade(daemon.port, '/ws/agent/speaking');
          peer.socket.write(clientFrame(CLOSE, closePayload(1000)));
          return peer;
        },
      ],
      [
        'instead of answering a close',
        async () => {
          const peer = await RawPeer.upgrade(daemon.port, '/ws/agent/says-goodbye');
          await peer.frame();
          return peer;
        },
      ],
    ];
    const before = (await footprint(daemon.pid)).descriptors;
    for (const [what, reach] of stages) {
      for (const [how, leave] of WAYS) {
        await inLanes(TIMES, TIMES, async () => leave(await reach()));
        // The agent sees the end of it; then it ends too, as a WebSocket server does.
        for (const peer of [...silent.peers, ...speaking, ...pouring.peers, ...saying.peers]) {
          const noticed = peer.rest();
          await noticed.catch(() => assert.fail(`the agent was not told: ${what}, ${how}`));
          peer.socket.destroy();
        }
        speaking = [];
        for (const agent of [silent, pouring, saying]) agent.peers.length = 0;
      }
    }
    await assertUnharmed(t, before);
  });

  test('the agent', async (t) => {
    const HANDSHAKE = /^(Agent handshake failed|Cannot reach agent): /;
    const upgrade = async (peer: RawPeer) => peer.socket.write(upgradeResponse(await peer.head()));
    /** What the agent does before it leaves; and what its client is told: an error, or a close code. */
    const stages: [what: string, reach: (peer: RawPeer) => Promise<unknown>, told: RegExp | number[]][] = [
      ['as soon as it is connected', async () => {}, HANDSHAKE],
      ['with the request read', (peer) => peer.head(), HANDSHAKE],
      [
        'inside its 101',
        async (peer) => peer.socket.write(upgradeResponse(await peer.head()).slice(0, 60)),
        /^Agent handshake failed: /,
      ],
      [
        'after its 101',
        async (peer) => {
          await upgrade(peer);
          await peer.frame();
        },
        [1014],
      ],
      [
        'inside a frame',
        async (peer) => {
          await upgrade(peer);
          await peer.frame();
          peer.socket.write(serverFrame(BINARY, Buffer.alloc(70_000)).subarray(0, 66_000));
          // A reset may overtake what was sent before it.
          await delay(500);
        },
        [1006],
      ],
      [
        'with its close just sent',
        async (peer) => {
          await upgrade(peer);
          await peer.frame();
          peer.socket.write(serverFrame(CLOSE, closePayload(4000)));
          await delay(500);
        },
        [4000],
      ],
      [
        'instead of answering a close',
        async (peer) => {
          await upgrade(peer);
          await peer.frame();
          await peer.frame();
        },
        [1014],
      ],
    ];
    const before = (await footprint(daemon.pid)).descriptors;
    for (const [i, [what, reach, told]] of stages.entries()) {
      for (const [j, [how, leave]] of WAYS.entries()) {
        const agent = await RawAgent.serve((peer) => reach(peer).then(() => leave(peer)));
        t.after(() => agent.stop());
        const uplink = await register(t, `vanishing-${i}-${j}`, agent.port);
        await inLanes(TIMES, TIMES, async () => {
          const client = await Client.open(daemon.relayUrl(`vanishing-${i}-${j}`));
          client.socket.send('hello');
          if (what === 'instead of answering a close') client.socket.close(1000);
          if (told instanceof RegExp) {
            assert.match((await client.nextJson()).error, told, `${what}, ${how}`);
            assert.equal((await client.closed).code, 1000);
          } else {
            const { code } = await client.closed;
            assert.ok(told.includes(code), `${what}, ${how}: ${code}`);
          }
        });
        await agent.stop();
        await uplink.close();
      }
    }
    await assertUnharmed(t, before);
  });
});

describe('the subprotocol and extensions of a relay', PATIENCE, () => {
  /** An agent that records the requests it gets. */
  async function recordRequests(t: TestContext, id: string, options: AgentOptions = {}, fields: Json = {}) {
    const requests: IncomingMessage[] = [];
    const record = (_socket: WebSocket, request: IncomingMessage) => requests.push(request);
    await serve(t, id, { ...options, onConnection: record }, fields);
    return requests;
  }

  test('a subprotocol: the agent chooses from the offer', async (t) => {
    const requests = await recordRequests(t, 'chooses', {
      server: { handleProtocols: (offered) => (offered.has('hypi.delta.v1') ? 'hypi.delta.v1' : false) },
    });
    assert.equal((await open(t, 'chooses', ['hypi.v1', 'hypi.delta.v1'])).socket.protocol, 'hypi.delta.v1');
    assert.equal(requests[0]?.headers['sec-websocket-protocol'], 'hypi.v1, hypi.delta.v1');
    // It chose none: the plain one, where it was offered.
    assert.equal((await open(t, 'chooses', ['hypi.v1', 'hypi.other.v1'])).socket.protocol, 'hypi.v1');
    assert.equal((await open(t, 'chooses', ['x', 'hypi.v1'])).socket.protocol, 'hypi.v1');
    await assert.rejects(open(t, 'chooses', ['x']), /Server sent no subprotocol/);
    assert.equal((await open(t, 'chooses')).socket.protocol, '');
    assert.equal(requests.at(-1)?.headers['sec-websocket-protocol'], undefined);
  });

  test('a ws server with its defaults takes the first that is offered', async (t) => {
    await recordRequests(t, 'defaults');
    assert.equal((await open(t, 'defaults', ['hypi.v1', 'hypi.delta.v1'])).socket.protocol, 'hypi.v1');
  });

  test('permessage-deflate, from end to end', async (t) => {
    await serve(t, 'deflating', { server: { perMessageDeflate: true } });
    const client = await open(t, 'deflating', [], { perMessageDeflate: true });
    assert.equal(client.socket.extensions, 'permessage-deflate');
    for (const text of ['short', 'x'.repeat(MEBIBYTE), randomBytes(100_000).toString('hex')]) {
      client.socket.send(text);
      assert.equal((await client.next()).payload.toString(), text);
    }
    assert.equal((await open(t, 'deflating', [], { perMessageDeflate: false })).socket.extensions, '');
    // Compressed by the agent, and still so behind the daemon.
    const field = 'Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover';
    const peer = await RawPeer.upgrade(daemon.port, '/ws/agent/deflating', [field]);
    t.after(() => peer.socket.destroy());
    peer.socket.write(clientFrame(TEXT, 'x'.repeat(10_000)));
    const { rsv, payload } = await peer.frame();
    assert.equal(rsv, 4);
    assert.ok(payload.length < 1000);
  });

  test('no extension if the agent chooses none, or is not reached', async (t) => {
    await serve(t, 'plain');
    for (const id of ['plain', 'nobody']) {
      assert.equal((await open(t, id, [], { perMessageDeflate: true })).socket.extensions, '');
    }
  });

  test('a token among the subprotocols reaches no agent, and is never echoed', async (t) => {
    const token = 'hypi.token.c2VjcmV0';
    const requests = await recordRequests(t, 'no-tokens');
    for (const id of ['no-tokens', 'nobody']) {
      const peer = await RawPeer.connect(daemon.port);
      peer.socket.write(upgradeRequest(`/ws/agent/${id}`, [`Sec-WebSocket-Protocol: ${token}, hypi.v1`]));
      assert.equal(fieldOf(await peer.head(), 'Sec-WebSocket-Protocol'), 'hypi.v1');
      peer.socket.destroy();
      const only = await RawPeer.connect(daemon.port);
      only.socket.write(upgradeRequest(`/ws/agent/${id}`, [`Sec-WebSocket-Protocol: ${token}`]));
      assert.equal(fieldOf(await only.head(), 'Sec-WebSocket-Protocol'), null);
      only.socket.destroy();
    }
    await eventually(() => assert.equal(requests.length, 2));
    assert.ok(requests.every(({ rawHeaders }) => !rawHeaders.join().includes('hypi.token')));
  });

  test('an agent gets the handshake and nothing else of the client', async (t) => {
    const token = 'the-token';
    const guarded = await Daemon.start({ env: { HYPI_TOKEN: token } });
    t.after(() => guarded.stop());
    const requests: IncomingMessage[] = [];
    const agent = await Agent.serve({ onConnection: (_socket, request) => requests.push(request) });
    t.after(() => agent.stop());
    await agent.register(`${guarded.registryUrl}?token=${token}`, 'discreet', { machine: 'localhost' });
    const client = await Client.open(`${guarded.relayUrl('discreet')}?token=${token}`, [], {
      origin: 'http://localhost:8080',
      headers: { Cookie: 'a=b', Authorization: `Bearer ${token}`, 'X-Forwarded-For': '192.0.2.1', 'User-Agent': 'me' },
      perMessageDeflate: false,
    });
    await client.close();
    const [request] = requests as [IncomingMessage];
    assert.equal(request.url, '/');
    assert.deepEqual(Object.keys(request.headers).sort(), [
      'connection',
      'host',
      'sec-websocket-key',
      'sec-websocket-version',
      'upgrade',
    ]);
    assert.equal(request.headers.host, `localhost:${agent.port}`);
    assert.ok(!JSON.stringify(request.rawHeaders).includes(token));
  });

  test('a dialKey is presented only to its agent, and shown to no one else', async (t) => {
    const dialKey = 'dial-key_0123456789';
    const watcher = await Client.open(daemon.registryUrl);
    t.after(() => watcher.terminate());
    const knocked = await recordRequests(t, 'knocked', {}, { dialKey });
    const others = await recordRequests(t, 'without-a-key');
    const headers = { Authorization: `Bearer somebody-else` };
    for (const id of ['knocked', 'without-a-key']) await (await open(t, id, [], { headers })).close();
    assert.equal(knocked[0]?.headers.authorization, `Bearer ${dialKey}`);
    assert.equal(others[0]?.headers.authorization, undefined);

    await watcher.call('ping');
    const late = await Client.open(daemon.registryUrl);
    t.after(() => late.terminate());
    const said = JSON.stringify([
      await late.nextJson(),
      await late.call('list_nodes'),
      await watcher.call('list_nodes'),
      daemon.stderr,
    ]);
    assert.match(said, /knocked/);
    assert.ok(!said.includes(dialKey) && !said.includes('dialKey'));
    // A later registration without one is dialled without one.
    const agent = await serve(
      t,
      'knocked-again',
      { onConnection: (_socket, request) => others.push(request) },
      { dialKey },
    );
    await agent.uplink?.call('register', agent.info('knocked-again'));
    await (await open(t, 'knocked-again')).close();
    assert.equal(others.at(-1)?.headers.authorization, undefined);
  });

  test('a push of a node with a dialKey does not show it', async (t) => {
    const watcher = await Client.open(daemon.registryUrl);
    t.after(() => watcher.terminate());
    await watcher.nextJson();
    await register(t, 'pushed', 9, { dialKey: 'secret' });
    const { node } = await watcher.until(({ event, node }) => event === 'node_joined' && node.id === 'pushed');
    assert.deepEqual(Object.keys(node).sort(), ['cwd', 'id', 'last_seen', 'machine', 'port', 'status']);
  });
});

describe('which agent, and why not', PATIENCE, () => {
  test('an id may hold any character', async (t) => {
    const ids = [
      'a/b',
      '../..',
      '/',
      'a b',
      '100%',
      '%2F',
      '%zz',
      '+',
      '?x=1&token=y',
      '#f',
      'ü-鍵-🔑',
      '"\\\'`',
      '<img src=x>',
      '__proto__',
      'constructor',
      'ws/agent/',
      '\u202e\ufeff',
      'x'.repeat(256),
    ];
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    const uplink = await agent.register(daemon.registryUrl, 'first of many');
    for (const id of ids) {
      assert.deepEqual((await uplink.call('register', agent.info(id))).result, { status: 'registered' }, id);
      const client = await open(t, id);
      client.socket.send(id);
      assert.equal((await client.next()).payload.toString(), id);
      await client.close();
    }
    // Some clients do not encode what they need not; and no URL can hold these dots, but a request can.
    for (const [id, path] of [
      ['.', '/ws/agent/.'],
      ['..', '/ws/agent/%2e%2e'],
      ['a/b', '/ws/agent/a/b'],
      ['100%', '/ws/agent/100%'],
      ['ü', '/ws/agent/ü'],
      ['ü', '/ws/agent/%c3%bc'],
    ] as const) {
      await uplink.call('register', agent.info(id));
      const peer = await RawPeer.upgrade(daemon.port, path);
      peer.socket.write(clientFrame(TEXT, id));
      assert.equal((await peer.frame()).payload.toString(), id);
      peer.socket.destroy();
    }
  });

  test('an agent that is unknown, offline, unreachable or has no address', async (t) => {
    assert.equal(await refusalOf('nobody'), 'Agent not found');

    (await serve(t, 'went-away')).uplink?.terminate();
    await eventually(async () => assert.equal(await refusalOf('went-away'), 'Agent is offline'));

    const closed = await Agent.serve();
    await closed.stop();
    await register(t, 'nobody-listens', closed.port);
    assert.match(await refusalOf('nobody-listens'), /^Cannot reach agent/);
    await register(t, 'elsewhere', closed.port, { machine: '192.0.2.1' });
    assert.match(await refusalOf('elsewhere'), /^Cannot reach agent/, 'without a token, only where it registered from');
    await register(t, 'the-daemon', daemon.port);
    assert.match(await refusalOf('the-daemon'), /^Cannot reach agent/, 'never to the daemon itself');
    await register(t, 'nameless', closed.port, { machine: 'no-such-machine.invalid' });
    assert.match(await refusalOf('nameless'), /^Cannot resolve agent/);
    for (const machine of ['not a name', 'a..b', '-', '127.0.0.1:80', '[::1', 'x'.repeat(253), '']) {
      await register(t, 'odd', closed.port, { machine });
      assert.match(await refusalOf('odd'), /^Cannot (reach|resolve) agent/, machine);
    }
  });

  test('an agent that does not answer as a WebSocket server must', async (t) => {
    const answers: [how: string, answer: (requestHead: string) => string | Buffer][] = [
      ['404', () => 'HTTP/1.1 404 x-101\r\nContent-Length: 0\r\n\r\n'],
      ['a wrong accept', (head) => upgradeResponse(head.replace('Sec-WebSocket-Key: ', 'Sec-WebSocket-Key: A'))],
      ['no accept', () => 'HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'],
      ['no upgrade', (head) => upgradeResponse(head).replace('Upgrade: websocket\r\n', '')],
      ['another upgrade', (head) => upgradeResponse(head).replace('websocket', 'h2c')],
      ['no connection', (head) => upgradeResponse(head).replace('Connection: Upgrade\r\n', '')],
      ['HTTP/1.0', (head) => upgradeResponse(head).replace('HTTP/1.1', 'HTTP/1.0')],
      ['a subprotocol not offered', (head) => upgradeResponse(head, ['Sec-WebSocket-Protocol: hypi.v9'])],
      ['an extension not offered', (head) => upgradeResponse(head, ['Sec-WebSocket-Extensions: x-made-up'])],
      ['a body', (head) => upgradeResponse(head, ['Content-Length: 5'])],
      ['a bare line feed', (head) => upgradeResponse(head).replaceAll('\r\n', '\n')],
      ['a folded field', (head) => upgradeResponse(head, ['X-Folded: a\r\n b'])],
      ['no HTTP', () => 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
      ['a head without end', () => 'x'.repeat(20_000)],
      [
        'too many fields',
        (head) =>
          upgradeResponse(
            head,
            Array.from({ length: 200 }, (_, i) => `X-${i}: y`),
          ),
      ],
      ['silence', () => ''],
      ['half an answer, then silence', (head) => upgradeResponse(head).slice(0, -2)],
    ];
    const startedAt = performance.now();
    await Promise.all(
      answers.map(async ([how, answer]) => {
        await serveRaw(t, how, async (peer) => peer.socket.write(answer(await peer.head())));
        const refusal = await refusalOf(how);
        assert.match(refusal, /^Agent handshake failed/, how);
        assert.doesNotMatch(refusal, /SSH|hypi\.v9|made-up/, 'no word of the peer');
      }),
    );
    // Five seconds are the most it may take; the rest is room for a busy machine.
    assert.ok(performance.now() - startedAt < 8000);
  });
});
