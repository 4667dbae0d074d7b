import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { refuse as refuseClient } from '../../src/proxy/refusal.ts';
import { readFrames } from '../support/raw-frame.ts';
import { CLOSE, clientFrame, closePayload, PING, serverFrame, TEXT } from '../support/raw-peer.ts';
import { eventually, Loopback, type Peer } from '../transport/loopback.ts';

const SENTENCE = 'Cannot reach agent: "no route"';
const NOTHING = Buffer.alloc(0);

async function refuse(t: TestContext, rest: Buffer = NOTHING, closingTimeoutMs = 60_000) {
  const loopback = await Loopback.open(t);
  const [connection, peer] = await loopback.accept();
  peer.read();
  // As after a dial during which the client sent too much.
  connection.pause();
  refuseClient(connection, rest, SENTENCE, closingTimeoutMs);
  return { loopback, connection, peer };
}

function assertTold(peer: Peer): void {
  const [message, close, ...others] = readFrames(peer.bytes);
  assert.deepEqual([message?.opcode, message?.masked], [TEXT, false]);
  assert.deepEqual(JSON.parse(String(message?.payload)), { error: SENTENCE });
  assert.deepEqual([close?.opcode, close?.payload], [CLOSE, closePayload(1000)]);
  assert.deepEqual(others, []);
}

test('one message that says why, then a close; the end once the client has answered it', async (t) => {
  const { loopback, connection, peer } = await refuse(t);
  await eventually(() => assertTold(peer));
  assert.deepEqual(peer.events, [], 'the client closes first');
  await peer.send(clientFrame(CLOSE, closePayload(1000)));
  await eventually(() => assert.deepEqual(peer.events, ['end']));
  peer.socket.end();
  await eventually(() => assert.equal(connection.gone, true));
  assertTold(peer);
  assert.deepEqual(loopback.faults, []);
});

test('what the client says meanwhile, early or late, is neither answered nor minded', async (t) => {
  const { peer } = await refuse(t, clientFrame(TEXT, 'early'));
  await peer.send(Buffer.concat([clientFrame(TEXT, 'late'), clientFrame(PING, 'are you there')]));
  await peer.send(clientFrame(CLOSE, closePayload(1000)));
  await eventually(() => assert.deepEqual(peer.events, ['end']));
  assertTold(peer);
});

for (const [what, rest] of [
  ['breaks the protocol', serverFrame(TEXT, 'not masked')],
  ['says too much', clientFrame(TEXT, 'x'.repeat(64 * 1024 + 1))],
  ['has closed already', clientFrame(CLOSE, closePayload(1001))],
] as const) {
  test(`a client that ${what} is told all the same`, async (t) => {
    const { loopback, peer } = await refuse(t, rest);
    await eventually(() => assert.deepEqual(peer.events, ['end']));
    assertTold(peer);
    assert.deepEqual(loopback.faults, []);
  });
}

test('a client that ends its side without a close', async (t) => {
  const { connection, peer } = await refuse(t);
  peer.socket.end();
  await eventually(() => assert.equal(connection.gone, true));
  assertTold(peer);
});

test('a client that does not answer the close is ended in time', async (t) => {
  const { connection, peer } = await refuse(t, NOTHING, 60);
  await eventually(() => assert.equal(connection.gone, true));
  assertTold(peer);
});

test('a client that reads nothing is ended in time, and the daemon’s going makes no difference', async (t) => {
  const { connection, peer } = await refuse(t, NOTHING, 100);
  peer.socket.pause();
  connection.shutDown();
  await eventually(() => assert.equal(connection.gone, true));
});
