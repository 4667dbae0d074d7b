import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '../../src/transport/connection.ts';
import { eventually, Loopback, RecordingHandler } from './loopback.ts';

/** Accepted, and admitted or turned away. */
async function arrive(loopback: Loopback): Promise<{ connection: Connection; admitted: boolean }> {
  const [connection] = await loopback.accept();
  return { connection, admitted: loopback.connections.admit(connection) };
}

test('counts those that are open, from the first moment to the last', async (t) => {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  assert.equal(connections.size, 0);
  await connections.empty();
  const [first] = await loopback.accept();
  const [second] = await loopback.accept();
  assert.deepEqual([...connections], [first, second]);
  let empty = false;
  const emptied = connections.empty().then(() => {
    empty = true;
  });
  first.destroy();
  await eventually(() => assert.equal(connections.size, 1));
  assert.equal(empty, false);
  second.destroy();
  await emptied;
  assert.equal(connections.size, 0);
});

test('at the bound the oldest that has proved nothing makes room, and no other', async (t) => {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  connections.max = 3;
  const first = await arrive(loopback);
  const second = await arrive(loopback);
  const third = await arrive(loopback);
  connections.markAuthorised(first.connection);
  assert.deepEqual([first.admitted, second.admitted, third.admitted], [true, true, true]);

  const fourth = await arrive(loopback);
  assert.equal(fourth.admitted, true);
  await eventually(() => assert.equal(second.connection.gone, true));
  assert.deepEqual([...connections], [first.connection, third.connection, fourth.connection]);
});

test('if all are authorised a new one is turned away, and gets a place once one has gone', async (t) => {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  connections.max = 2;
  const first = await arrive(loopback);
  const second = await arrive(loopback);
  for (const { connection } of [first, second]) connections.markAuthorised(connection);

  const third = await arrive(loopback);
  assert.equal(third.admitted, false);
  assert.equal(third.connection.gone, false, 'it may be told why');
  assert.equal(connections.hasRoom(), false);
  first.connection.destroy();
  await eventually(() => assert.equal(first.connection.gone, true));
  assert.equal(connections.hasRoom(), true, 'one that was turned away takes no room');
  assert.equal((await arrive(loopback)).admitted, true);
});

test('one that takes an answer is not pushed out before it has it all', async (t) => {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  connections.max = 3;
  const reader = await arrive(loopback);
  connections.beginSending(reader.connection);
  const [second, third, fourth] = [await arrive(loopback), await arrive(loopback), await arrive(loopback)];
  assert.equal(fourth.admitted, true);
  await eventually(() => assert.equal(second.connection.gone, true));
  assert.equal(reader.connection.gone, false);

  connections.markAuthorised(third.connection);
  connections.markAuthorised(fourth.connection);
  assert.equal((await arrive(loopback)).admitted, false, 'nobody else is left to go');
  connections.endSending(reader.connection);
  assert.equal((await arrive(loopback)).admitted, true);
  await eventually(() => assert.equal(reader.connection.gone, true));
});

test('those that take answers make room, the oldest first, once they fill more than half of it', async (t) => {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  connections.max = 4;
  const readers = [await arrive(loopback), await arrive(loopback), await arrive(loopback), await arrive(loopback)];
  for (const { connection } of readers) connections.beginSending(connection);
  for (const gone of [1, 2]) {
    const client = await arrive(loopback);
    assert.equal(client.admitted, true);
    connections.markAuthorised(client.connection);
    const expected = readers.map((_, i) => i < gone);
    await eventually(() =>
      assert.deepEqual(
        readers.map(({ connection }) => connection.gone),
        expected,
      ),
    );
  }
  assert.equal((await arrive(loopback)).admitted, false, 'half of it is theirs');
});

test('one that has proved itself, or was turned away, is not made unproven by an answer', async (t) => {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  connections.max = 1;
  const proven = await arrive(loopback);
  connections.markAuthorised(proven.connection);
  const turnedAway = await arrive(loopback);
  assert.equal(turnedAway.admitted, false);
  for (const { connection } of [proven, turnedAway]) {
    connections.beginSending(connection);
    connections.endSending(connection);
  }
  assert.equal((await arrive(loopback)).admitted, false);
  assert.deepEqual([proven.connection.gone, turnedAway.connection.gone], [false, false]);
});

test('of those that were turned away 8 may linger, less than the descriptors in reserve', async (t) => {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  connections.max = 1;
  connections.markAuthorised((await arrive(loopback)).connection);
  const turnedAway: Connection[] = [];
  for (let count = 0; count < 20; count++) {
    const { connection, admitted } = await arrive(loopback);
    assert.equal(admitted, false);
    turnedAway.push(connection);
  }
  await eventually(() => assert.equal(connections.size, 1 + 8));
  assert.deepEqual(
    turnedAway.map(({ gone }) => gone),
    turnedAway.map((_, i) => i < 12),
  );
});

test('for one of our own opening the oldest that has proved nothing makes room', async (t) => {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  connections.max = 2;
  const { connection: client } = await arrive(loopback);
  connections.markAuthorised(client);
  assert.equal(connections.hasRoom(), true);
  const { connection: silent } = await arrive(loopback);
  assert.equal(connections.hasRoom(), true);
  await eventually(() => assert.equal(silent.gone, true));
  await loopback.dial();
  assert.equal(connections.hasRoom(), false);
  assert.equal(client.gone, false);
});

test('a flood of silent ones pushes itself out, and never one that speaks', async (t) => {
  const loopback = await Loopback.open(t);
  const { connections } = loopback;
  connections.max = 10;
  const { connection: speaks } = await arrive(loopback);
  connections.markAuthorised(speaks);
  for (let count = 0; count < 50; count++) assert.equal((await arrive(loopback)).admitted, true);
  await eventually(() => assert.equal(connections.size, 10));
  assert.equal(speaks.gone, false);
});

test('shutting down says goodbye to each, and is done once all have gone', async (t) => {
  const loopback = await Loopback.open(t);
  const handlers = Array.from({ length: 3 }, () => new RecordingHandler({ onShutdown: () => ends() }));
  const all: Connection[] = [];
  for (const handler of handlers) {
    const [connection, peer] = await loopback.accept(handler);
    peer.read();
    peer.socket.on('end', () => peer.socket.end());
    all.push(connection);
  }
  const ends = () => {
    for (const connection of all) connection.end();
  };
  await loopback.connections.shutDown(60_000);
  for (const handler of handlers) assert.deepEqual(handler.events, ['shutdown', 'eof', 'gone']);
  assert.equal(loopback.deadlines.size, 0);
  await loopback.connections.shutDown(60_000);
});

test('a connection that does not end in time is destroyed', async (t) => {
  const loopback = await Loopback.open(t);
  const handler = new RecordingHandler();
  const [, peer] = await loopback.accept(handler);
  peer.read();
  const before = performance.now();
  await loopback.connections.shutDown(100);
  const passed = performance.now() - before;
  assert.ok(passed >= 100, `after ${passed} ms`);
  assert.deepEqual(handler.events, ['shutdown', 'gone']);
  await peer.ended();
});
