import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { writeAndClose } from '../../src/transport/linger.ts';
import { eventually, Loopback } from './loopback.ts';

const LAST_WORDS = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');
/** More than the kernel takes at once. */
const LARGE = Buffer.alloc(24 * 1024 * 1024, 'x');
const PATIENT = { stallTimeoutMs: 60_000, lingerTimeoutMs: 60_000 };

test('the last words arrive though the peer is still sending, for what it sends is read and dropped', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection, peer] = await loopback.accept();
  // Even where nobody was reading.
  connection.pause();
  const sent = peer.send(Buffer.alloc(8 * 1024 * 1024));
  writeAndClose(connection, loopback.connections, [LAST_WORDS], PATIENT);
  peer.read();
  await sent;
  await eventually(() => assert.deepEqual(peer.events, ['end']));
  assert.equal(peer.text, LAST_WORDS.toString());
  assert.equal(connection.gone, false);
  connection.shutDown();
  peer.socket.end();
  await eventually(() => assert.equal(connection.gone, true));
  assert.deepEqual(loopback.faults, []);
});

test('a peer that does not end its side is closed in time', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection, peer] = await loopback.accept();
  writeAndClose(connection, loopback.connections, [LAST_WORDS], { ...PATIENT, lingerTimeoutMs: 60 });
  peer.read();
  await eventually(() => assert.equal(connection.gone, true));
  assert.equal(peer.text, LAST_WORDS.toString());
});

test('so is one that does not even read them', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection] = await loopback.accept();
  while (!connection.blocked) connection.write(Buffer.alloc(1024 * 1024));
  writeAndClose(connection, loopback.connections, [LAST_WORDS], { ...PATIENT, stallTimeoutMs: 60 });
  await eventually(() => assert.equal(connection.gone, true));
});

test('the time to linger runs from when all is out: a slow reader gets it all', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection, peer] = await loopback.accept();
  writeAndClose(connection, loopback.connections, [LAST_WORDS, LARGE], { stallTimeoutMs: 60_000, lingerTimeoutMs: 50 });
  assert.equal(connection.blocked, true);
  await delay(300);
  assert.equal(connection.gone, false);
  peer.read();
  await eventually(() => assert.equal(peer.receivedBytes, LAST_WORDS.length + LARGE.length));
  await eventually(() => assert.equal(connection.gone, true));
  assert.deepEqual(peer.events, ['end']);
});

test('one that takes some of it from time to time is not stalled', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection, peer] = await loopback.accept();
  const stallTimeoutMs = 1000;
  writeAndClose(connection, loopback.connections, [LARGE], { ...PATIENT, stallTimeoutMs });
  const beganAt = connection.now;
  // Takes what the kernel has for it, and pauses for less than what is suffered.
  while (connection.now - beganAt < 3 * stallTimeoutMs && peer.receivedBytes < LARGE.length / 2) {
    peer.read();
    await delay(5);
    peer.socket.pause();
    await delay(100);
  }
  assert.equal(connection.gone, false);
  peer.read();
  await eventually(() => assert.equal(peer.receivedBytes, LARGE.length));
});
