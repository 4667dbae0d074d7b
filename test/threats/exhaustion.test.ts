/** Threats: attackers that hold connections until nobody else finds room. Reading slowly is in test/e2e/http.test.ts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '../support/client.ts';
import { Daemon, type DaemonOptions } from '../support/daemon.ts';
import { eventually, footprint, inLanes } from '../support/measure.ts';
import { upgradeRequest } from '../support/raw-peer.ts';

/** What a normal client waits for at the most; 20 ms and a second are the aims, the rest is room for a busy machine. */
const PATIENCE_MS = 8000;

const isLinux = process.platform === 'linux';

async function start(t: TestContext, options: DaemonOptions = {}): Promise<Daemon> {
  const daemon = await Daemon.start(options);
  t.after(() => daemon.stop());
  return daemon;
}

/** A client that comes, asks and goes; pushed out before it is heard, it comes again at once, as any client does. */
async function serves(daemon: Daemon): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    try {
      await isServed(daemon);
      return;
    } catch (error) {
      if (performance.now() - startedAt > PATIENCE_MS) throw error;
    }
  }
}

async function isServed(daemon: Daemon): Promise<void> {
  const client = await Client.open(daemon.registryUrl, [], { handshakeTimeout: 1000 });
  assert.equal((await client.call('ping')).result.status, 'healthy');
  client.terminate();
  const health = await fetch(`${daemon.origin}/healthz`, { signal: AbortSignal.timeout(1000) });
  assert.equal(await health.text(), 'ok\n');
}

describe('descriptors run out', { timeout: 60_000 }, () => {
  test('256 of them, 600 attackers that say nothing: clients are served all the time', async (t) => {
    const daemon = await start(t, { launcher: ['sh', '-c', 'ulimit -n 256 && exec "$@"', 'sh'] });
    const idle = await footprint(daemon.pid);
    const dashboard = await Client.open(daemon.registryUrl);
    let attacking = true;
    const sockets = new Set<net.Socket>();
    t.after(() => {
      attacking = false;
      for (const socket of sockets) socket.destroy();
    });
    /**
     * Comes again a second after it was pushed out. Each then has its place for a quarter of a second, and so has a client:
     * the faster they come again, the less time it has to say what it wants, on a machine that is busy with both.
     */
    const attack = async () => {
      while (attacking) {
        const socket = net.connect(daemon.port, '127.0.0.1');
        sockets.add(socket);
        socket.on('error', () => {});
        await once(socket, 'close');
        sockets.delete(socket);
        await delay(1000);
      }
    };
    const attackers = Array.from({ length: 600 }, attack);
    const endsAt = performance.now() + 3000;
    let rounds = 0;
    while (performance.now() < endsAt) {
      await serves(daemon);
      rounds++;
    }
    assert.ok(rounds > 0);
    assert.equal((await dashboard.call('ping')).result.status, 'healthy', 'who was there before still is');
    assert.ok((await footprint(daemon.pid)).descriptors <= 256);
    attacking = false;
    for (const socket of sockets) socket.destroy();
    await Promise.all(attackers);
    dashboard.terminate();
    await eventually(async () =>
      assert.ok((await footprint(daemon.pid)).descriptors <= idle.descriptors + 1, 'given back'),
    );
  });
});

test('thousands of connections that say nothing, before and after their upgrade, leave no trace', async (t) => {
  const limits = isLinux ? await readFile('/proc/self/limits', 'utf8') : '';
  const count = Math.min(10_000, Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? 1024) - 500);
  const daemon = await start(t);
  await serves(daemon);
  const idle = await footprint(daemon.pid);
  const sockets: net.Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await inLanes(count, 100, async (i) => {
    const socket = net.connect(daemon.port, '127.0.0.1');
    socket.on('error', () => {});
    sockets.push(socket);
    await once(socket, 'connect');
    if (i % 2 === 0) return;
    socket.write(upgradeRequest('/ws'));
    await once(socket, 'data');
  });
  await serves(daemon);
  for (const socket of sockets) socket.resetAndDestroy();
  await serves(daemon);
  await eventually(async () =>
    assert.ok((await footprint(daemon.pid)).descriptors <= idle.descriptors + 1, 'given back'),
  );
});
