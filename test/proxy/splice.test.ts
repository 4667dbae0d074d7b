import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import type net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { splice } from '../../src/proxy/splice.ts';
import type { Connection } from '../../src/transport/connection.ts';
import { chopBy } from '../support/chop.ts';
import { MASKING_KEY, type RawFrame, rawFrame, readFrames } from '../support/raw-frame.ts';
import { BINARY, CLOSE, clientFrame, closePayload, PING, PONG, serverFrame, TEXT } from '../support/raw-peer.ts';
import { eventually, Loopback, type Peer } from '../transport/loopback.ts';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;
/** So long that no test sees it pass. */
const NEVER = 600_000;

interface Relayed {
  loopback: Loopback;
  client: Peer;
  agent: Peer;
  clientConnection: Connection;
  agentConnection: Connection;
  /** What the daemon holds of the client's, in the socket it reads from. */
  clientSocket: net.Socket;
  /** How often the relay has told that it is over. */
  ends: number;
}

interface Options {
  pingIntervalMs?: number;
  closingTimeoutMs?: number;
  clientRest?: Buffer;
  agentRest?: Buffer;
}

async function relay(t: TestContext, options: Options = {}): Promise<Relayed> {
  return relayOn(await Loopback.open(t), options);
}

async function relayOn(loopback: Loopback, options: Options): Promise<Relayed> {
  const { pingIntervalMs = NEVER, closingTimeoutMs = NEVER } = options;
  const { clientRest = Buffer.alloc(0), agentRest = Buffer.alloc(0) } = options;
  const [clientConnection, client, clientSocket] = await loopback.accept();
  const [agentConnection, agent] = await loopback.dial();
  const relayed = { loopback, client, agent, clientConnection, agentConnection, clientSocket, ends: 0 };
  agentConnection.pause();
  splice(clientConnection, clientRest, agentConnection, agentRest, { pingIntervalMs, closingTimeoutMs }, () => {
    relayed.ends++;
  });
  return relayed;
}

/** Both connections are gone, and the relay has said so, once. */
async function over(relayed: Relayed): Promise<void> {
  const { loopback, clientConnection, agentConnection } = relayed;
  await eventually(() => {
    assert.deepEqual({ client: clientConnection.gone, agent: agentConnection.gone }, { client: true, agent: true });
  });
  await delay(5);
  assert.equal(relayed.ends, 1);
  assert.equal(loopback.connections.size, 0);
  assert.equal(loopback.deadlines.size, 0);
  assert.deepEqual(loopback.faults, []);
}

/** What the peer got, as frames: `[opcode, masked, payload]`, a close as its code. */
function framesOf(peer: Peer): [opcode: number, masked: boolean, payload: string | number][] {
  return readFrames(peer.bytes).map(({ opcode, masked, payload }) => [
    opcode,
    masked,
    opcode === CLOSE ? payload.readUInt16BE(0) : payload.toString('latin1'),
  ]);
}

async function ends(peer: Peer): Promise<void> {
  await eventually(() => assert.equal(peer.events[0], 'end'));
}

function sha(bytes: Buffer | readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const chunk of Array.isArray(bytes) ? bytes : [bytes]) hash.update(chunk);
  return hash.digest('hex');
}

describe('bytes', () => {
  const payload = fc.oneof(
    { weight: 5, arbitrary: fc.nat(200) },
    { weight: 1, arbitrary: fc.constantFrom(125, 126, 65_535, 65_536, 200_000) },
  );
  const frame: fc.Arbitrary<RawFrame> = fc.oneof(
    fc.record({
      opcode: fc.constantFrom(0, TEXT, BINARY),
      fin: fc.boolean(),
      rsv: fc.constantFrom(0, 4),
      payload: payload.map((length) => randomBytes(length)),
    }),
    fc.record({ opcode: fc.constantFrom(PING, PONG), payload: fc.nat(125).map((length) => randomBytes(length)) }),
  );
  const stream = fc.record({
    frames: fc.array(frame, { minLength: 1, maxLength: 12 }),
    sizes: fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 500, max: 70_000 })), { minLength: 1 }),
  });

  const MAX_PIECES = 300;

  /** Sends in pieces that the kernel does not join; past so many of them, what is left in one. */
  async function pour(peer: Peer, bytes: Buffer, sizes: number[]): Promise<void> {
    const pieces = chopBy(bytes, sizes);
    for (const piece of pieces.slice(0, MAX_PIECES)) await peer.send(piece);
    await peer.send(Buffer.concat(pieces.slice(MAX_PIECES)));
  }

  test('any frames, in any chunks, arrive as they were, both ways at once', async (t) => {
    const loopback = await Loopback.open(t);
    await fc.assert(
      fc.asyncProperty(stream, stream, async (up, down) => {
        const relayed = await relayOn(loopback, {});
        const fromClient = Buffer.concat(up.frames.map((frame) => rawFrame({ ...frame, maskingKey: MASKING_KEY })));
        const fromAgent = Buffer.concat(down.frames.map((frame) => rawFrame(frame)));
        const { client, agent } = relayed;
        client.read();
        agent.read();
        await Promise.all([pour(client, fromClient, up.sizes), pour(agent, fromAgent, down.sizes)]);
        await eventually(() => {
          assert.equal(agent.receivedBytes, fromClient.length);
          assert.equal(client.receivedBytes, fromAgent.length);
        });
        assert.equal(sha(agent.received), sha(fromClient));
        assert.equal(sha(client.received), sha(fromAgent));
        client.socket.destroy();
        agent.socket.destroy();
        await over(relayed);
      }),
      { numRuns: 40 },
    );
  });

  test('what came behind the request and behind the 101 goes first', async (t) => {
    const { client, agent } = await relay(t, {
      clientRest: clientFrame(TEXT, 'early '),
      agentRest: serverFrame(TEXT, 'early too').subarray(0, 5),
    });
    client.read();
    agent.read();
    await client.send(clientFrame(TEXT, 'later'));
    await agent.send(serverFrame(TEXT, 'early too').subarray(5));
    await eventually(() => assert.equal(agent.receivedBytes, 2 * 6 + 'early later'.length));
    await eventually(() => assert.equal(client.receivedBytes, 2 + 'early too'.length));
    assert.deepEqual(framesOf(agent), [
      [TEXT, true, 'early '],
      [TEXT, true, 'later'],
    ]);
    assert.deepEqual(framesOf(client), [[TEXT, false, 'early too']]);
  });

  test('32 MiB each way, readers that stop and go: every byte', async (t) => {
    const { client, agent } = await relay(t);
    const up = clientFrame(BINARY, randomBytes(32 * MEBIBYTE));
    const down = Buffer.concat(Array.from({ length: 512 }, () => serverFrame(BINARY, randomBytes(64 * KIBIBYTE))));
    const sent = Promise.all([client.send(up), agent.send(down)]);
    for (let round = 0; round < 8; round++) {
      client.read();
      await delay(2);
      agent.read();
      await delay(2);
      client.socket.pause();
      await delay(2);
      agent.socket.pause();
    }
    client.read();
    agent.read();
    await sent;
    await eventually(() => {
      assert.equal(agent.receivedBytes, up.length);
      assert.equal(client.receivedBytes, down.length);
    });
    assert.equal(sha(agent.received), sha(up));
    assert.equal(sha(client.received), sha(down));
  });
});

describe('backpressure', () => {
  /** Resolves once the count has stood still for a while. */
  async function settled(count: () => number): Promise<void> {
    for (let last = -1; last !== count(); ) {
      last = count();
      await delay(60);
    }
  }

  test('client to agent: at most 128 KiB held, and all of it arrives', async (t) => {
    const { client, agent, agentConnection, clientConnection, clientSocket } = await relay(t);
    const bytes = clientFrame(BINARY, randomBytes(24 * MEBIBYTE));
    const sent = client.send(bytes);
    const held = () => agentConnection.unsentBytes + clientSocket.readableLength;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, held());
    }, 1).unref();
    await eventually(() => assert.equal(clientConnection.paused, true));
    await settled(() => client.socket.bytesWritten - client.socket.writableLength);
    assert.ok(held() > 0 && held() <= 128 * KIBIBYTE, `${held()} held`);
    assert.equal(agentConnection.paused, false, 'the other way is open');
    agent.read();
    await sent;
    await eventually(() => assert.equal(agent.receivedBytes, bytes.length));
    clearInterval(watch);
    assert.equal(sha(agent.received), sha(bytes));
    assert.ok(most <= 128 * KIBIBYTE, `${most} held at the most`);
    assert.equal(held(), 0);
  });

  test('agent to client: at most 64 KiB held, and all of it arrives', async (t) => {
    const { client, agent, agentConnection, clientConnection } = await relay(t);
    const bytes = serverFrame(BINARY, randomBytes(24 * MEBIBYTE));
    const sent = agent.send(bytes);
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, clientConnection.unsentBytes);
    }, 1).unref();
    await eventually(() => assert.equal(agentConnection.paused, true));
    await delay(60);
    const held = clientConnection.unsentBytes;
    assert.ok(held > 0 && held <= 64 * KIBIBYTE, `${held} held`);
    // The other way is open.
    agent.read();
    await client.send(clientFrame(TEXT, 'stop'));
    await eventually(() => assert.deepEqual(framesOf(agent), [[TEXT, true, 'stop']]));
    client.read();
    await sent;
    await eventually(() => assert.equal(client.receivedBytes, bytes.length));
    clearInterval(watch);
    assert.equal(sha(client.received), sha(bytes));
    assert.ok(most <= 64 * KIBIBYTE, `${most} held at the most`);
  });
});

describe('pings', { concurrency: 3 }, () => {
  const INTERVAL_MS = 400;
  /** More than the kernel's buffers hold. */
  const MUCH = Buffer.alloc(16 * MEBIBYTE);

  /** How often the peer was asked: twice, or once where this process was too busy to ask in time. */
  function assertAsked(peer: Peer): void {
    const { length } = framesOf(peer).filter(([opcode]) => opcode === PING);
    assert.ok(length === 1 || length === 2, `${length} pings`);
  }

  /** Answers each ping, and nothing else. */
  function answerPings(peer: Peer, pong: Buffer): void {
    peer.read();
    peer.socket.on('data', (chunk) => {
      if (chunk[0] === 0x89) peer.socket.write(pong);
    });
  }
  const clientPong = clientFrame(PONG);
  const agentPong = serverFrame(PONG);

  test('an idle relay asks both ends, as each must be asked, and lives while they answer', async (t) => {
    const relayed = await relay(t, { pingIntervalMs: INTERVAL_MS });
    const { client, agent } = relayed;
    answerPings(client, clientPong);
    answerPings(agent, agentPong);
    const pings = (peer: Peer) => framesOf(peer).filter(([opcode]) => opcode === PING);
    await eventually(() => {
      assert.ok(pings(client).length >= 5, 'pings to the client');
      assert.ok(pings(agent).length >= 5, 'pings to the agent');
    });
    assert.ok(pings(client).every(([, masked, payload]) => !masked && payload === ''));
    assert.ok(pings(agent).every(([, masked, payload]) => masked && payload === ''));
    // The pongs go on to the other end.
    assert.ok(framesOf(client).some(([opcode]) => opcode === PONG));
    assert.ok(framesOf(agent).some(([opcode]) => opcode === PONG));
    assert.equal(relayed.ends, 0);
  });

  test('none goes to an end that is heard of often enough', async (t) => {
    const { client, agent } = await relay(t, { pingIntervalMs: 400 });
    client.read();
    agent.read();
    for (let round = 0; round < 30; round++) {
      await client.send(clientFrame(TEXT, 'x'));
      await agent.send(serverFrame(TEXT, 'y'));
      await delay(20);
    }
    assert.ok(framesOf(client).every(([opcode]) => opcode === TEXT));
    assert.ok(framesOf(agent).every(([opcode]) => opcode === TEXT));
  });

  test('none is inserted into a frame: a peer that cannot be pinged is not judged either', async (t) => {
    const relayed = await relay(t, { pingIntervalMs: INTERVAL_MS });
    const { client, agent } = relayed;
    client.read();
    agent.read();
    const frame = serverFrame(TEXT, 'x'.repeat(30));
    // Longer than three intervals, in which the client neither speaks nor can be asked.
    for (const byte of frame.subarray(0, -1)) {
      await agent.send(Buffer.from([byte]));
      await delay(50);
    }
    assert.equal(Buffer.compare(client.bytes, frame.subarray(0, -1)), 0);
    assert.deepEqual(client.events, []);
    await agent.send(frame.subarray(-1));
    // Between two frames it is asked again.
    await eventually(() =>
      assert.deepEqual(framesOf(client).slice(0, 2), [
        [TEXT, false, 'x'.repeat(30)],
        [PING, false, ''],
      ]),
    );
    assert.equal(relayed.ends, 0);
  });

  test('an agent that does not answer is dead after three intervals, and the client is told 1014', async (t) => {
    const relayed = await relay(t, { pingIntervalMs: INTERVAL_MS });
    const { client, agent } = relayed;
    answerPings(client, clientPong);
    agent.read();
    await ends(client);
    assert.deepEqual(framesOf(client).at(-1), [CLOSE, false, 1014]);
    assertAsked(agent);
    client.socket.end();
    await over(relayed);
  });

  test('so is a client, and the agent sees the connection end', async (t) => {
    const relayed = await relay(t, { pingIntervalMs: INTERVAL_MS });
    const { client, agent } = relayed;
    answerPings(agent, agentPong);
    client.read();
    await ends(agent);
    assert.ok(framesOf(agent).every(([opcode]) => opcode === PING));
    assertAsked(client);
    agent.socket.end();
    await over(relayed);
  });

  test('an agent that stops in the middle of a frame is dead too; the client sees the end without a close', async (t) => {
    const relayed = await relay(t, { pingIntervalMs: INTERVAL_MS });
    const { client, agent } = relayed;
    client.read();
    agent.read();
    const half = serverFrame(TEXT, 'half of it').subarray(0, 6);
    await agent.send(half);
    await ends(client);
    assert.equal(Buffer.compare(client.bytes, half), 0);
    client.socket.end();
    await over(relayed);
  });

  test('an agent that does not read is judged by that, whatever it sends', async (t) => {
    const relayed = await relay(t, { pingIntervalMs: INTERVAL_MS });
    const { client, agent, clientConnection } = relayed;
    client.read();
    const talking = setInterval(() => agent.socket.write(serverFrame(TEXT, 'x')), 20).unref();
    t.after(() => clearInterval(talking));
    client.socket.write(clientFrame(BINARY, MUCH));
    await eventually(() => assert.equal(clientConnection.paused, true));
    await ends(client);
    assert.deepEqual(framesOf(client).at(-1), [CLOSE, false, 1014]);
    client.socket.destroy();
    await over(relayed);
  });

  test('a client that does not read, likewise', async (t) => {
    const relayed = await relay(t, { pingIntervalMs: INTERVAL_MS });
    const { client, agent, agentConnection } = relayed;
    agent.read();
    const talking = setInterval(() => client.socket.write(clientFrame(TEXT, 'x')), 20).unref();
    t.after(() => clearInterval(talking));
    agent.socket.write(serverFrame(BINARY, MUCH));
    await eventually(() => assert.equal(agentConnection.paused, true));
    await ends(agent);
    agent.socket.destroy();
    await over(relayed);
  });

  test('a slow reader is alive: it gets every byte, however long that takes', async (t) => {
    const relayed = await relay(t, { pingIntervalMs: INTERVAL_MS, closingTimeoutMs: INTERVAL_MS });
    const { client, agent } = relayed;
    const bytes = Buffer.concat([
      serverFrame(BINARY, randomBytes(12 * MEBIBYTE)),
      serverFrame(CLOSE, closePayload(1000)),
    ]);
    agent.socket.end(bytes);
    // A chunk at a time.
    client.read().socket.on('data', () => client.socket.pause());
    const started = performance.now();
    while (client.receivedBytes < bytes.length) {
      client.socket.resume();
      await delay(10);
      assert.ok(performance.now() - started < 20_000, 'all of it');
    }
    assert.ok(performance.now() - started > 3 * INTERVAL_MS, 'a silent one would be dead by now');
    assert.equal(sha(client.received), sha(bytes));
    client.socket.destroy();
    await over(relayed);
  });
});

describe('closing', { concurrency: 3 }, () => {
  const clientClose = clientFrame(CLOSE, closePayload(1000, 'bye'));
  const agentClose = serverFrame(CLOSE, closePayload(1000, 'bye'));

  test('a close from the client passes, its answer passes back, then the end of each', async (t) => {
    const relayed = await relay(t);
    const { client, agent } = relayed;
    client.read();
    agent.read();
    await client.send(clientClose);
    await eventually(() => assert.equal(Buffer.compare(agent.bytes, clientClose), 0));
    await delay(20);
    assert.deepEqual([client.events, agent.events], [[], []], 'a close frame is not an end');
    agent.socket.end(agentClose);
    await ends(client);
    assert.equal(Buffer.compare(client.bytes, agentClose), 0);
    await delay(20);
    assert.deepEqual(agent.events, [], 'the end of one is not the end of the other');
    client.socket.end();
    await ends(agent);
    assert.equal(Buffer.compare(agent.bytes, clientClose), 0, 'nothing was put in');
    await over(relayed);
  });

  test('a close from the agent, likewise', async (t) => {
    const relayed = await relay(t);
    const { client, agent } = relayed;
    client.read();
    agent.read();
    await agent.send(agentClose);
    await eventually(() => assert.equal(Buffer.compare(client.bytes, agentClose), 0));
    await client.send(clientClose);
    await eventually(() => assert.equal(Buffer.compare(agent.bytes, clientClose), 0));
    agent.socket.end();
    await ends(client);
    client.socket.end();
    await over(relayed);
    assert.equal(Buffer.compare(client.bytes, agentClose), 0);
  });

  test('nothing passes after a close, from whichever end, in the same chunk or later', async (t) => {
    const { client, agent } = await relay(t);
    client.read();
    agent.read();
    await client.send(Buffer.concat([clientClose, clientFrame(TEXT, 'after')]));
    await agent.send(Buffer.concat([agentClose, serverFrame(TEXT, 'after')]));
    await client.send(clientFrame(TEXT, 'long after'));
    await agent.send(Buffer.from('not even a frame'));
    await delay(40);
    assert.equal(Buffer.compare(agent.bytes, clientClose), 0);
    assert.equal(Buffer.compare(client.bytes, agentClose), 0);
  });

  test('an agent that does not answer a close is ended in time; the client is told 1014', async (t) => {
    const relayed = await relay(t, { closingTimeoutMs: 100 });
    const { client, agent } = relayed;
    client.read();
    agent.read();
    await client.send(clientClose);
    await ends(client);
    await agent.ended();
    assert.deepEqual(framesOf(client), [[CLOSE, false, 1014]]);
    client.socket.end();
    await over(relayed);
  });

  test('a client that does not answer a close is ended in time', async (t) => {
    const relayed = await relay(t, { closingTimeoutMs: 100 });
    const { client, agent } = relayed;
    client.read();
    agent.read();
    await agent.send(agentClose);
    await ends(agent);
    await client.ended();
    agent.socket.end();
    await over(relayed);
    assert.equal(Buffer.compare(client.bytes, agentClose), 0);
  });

  test('two closes and no end: both are ended in time', async (t) => {
    const relayed = await relay(t, { closingTimeoutMs: 100 });
    const { client, agent } = relayed;
    client.read();
    agent.read();
    await client.send(clientClose);
    await agent.send(agentClose);
    await over(relayed);
    assert.equal(Buffer.compare(client.bytes, agentClose), 0);
  });

  test('what was under way before the close still passes, also when it takes longer than the limit', async (t) => {
    const relayed = await relay(t, { closingTimeoutMs: 500 });
    const { client, agent } = relayed;
    client.read();
    agent.read();
    await client.send(clientClose);
    for (let round = 0; round < 20; round++) {
      await agent.send(serverFrame(TEXT, 'x'));
      await delay(40);
    }
    agent.socket.end(agentClose);
    await ends(client);
    assert.equal(framesOf(client).length, 21);
    assert.deepEqual(framesOf(client).at(-1), [CLOSE, false, 1000]);
    client.socket.end();
    await over(relayed);
  });

  test('what goes nowhere buys no time', async (t) => {
    const relayed = await relay(t, { closingTimeoutMs: 100 });
    const { client, agent } = relayed;
    client.read();
    agent.read();
    // Both are told of the end by an illegal frame, and talk on.
    const talking = setInterval(() => {
      client.socket.write(clientFrame(TEXT, 'x'));
      agent.socket.write(serverFrame(TEXT, 'x'));
    }, 20).unref();
    t.after(() => clearInterval(talking));
    await client.send(clientFrame(3));
    await over(relayed);
  });
});

describe('one end ends its side', () => {
  test('the client: the agent sees an end, no close, and may still answer', async (t) => {
    const relayed = await relay(t);
    const { client, agent } = relayed;
    client.read();
    agent.read();
    client.socket.end(clientFrame(TEXT, 'last'));
    await ends(agent);
    assert.deepEqual(framesOf(agent), [[TEXT, true, 'last']]);
    assert.deepEqual(client.events, []);
    agent.socket.end(Buffer.concat([serverFrame(TEXT, 'answer'), serverFrame(CLOSE, closePayload(1000))]));
    await ends(client);
    assert.deepEqual(framesOf(client), [
      [TEXT, false, 'answer'],
      [CLOSE, false, 1000],
    ]);
    await over(relayed);
  });

  test('the client, in the middle of a frame: the agent sees the same', async (t) => {
    const relayed = await relay(t);
    const { client, agent } = relayed;
    client.read();
    agent.read();
    const half = clientFrame(TEXT, 'half of it').subarray(0, 9);
    client.socket.end(half);
    await ends(agent);
    assert.equal(Buffer.compare(agent.bytes, half), 0);
    agent.socket.end();
    await over(relayed);
  });

  test('a client that has ended its side is neither asked nor judged while it still reads', async (t) => {
    const relayed = await relay(t, { pingIntervalMs: 250, closingTimeoutMs: 600 });
    const { client, agent } = relayed;
    client.read();
    agent.read();
    client.socket.end();
    await ends(agent);
    for (let round = 0; round < 40; round++) {
      await agent.send(serverFrame(TEXT, 'x'));
      await delay(30);
    }
    agent.socket.end(serverFrame(CLOSE, closePayload(1000)));
    await ends(client);
    const frames = framesOf(client);
    assert.equal(frames.length, 41);
    assert.ok(frames.every(([opcode]) => opcode !== PING));
    await over(relayed);
  });

  test('the agent: the client is told 1014, then sees the end', async (t) => {
    const relayed = await relay(t);
    const { client, agent } = relayed;
    client.read();
    agent.read();
    agent.socket.end(serverFrame(TEXT, 'last'));
    await ends(client);
    assert.deepEqual(framesOf(client), [
      [TEXT, false, 'last'],
      [CLOSE, false, 1014],
    ]);
    assert.deepEqual(agent.events, []);
    client.socket.end(clientFrame(CLOSE, closePayload(1014)));
    await ends(agent);
    await over(relayed);
  });

  test('the agent, in the middle of a frame: the client sees the end without a close', async (t) => {
    const relayed = await relay(t);
    const { client, agent } = relayed;
    client.read();
    const half = serverFrame(TEXT, 'half of it').subarray(0, 7);
    agent.read().socket.end(half);
    await ends(client);
    assert.equal(Buffer.compare(client.bytes, half), 0);
    client.socket.end();
    await over(relayed);
  });
});

describe('a reset', { concurrency: 3 }, () => {
  type Stage = (relayed: Relayed) => Promise<void>;
  const stages: Record<string, Stage> = {
    'at once': async () => {},
    'after messages both ways': async ({ client, agent }) => {
      await client.send(clientFrame(TEXT, 'a'));
      await agent.send(serverFrame(TEXT, 'b'));
      await delay(10);
    },
    'in the middle of its own frame and the other’s': async ({ client, agent }) => {
      await client.send(clientFrame(TEXT, 'half').subarray(0, 7));
      await agent.send(serverFrame(TEXT, 'half').subarray(0, 3));
      await delay(10);
    },
    'after a close from the client': async ({ client, agent }) => {
      await client.send(clientFrame(CLOSE, closePayload(1000)));
      await eventually(() => assert.ok(agent.receivedBytes > 0, 'the close'));
    },
    'after a close from the agent': async ({ client, agent }) => {
      await agent.send(serverFrame(CLOSE, closePayload(1000)));
      await eventually(() => assert.ok(client.receivedBytes > 0, 'the close'));
    },
    'after the client’s end': async ({ client, agent }) => {
      client.socket.end();
      await ends(agent);
    },
    'after the agent’s end': async ({ client, agent }) => {
      agent.socket.end();
      await ends(client);
    },
    'while the client pours into an agent that does not read': async ({ client, agent, clientConnection }) => {
      agent.socket.pause();
      client.socket.write(clientFrame(BINARY, randomBytes(16 * MEBIBYTE)));
      await eventually(() => assert.equal(clientConnection.paused, true));
    },
    'while the agent pours into a client that does not read': async ({ client, agent, agentConnection }) => {
      client.socket.pause();
      agent.socket.write(serverFrame(BINARY, randomBytes(16 * MEBIBYTE)));
      await eventually(() => assert.equal(agentConnection.paused, true));
    },
  };
  for (const [when, stage] of Object.entries(stages)) {
    for (const who of ['client', 'agent'] as const) {
      test(`of the ${who}, ${when}: the other sees the end, and nothing is left`, async (t) => {
        const relayed = await relay(t, { closingTimeoutMs: 100 });
        relayed.client.read();
        relayed.agent.read();
        await stage(relayed);
        const other = relayed[who === 'client' ? 'agent' : 'client'];
        relayed[who].socket.resetAndDestroy();
        other.read();
        await other.ended();
        await over(relayed);
      });
    }
  }

  test('of an agent between two frames is told to the client as 1014, also while the client is held up', async (t) => {
    const relayed = await relay(t);
    const { client, agent, clientConnection } = relayed;
    client.read();
    client.socket.write(clientFrame(BINARY, randomBytes(16 * MEBIBYTE)));
    await eventually(() => assert.equal(clientConnection.paused, true));
    agent.socket.resetAndDestroy();
    await ends(client);
    assert.deepEqual(framesOf(client), [[CLOSE, false, 1014]]);
    // What it still sends is read, or its end would never be seen: no time limit is needed here.
    client.socket.end();
    await over(relayed);
  });

  test('of both at once', async (t) => {
    const relayed = await relay(t);
    relayed.client.socket.resetAndDestroy();
    relayed.agent.socket.resetAndDestroy();
    await over(relayed);
  });
});

describe('an illegal header', () => {
  const illegal: [what: string, frame: RawFrame][] = [
    ['a reserved data opcode', { opcode: 3 }],
    ['a reserved control opcode', { opcode: 11 }],
    ['a fragmented control frame', { opcode: PING, fin: false }],
    ['a control frame of 126 bytes', { opcode: PING, payload: Buffer.alloc(126) }],
    ['a length not in its shortest form', { opcode: TEXT, payload: 'x', lengthForm: 16 }],
    ['a length past 2^63', { opcode: TEXT, announcedLength: 1n << 63n }],
  ];
  for (const [what, frame] of illegal) {
    test(`${what}, from the client: it is told 1002, the agent sees the end`, async (t) => {
      const relayed = await relay(t);
      const { client, agent } = relayed;
      client.read();
      agent.read();
      const good = clientFrame(TEXT, 'good');
      await client.send(Buffer.concat([good, rawFrame({ ...frame, maskingKey: MASKING_KEY }), good]));
      await ends(client);
      await ends(agent);
      assert.deepEqual(framesOf(client), [[CLOSE, false, 1002]]);
      assert.equal(Buffer.compare(agent.bytes, good), 0);
      client.socket.end();
      agent.socket.end();
      await over(relayed);
    });

    test(`${what}, from the agent: it is told 1002, the client 1014`, async (t) => {
      const relayed = await relay(t);
      const { client, agent } = relayed;
      client.read();
      agent.read();
      const good = serverFrame(TEXT, 'good');
      await agent.send(Buffer.concat([good, rawFrame(frame), good]));
      await ends(client);
      await ends(agent);
      assert.deepEqual(framesOf(agent), [[CLOSE, true, 1002]]);
      assert.deepEqual(framesOf(client), [
        [TEXT, false, 'good'],
        [CLOSE, false, 1014],
      ]);
      client.socket.end();
      agent.socket.end();
      await over(relayed);
    });
  }

  test('wrong masking, each way', async (t) => {
    const unmasked = await relay(t);
    unmasked.client.read();
    await unmasked.client.send(serverFrame(TEXT, 'not masked'));
    await ends(unmasked.client);
    assert.deepEqual(framesOf(unmasked.client), [[CLOSE, false, 1002]]);

    const masked = await relay(t);
    masked.client.read();
    masked.agent.read();
    await masked.agent.send(clientFrame(TEXT, 'masked'));
    await ends(masked.client);
    await ends(masked.agent);
    assert.deepEqual(framesOf(masked.agent), [[CLOSE, true, 1002]]);
    assert.deepEqual(framesOf(masked.client), [[CLOSE, false, 1014]]);
  });

  test('cut in two, from the agent: what went on of it ends in the middle, without a close', async (t) => {
    const relayed = await relay(t);
    const { client, agent } = relayed;
    client.read();
    agent.read();
    const frame = rawFrame({ opcode: TEXT, payload: 'x', lengthForm: 64 });
    await agent.send(frame.subarray(0, 3));
    await eventually(() => assert.equal(client.receivedBytes, 3));
    await agent.send(frame.subarray(3));
    await ends(client);
    assert.equal(client.receivedBytes, 3);
    await ends(agent);
    assert.deepEqual(framesOf(agent), [[CLOSE, true, 1002]]);
  });

  test('sent before the relay was open', async (t) => {
    const early = await relay(t, { clientRest: serverFrame(TEXT, 'not masked') });
    early.client.read();
    early.agent.read();
    await ends(early.client);
    await ends(early.agent);
    assert.deepEqual(framesOf(early.client), [[CLOSE, false, 1002]]);
    assert.equal(early.agent.receivedBytes, 0);
    early.client.socket.end();
    early.agent.socket.end();
    await over(early);

    const early2 = await relay(t, { agentRest: clientFrame(TEXT, 'masked') });
    early2.client.read();
    early2.agent.read();
    await ends(early2.client);
    assert.deepEqual(framesOf(early2.client), [[CLOSE, false, 1014]]);
    await ends(early2.agent);
    assert.deepEqual(framesOf(early2.agent), [[CLOSE, true, 1002]]);
  });

  test('the close waits for the middle of another frame: there it is left out', async (t) => {
    const { client, agent } = await relay(t);
    client.read();
    const half = serverFrame(TEXT, 'half of it').subarray(0, 6);
    await agent.send(half);
    await eventually(() => assert.equal(client.receivedBytes, half.length));
    await client.send(clientFrame(3));
    await ends(client);
    assert.equal(Buffer.compare(client.bytes, half), 0);
  });
});

describe('the daemon going', () => {
  test('is told to both ends with 1001, and what they still say goes nowhere', async (t) => {
    const relayed = await relay(t);
    const { loopback, client, agent } = relayed;
    client.read();
    agent.read();
    const gone = loopback.connections.shutDown(NEVER);
    await ends(client);
    await ends(agent);
    assert.deepEqual(framesOf(client), [[CLOSE, false, 1001]]);
    assert.deepEqual(framesOf(agent), [[CLOSE, true, 1001]]);
    client.socket.end(clientFrame(CLOSE, closePayload(1001)));
    agent.socket.end(serverFrame(CLOSE, closePayload(1001)));
    await gone;
    await over(relayed);
    assert.deepEqual(framesOf(agent), [[CLOSE, true, 1001]]);
    assert.equal(relayed.ends, 1);
  });

  test('in the middle of a frame: the end alone', async (t) => {
    const relayed = await relay(t);
    const { loopback, client, agent } = relayed;
    client.read();
    agent.read();
    const half = serverFrame(TEXT, 'half of it').subarray(0, 6);
    await agent.send(half);
    await eventually(() => assert.equal(client.receivedBytes, half.length));
    const gone = loopback.connections.shutDown(100);
    await ends(client);
    assert.equal(Buffer.compare(client.bytes, half), 0);
    await gone;
    await over(relayed);
  });
});
