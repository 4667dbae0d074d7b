import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { Listener } from '../../src/transport/listener.ts';
import { HAS_IPV6 } from '../support/ipv6.ts';
import { eventually } from './loopback.ts';

interface Heard {
  listener: Listener;
  sockets: net.Socket[];
  errors: Error[];
}

function listenerFor(t: TestContext): Heard {
  const sockets: net.Socket[] = [];
  const errors: Error[] = [];
  const listener = new Listener(
    (socket) => sockets.push(socket),
    (error) => errors.push(error),
  );
  t.after(() => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  });
  return { listener, sockets, errors };
}

function firstOf({ addresses: [first] }: Listener): net.AddressInfo {
  assert.ok(first !== undefined, 'it listens');
  return first;
}

async function connect(host: string, port: number): Promise<net.Socket> {
  const socket = net.connect({ host, port });
  await once(socket, 'connect');
  return socket;
}

test('one address, a free port; what is accepted stays open on its own after close', async (t) => {
  const { listener, sockets } = listenerFor(t);
  assert.deepEqual(listener.addresses, []);
  await listener.listen(['127.0.0.1'], 0);
  const { address, port } = firstOf(listener);
  assert.equal(address, '127.0.0.1');
  const socket = await connect('127.0.0.1', port);
  await eventually(() => assert.equal(sockets.length, 1));
  listener.close();
  listener.close();
  assert.deepEqual(listener.addresses, []);
  await assert.rejects(connect('127.0.0.1', port), { code: 'ECONNREFUSED' });
  sockets[0]?.write('still');
  const [chunk] = await once(socket, 'data');
  assert.equal(String(chunk), 'still');
  socket.destroy();
});

test('both loopback addresses have the same port', { skip: HAS_IPV6 ? false : 'no IPv6 here' }, async (t) => {
  const { listener, sockets } = listenerFor(t);
  await listener.listen(['127.0.0.1', '::1'], 0);
  const [first, second] = listener.addresses as [net.AddressInfo, net.AddressInfo];
  assert.deepEqual([first.address, second.address], ['127.0.0.1', '::1']);
  assert.equal(first.port, second.port);
  for (const host of ['127.0.0.1', '::1']) (await connect(host, first.port)).destroy();
  await eventually(() => assert.equal(sockets.length, 2));
});

test('undefined is every interface', async (t) => {
  const { listener } = listenerFor(t);
  await listener.listen([undefined], 0);
  const { address, port } = firstOf(listener);
  assert.ok(['::', '0.0.0.0'].includes(address), address);
  (await connect('127.0.0.1', port)).destroy();
});

test('a further address that this machine does not have is passed over, the first is not', async (t) => {
  const { listener } = listenerFor(t);
  // TEST-NET-1 (RFC 5737): nobody's.
  await listener.listen(['127.0.0.1', '192.0.2.1'], 0);
  assert.deepEqual(
    listener.addresses.map(({ address }) => address),
    ['127.0.0.1'],
  );
  listener.close();
  await assert.rejects(listener.listen(['192.0.2.1', '127.0.0.1'], 0), { code: 'EADDRNOTAVAIL' });
  assert.deepEqual(listener.addresses, []);
});

test('all or none: a port in use on one of the addresses frees the others', async (t) => {
  const { listener } = listenerFor(t);
  await listener.listen(['127.0.0.1', '127.0.0.2'], 0);
  const { port } = firstOf(listener);
  listener.close();
  const { listener: taken } = listenerFor(t);
  await taken.listen(['127.0.0.2'], port);
  await assert.rejects(listener.listen(['127.0.0.1', '127.0.0.2'], port), { code: 'EADDRINUSE' });
  assert.deepEqual(listener.addresses, []);
  await assert.rejects(connect('127.0.0.1', port), { code: 'ECONNREFUSED' });
  // Nothing is left of the attempt.
  taken.close();
  await listener.listen(['127.0.0.1', '127.0.0.2'], port);
  assert.equal(listener.addresses.length, 2);
});

test('if the free port of the first address is in use on the second, another is tried, up to a bound', async (t) => {
  const { listener } = listenerFor(t);
  let tries = 0;
  // As if somebody else always came first.
  t.mock.method(net, 'createServer', () => {
    tries++;
    const server = new net.Server();
    server.listen = () => {
      process.nextTick(() => server.emit('error', Object.assign(new Error('in use'), { code: 'EADDRINUSE' })));
      return server;
    };
    return server;
  });
  await assert.rejects(listener.listen(['127.0.0.1'], 0), { code: 'EADDRINUSE' });
  assert.equal(tries, 21);
  tries = 0;
  await assert.rejects(listener.listen(['127.0.0.1'], 31_415), { code: 'EADDRINUSE' });
  assert.equal(tries, 1, 'a port that was asked for is not replaced');
});

test('what goes wrong later is told, and ends nothing', async (t) => {
  const servers: net.Server[] = [];
  const createServer = net.createServer;
  t.mock.method(net, 'createServer', (...args: Parameters<typeof createServer>) => {
    const server = createServer(...args);
    servers.push(server);
    return server;
  });
  const { listener, errors } = listenerFor(t);
  await listener.listen(['127.0.0.1'], 0);
  const error = Object.assign(new Error('accept'), { code: 'EMFILE' });
  servers[0]?.emit('error', error);
  assert.deepEqual(errors, [error]);
  const { port } = firstOf(listener);
  (await connect('127.0.0.1', port)).destroy();
});
