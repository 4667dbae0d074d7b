import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type WebSocket, WebSocketServer } from 'ws';
import { isLoopback } from '../../src/proxy/address.ts';
import type { Target } from '../../src/proxy/destination.ts';
import { Relay, type RelayEvents, type RelayRequest } from '../../src/proxy/relay.ts';
import { Resolver } from '../../src/proxy/resolver.ts';
import { Turns } from '../../src/proxy/turns.ts';
import type { Connection } from '../../src/transport/connection.ts';
import { type ReadFrame, readFrames } from '../support/raw-frame.ts';
import {
  CLOSE,
  clientFrame,
  closePayload,
  fieldOf,
  RawAgent,
  serverFrame,
  TEXT,
  upgradeResponse,
} from '../support/raw-peer.ts';
import { eventually, Loopback, type Peer } from '../transport/loopback.ts';
import { mockLookup } from './mock-lookup.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
/** The Accept of that key (RFC 6455, section 1.3). */
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const NOTHING = Buffer.alloc(0);

const LIMITS = {
  maxHeadBytes: 4096,
  maxHeadFields: 50,
  dialTimeoutMs: 5000,
  maxDials: 100,
  maxDialsPerAddress: 100,
  maxEarlyBytes: 64 * 1024,
  pingIntervalMs: 600_000,
  closingTimeoutMs: 600_000,
};

const SURROUNDINGS = { isHere: isLoopback, isOwn: () => false, onlyWhereRegistered: false };

interface Started {
  loopback: Loopback;
  connection: Connection;
  client: Peer;
  /** What was told of the relay, in order. */
  told: string[];
}

interface Options {
  request?: Partial<RelayRequest>;
  rest?: Buffer;
  limits?: Partial<typeof LIMITS>;
  turns?: Turns;
  onOpened?: () => void;
}

async function start(t: TestContext, target: Target | string, options: Options = {}): Promise<Started> {
  const loopback = await Loopback.open(t);
  const [connection, client] = await loopback.accept();
  client.read();
  const told: string[] = [];
  const events: RelayEvents = {
    onOpened: () => {
      told.push('opened');
      options.onOpened?.();
    },
    onClosed: () => told.push('closed'),
    onRefused: (sentence) => told.push(sentence),
    onDialled: () => {},
  };
  const limits = { ...LIMITS, ...options.limits };
  const context = {
    connections: loopback.connections,
    resolver: new Resolver(loopback.deadlines),
    turns: options.turns ?? new Turns(limits),
    limits,
    surroundings: SURROUNDINGS,
  };
  const request = {
    key: KEY,
    subprotocols: [],
    extensions: null,
    fallbackSubprotocol: null,
    refusalSubprotocol: null,
    hubName: null,
    dialKey: null,
    ...options.request,
  };
  new Relay(connection, context, request, target, options.rest ?? NOTHING, events);
  return { loopback, connection, client, told };
}

/** The head and the frames behind it. */
function answerTo(client: Peer): { head: string; frames: ReadFrame[] } {
  const end = client.text.indexOf('\r\n\r\n') + 4;
  assert.notEqual(end, 3, 'a head');
  return { head: client.text.slice(0, end), frames: readFrames(client.bytes.subarray(end)) };
}

async function refused({ client, told }: Started, sentence: string): Promise<string> {
  await eventually(() => {
    const { head, frames } = answerTo(client);
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.equal(fieldOf(head, 'Sec-WebSocket-Accept'), ACCEPT);
    assert.equal(frames.length, 2);
    assert.deepEqual(JSON.parse(String(frames[0]?.payload)), { error: sentence });
    assert.equal(frames[1]?.opcode, CLOSE);
  });
  assert.deepEqual(told, [sentence]);
  return answerTo(client).head;
}

const at = (port: number, fields: Partial<Target> = {}): Target => ({
  machine: 'localhost',
  port,
  registrant: { address: '127.0.0.1', isHere: true, namesHere: true },
  hasDouble: false,
  wayBack: null,
  ...fields,
});

/** One whose name is not this machine's. */
const unnamed = (port: number, machine: string, address = '127.0.0.1'): Target =>
  at(port, { machine, registrant: { address, isHere: true, namesHere: false } });

/** An agent on `ws`, as agents are. */
async function serve(
  t: TestContext,
  options: ConstructorParameters<typeof WebSocketServer>[0],
  onConnection: (socket: WebSocket, request: IncomingMessage) => void,
): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
  server.on('connection', (socket, request) => {
    socket.on('error', () => {});
    onConnection(socket, request);
  });
  await new Promise((resolve) => server.once('listening', resolve));
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('the client gets its 101 with what the agent chose, then the agent’s messages', async (t) => {
  const port = await serve(
    t,
    { handleProtocols: (offered) => [...offered].at(-1) ?? false, perMessageDeflate: true },
    (socket, { headers }) => {
      assert.equal(headers.authorization, 'Bearer ZGlhbA');
      socket.send('short');
    },
  );
  const extensions = 'permessage-deflate; client_max_window_bits';
  const started = await start(t, at(port), {
    request: { subprotocols: ['hypi.v1', 'mine'], extensions, fallbackSubprotocol: 'hypi.v1', dialKey: 'ZGlhbA' },
  });
  await eventually(() => {
    const { head, frames } = answerTo(started.client);
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.equal(fieldOf(head, 'Sec-WebSocket-Accept'), ACCEPT);
    assert.equal(fieldOf(head, 'Sec-WebSocket-Protocol'), 'mine');
    assert.equal(fieldOf(head, 'Sec-WebSocket-Extensions'), 'permessage-deflate');
    assert.equal(frames[0]?.rsv, 4, 'compressed, as the two agreed');
  });
  assert.deepEqual(started.told, ['opened']);
  started.client.socket.destroy();
  await eventually(() => assert.deepEqual(started.told, ['opened', 'closed']));
  await started.loopback.connections.empty();
  assert.deepEqual(started.loopback.faults, []);
});

test('if the agent chose no subprotocol, the client gets the fallback', async (t) => {
  const port = await serve(t, { handleProtocols: () => false }, () => {});
  const request = { subprotocols: ['hypi.v1'], fallbackSubprotocol: 'hypi.v1' };
  const { client } = await start(t, at(port), { request });
  await eventually(() => assert.equal(fieldOf(answerTo(client).head, 'Sec-WebSocket-Protocol'), 'hypi.v1'));
});

test('nothing is lost of what the client sends before its 101, however much, nor of what comes behind the agent’s', async (t) => {
  let open = () => {};
  const opening = new Promise<void>((resolve) => {
    open = resolve;
  });
  const agent = await RawAgent.serve(async (peer) => {
    const head = await peer.head();
    await opening;
    peer.socket.write(Buffer.concat([Buffer.from(upgradeResponse(head)), serverFrame(TEXT, 'welcome')]));
    const frames = [await peer.frame(), await peer.frame(), await peer.frame()];
    peer.socket.write(serverFrame(TEXT, frames.map(({ payload }) => payload.length).join()));
  });
  t.after(() => agent.stop());
  const { client, connection } = await start(t, at(agent.port), { rest: clientFrame(TEXT, 'with the request') });
  await client.send(clientFrame(TEXT, 'soon after'));
  const sent = client.send(clientFrame(2, randomBytes(8 * 1024 * 1024)));
  await eventually(() => assert.equal(connection.paused, true));
  assert.equal(client.receivedBytes, 0, 'no 101 before the agent’s');
  open();
  await sent;
  await eventually(() => {
    const [welcome, lengths] = answerTo(client).frames;
    assert.equal(String(welcome?.payload), 'welcome');
    assert.equal(String(lengths?.payload), `16,10,${8 * 1024 * 1024}`);
  });
});

test('early words up to the bound leave the client being read; a byte more does not', async (t) => {
  const agent = await RawAgent.serve(() => {});
  t.after(() => agent.stop());
  for (const [bytes, paused] of [
    [100, false],
    [101, true],
  ] as const) {
    const { connection, client } = await start(t, at(agent.port), {
      limits: { maxEarlyBytes: 100 },
      rest: Buffer.alloc(60),
    });
    const read = t.mock.method(connection.handler, 'onData');
    await client.send(Buffer.alloc(bytes - 60));
    await eventually(() => assert.equal(read.mock.callCount(), 1));
    assert.equal(connection.paused, paused);
  }
});

test('a sentence instead of a target is what the client is told', async (t) => {
  const request = { subprotocols: ['hypi.v1'], refusalSubprotocol: 'hypi.v1', extensions: 'permessage-deflate' };
  const head = await refused(await start(t, 'Agent not found', { request }), 'Agent not found');
  assert.equal(fieldOf(head, 'Sec-WebSocket-Protocol'), 'hypi.v1');
  assert.equal(fieldOf(head, 'Sec-WebSocket-Extensions'), null);
});

test('an agent that is not there', async (t) => {
  const agent = await RawAgent.serve(() => {});
  await agent.stop();
  const started = await start(t, at(agent.port));
  await refused(started, 'Cannot reach agent: connection refused');
  await started.client.send(clientFrame(CLOSE, closePayload(1000)));
  await started.client.ended();
});

test('an agent that is none, the client’s early words read and dropped', async (t) => {
  const agent = await RawAgent.serve(async (peer) => {
    await peer.head();
    peer.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });
  t.after(() => agent.stop());
  const started = await start(t, at(agent.port), { rest: clientFrame(TEXT, 'hello?') });
  await refused(started, 'Agent handshake failed: status 200');
});

test('an agent that says nothing: in time', async (t) => {
  const agent = await RawAgent.serve(() => {});
  t.after(() => agent.stop());
  const started = await start(t, at(agent.port), { limits: { dialTimeoutMs: 600 } });
  // Three addresses at most, each with its share.
  await refused(started, 'Agent handshake failed: timed out');
});

test('a name that does not resolve, from behind a tunnel', async (t) => {
  mockLookup(t, () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })));
  const started = await start(t, unnamed(9, 'nowhere.invalid'));
  await refused(started, 'Cannot resolve agent: its machine name is unknown here');
});

test('a silent name server leaves time for the address that the agent came from', async (t) => {
  const address = Object.values(os.networkInterfaces())
    .flatMap((infos = []) => infos)
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  if (address === undefined) return t.skip('this machine has no address but loopback');
  mockLookup(t, () => new Promise(() => {}));
  const agent = await RawAgent.serve(async (peer) => {
    peer.socket.write(upgradeResponse(await peer.head()));
  }, address);
  t.after(() => agent.stop());
  const { told } = await start(t, unnamed(agent.port, 'slow.example', address), { limits: { dialTimeoutMs: 1000 } });
  await eventually(() => assert.deepEqual(told, ['opened']));
});

test('a client that leaves while the name is looked up, or while it waits for its turn, leaves nothing behind', async (t) => {
  mockLookup(t, () => new Promise(() => {}));
  const full = new Turns({ maxDials: 0, maxDialsPerAddress: 0 });
  for (const target of [unnamed(9, 'slow.example'), at(9)]) {
    const { loopback, client, told } = await start(t, target, { turns: full });
    await delay(20);
    client.socket.resetAndDestroy();
    await loopback.connections.empty();
    assert.deepEqual(told, []);
    assert.equal(loopback.deadlines.size, 0);
  }
});

test('a client that waits for its turn in vain gets a sentence in time', async (t) => {
  const turns = new Turns({ maxDials: 0, maxDialsPerAddress: 0 });
  const started = await start(t, at(9), { turns, limits: { dialTimeoutMs: 100 } });
  await refused(started, 'Cannot reach agent: too many are being dialled');
});

test('a dial in progress holds its turn until it has come to its end, whichever that is', async (t) => {
  const turns = new Turns({ maxDials: 1, maxDialsPerAddress: 1 });
  const port = await serve(t, {}, () => {});
  const silent = await RawAgent.serve(() => {});
  t.after(() => silent.stop());
  const first = await start(t, at(silent.port), { turns });
  await eventually(() => assert.equal(silent.peers.length, 1));
  const second = await start(t, at(port), { turns });
  const third = await start(t, at(1), { turns });
  await delay(50);
  assert.equal(second.client.receivedBytes, 0, 'it waits');
  first.client.socket.destroy();
  await eventually(() => assert.match(answerTo(second.client).head, /^HTTP\/1\.1 101 /));
  await refused(third, 'Cannot reach agent: connection refused');
  assert.equal(turns.dialling, 0);
});

test('looking up and dialling share one time limit', async (t) => {
  mockLookup(t, () => new Promise(() => {}));
  const started = await start(t, unnamed(9, 'slow.example'), { limits: { dialTimeoutMs: 60 } });
  await refused(started, 'Cannot resolve agent: timed out');
});

test('a fault of our own: the client is told as little as it needs, the daemon the rest', async (t) => {
  const agent = await RawAgent.serve(() => {});
  t.after(() => agent.stop());
  // No head can carry that.
  const started = await start(t, at(agent.port), { request: { subprotocols: ['no token'] } });
  await refused(started, 'Cannot reach agent');
  assert.equal(started.loopback.faults.length, 1);
});

test('a fault in a listener of the relay ends it, and nothing else', async (t) => {
  const port = await serve(t, {}, () => {});
  const fault = new Error('a listener’s');
  const { loopback, client, told } = await start(t, at(port), {
    onOpened: () => {
      throw fault;
    },
  });
  await client.ended();
  const [close, ...others] = answerTo(client).frames;
  assert.equal(close?.payload.readUInt16BE(), 1011);
  assert.deepEqual(others, [], 'one 101, no second');
  client.socket.end();
  await loopback.connections.empty();
  assert.deepEqual(loopback.faults, [fault]);
  assert.deepEqual(told, ['opened', 'closed']);
});

for (const [how, leave] of [
  ['ends its side', (client: Peer) => client.socket.end()],
  ['resets', (client: Peer) => client.socket.resetAndDestroy()],
] as const) {
  test(`a client that ${how} while the agent is dialled ends the dial`, async (t) => {
    let dialled = false;
    const agent = await RawAgent.serve(async (peer) => {
      await peer.head();
      dialled = true;
    });
    t.after(() => agent.stop());
    const { loopback, client, told } = await start(t, at(agent.port));
    await eventually(() => assert.equal(dialled, true));
    leave(client);
    await loopback.connections.empty();
    await delay(5);
    assert.deepEqual(told, []);
    assert.equal(loopback.deadlines.size, 0);
    assert.deepEqual(loopback.faults, []);
  });
}

test('the daemon going while the agent is dialled', async (t) => {
  let dialled = false;
  const agent = await RawAgent.serve(async (peer) => {
    await peer.head();
    dialled = true;
  });
  t.after(() => agent.stop());
  const { loopback, client, told } = await start(t, at(agent.port));
  await eventually(() => assert.equal(dialled, true));
  await loopback.connections.shutDown(60_000);
  await client.ended();
  assert.equal(client.receivedBytes, 0);
  assert.deepEqual(told, []);
  assert.deepEqual(loopback.faults, []);
});
