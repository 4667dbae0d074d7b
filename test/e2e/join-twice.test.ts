/** A hub whose joins lead to the same hub, by two addresses of it, or by a slip. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { healthOf, PATIENCE_MS, startHub } from '../support/hub.ts';
import { eventually } from '../support/measure.ts';

/** Another address of a daemon. */
async function detour(t: TestContext, port: number): Promise<{ url: string; close: () => void }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const onward = net.connect(port, '127.0.0.1');
    for (const [socket, other] of [
      [client, onward],
      [onward, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => other.destroy());
      socket.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  t.after(close);
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`, close };
}

test('two joins that lead to the same hub do not take each other’s place: one is for when the other is lost', {
  timeout: 240_000,
}, async (t) => {
  const upper = await startHub(t, 'server');
  const ways = [await detour(t, upper.port), await detour(t, upper.port)];
  const lower = await startHub(t, 'laptop', { join: ways.map(({ url }) => url) });
  /** @returns which of them has joined, if the other keeps out of its way */
  const joined = async (): Promise<number> => {
    const lines = await healthOf(lower);
    const first = lines.findIndex((line) => line.startsWith('join server: joined since'));
    assert.notEqual(first, -1, lines.join());
    assert.match(lines[1 - first] ?? '', /it is the hub that is joined already: ws:/);
    return first;
  };
  const first = await eventually(joined, PATIENCE_MS);
  const joins = () => upper.stderr.split('\n').filter((line) => line.includes('hub joined')).length;
  // The log is written a little later.
  await delay(1000);
  const before = joins();
  assert.ok(before <= 3, `${before} joins`);
  await delay(3000);
  assert.equal(await joined(), first);
  assert.equal(joins(), before);
  ways[first]?.close();
  await eventually(async () => {
    const lines = await healthOf(lower);
    assert.match(lines[1 - first] ?? '', /^join server: joined since/);
    assert.match(lines[first] ?? '', /connection refused|was lost|joined already/);
  }, 2 * PATIENCE_MS);
});
