import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { openConnection } from '../../src/transport/open.ts';
import { eventually, Loopback, RecordingHandler } from './loopback.ts';

test('a refused connection is gone without ever having been open, with the reason', async (t) => {
  const { connections } = await Loopback.open(t);
  const handler = new RecordingHandler();
  let opened = false;
  const connection = openConnection('127.0.0.1', await unusedPort(), connections, handler, () => {
    opened = true;
  });
  assert.equal(connections.size, 1, 'it counts from the first moment');
  await eventually(() => assert.deepEqual(handler.events, ['gone']));
  assert.equal(connection.errorCode, 'ECONNREFUSED');
  assert.equal(opened, false);
});

test('an address that cannot be dialled is gone too, and throws nothing', async (t) => {
  const { connections } = await Loopback.open(t);
  for (const address of ['ff02::1', '255.255.255.255']) {
    const handler = new RecordingHandler();
    openConnection(address, 9, connections, handler, () => assert.fail('opened'));
    await eventually(() => assert.deepEqual(handler.events, ['gone'], address));
  }
});

test('one that is destroyed while it connects is gone, and is never open', async (t) => {
  const { connections } = await Loopback.open(t);
  const handler = new RecordingHandler();
  const connection = openConnection('127.0.0.1', await unusedPort(), connections, handler, () => assert.fail('opened'));
  connection.destroy();
  await eventually(() => assert.deepEqual(handler.events, ['gone']));
});

/** A port that nobody listens on. */
async function unusedPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
