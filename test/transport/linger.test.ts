import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endAfter } from '../../src/transport/linger.ts';
import { eventually, Loopback } from './loopback.ts';

const LAST_WORDS = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');

test('the last words arrive though the peer is still sending, for what it sends is read and dropped', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection, peer] = await loopback.accept();
  // Even where nobody was reading.
  connection.pause();
  const sent = peer.send(Buffer.alloc(8 * 1024 * 1024));
  endAfter(connection, [LAST_WORDS], 60_000);
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
  endAfter(connection, [LAST_WORDS], 60);
  peer.read();
  await eventually(() => assert.equal(connection.gone, true));
  assert.equal(peer.text, LAST_WORDS.toString());
});

test('so is one that does not even read them', async (t) => {
  const loopback = await Loopback.open(t);
  const [connection] = await loopback.accept();
  while (!connection.blocked) connection.write(Buffer.alloc(1024 * 1024));
  endAfter(connection, [LAST_WORDS], 60);
  await eventually(() => assert.equal(connection.gone, true));
});
