/**
 * Threat: no descriptor is left, so that accept fails with EMFILE. The daemon keeps some in reserve, so it takes somebody
 * who lowers the limit while it runs. libuv has a spare descriptor for this: it closes that, accepts whoever waits, closes
 * them, and opens it again. Node is told nothing, and so nothing can be logged.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { RawPeer, upgradeRequest } from '../support/raw-peer.ts';

/** Connections that come and say nothing. */
const CROWD = 40;
/** The descriptors that are left for them. */
const LEFT = 4;

/** Sockets that come once descriptors run out, and how many of them were turned away. */
class Crowd {
  readonly #sockets: net.Socket[] = [];
  turnedAway = 0;

  constructor(t: TestContext, port: number) {
    for (let i = 0; i < CROWD; i++) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.once('close', () => this.turnedAway++);
      this.#sockets.push(socket);
    }
    t.after(() => this.leave());
  }

  leave(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** With somebody to serve, and no file of the daemon's own that comes and goes. */
async function start(t: TestContext): Promise<{ daemon: Daemon; dashboard: Client }> {
  const daemon = await Daemon.start({ args: ['--log-file', 'none'] });
  t.after(() => daemon.stop());
  const agent = await Agent.serve();
  t.after(() => agent.stop());
  await agent.register(daemon.registryUrl, 'agent');
  const dashboard = await Client.open(daemon.registryUrl);
  t.after(() => dashboard.terminate());
  return { daemon, dashboard };
}

/** The limit is on a descriptor's number: what is open above it stays open. */
async function setLimit({ pid }: Daemon, limit: number): Promise<void> {
  await promisify(execFile)('prlimit', ['--pid', String(pid), `--nofile=${limit}:`]);
}

/** The lowest limit that leaves so many, libuv's spare one below it. */
async function leaveDescriptors(daemon: Daemon, count: number): Promise<void> {
  const open = await openDescriptors(daemon);
  let limit = 0;
  for (let unused = 0; unused < count || limit <= spareOf(open); limit++) if (!open.has(limit)) unused++;
  await setLimit(daemon, limit);
}

/** Each with what it is. */
async function openDescriptors({ pid }: Daemon): Promise<Map<number, string>> {
  const folder = `/proc/${pid}/fd`;
  const open = new Map<number, string>();
  for (const name of await readdir(folder)) {
    // One that was closed meanwhile is not open.
    const file = await readlink(`${folder}/${name}`).catch(() => null);
    if (file !== null) open.set(Number(name), file);
  }
  return open;
}

/** Standard input apart, nobody else opens these. */
function spareOf(open: Map<number, string>): number {
  const spare = [...open].find(([descriptor, file]) => descriptor > 2 && (file === '/dev/null' || file === '/'));
  assert.ok(spare !== undefined, 'libuv has its spare descriptor');
  return spare[0];
}

/** In seconds; Linux counts hundredths of them. */
async function processorTime({ pid }: Daemon): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14);
  return (Number(user) + Number(system)) / 100;
}

async function isServed(daemon: Daemon): Promise<void> {
  const client = await Client.open(daemon.registryUrl, [], { handshakeTimeout: 1000 });
  assert.equal((await client.call('ping')).result.status, 'healthy');
  client.terminate();
  const relay = await Client.open(daemon.relayUrl('agent'));
  relay.socket.send('hello');
  assert.equal((await relay.next()).payload.toString(), 'hello');
  relay.terminate();
}

/** What needs no descriptor is done, the rest refused in words. */
async function isServedWithout(dashboard: Client, { home }: Daemon): Promise<void> {
  assert.equal((await dashboard.call('ping')).result.status, 'healthy');
  assert.equal((await dashboard.call('list_nodes')).result.length, 1);
  assert.equal((await dashboard.call('list_directories')).error, 'Cannot read directory: too many open files');
  assert.equal((await dashboard.call('spawn_agent', { path: home })).error, 'Failed to spawn: too many open files');
}

function errorsOf({ stderr }: Daemon): string[] {
  return stderr.split('\n').filter((line) => line.includes('"level":"error"'));
}

const skip = process.platform === 'linux' ? false : 'needs prlimit and /proc';

describe('no descriptor is left', { skip, timeout: 60_000 }, () => {
  test('new connections are turned away at no cost, open ones are served, and all are once there are some', async (t) => {
    const { daemon, dashboard } = await start(t);
    const client = await RawPeer.connect(daemon.port);
    t.after(() => client.socket.destroy());
    await leaveDescriptors(daemon, LEFT);
    const crowd = new Crowd(t, daemon.port);
    await eventually(() => assert.ok(crowd.turnedAway >= CROWD - LEFT, `${crowd.turnedAway} were turned away`));

    client.socket.write(upgradeRequest('/ws/agent/agent'));
    assert.match(await client.head(), /^HTTP\/1\.1 101 /);
    assert.match(String((await client.json()).error), /^Cannot reach agent/);

    const [startedAt, before] = [performance.now(), await processorTime(daemon)];
    const latecomers = new Crowd(t, daemon.port);
    await eventually(() => assert.equal(latecomers.turnedAway, CROWD));
    await isServedWithout(dashboard, daemon);
    await delay(1000);
    const busy = (await processorTime(daemon)) - before;
    assert.ok(busy < (performance.now() - startedAt) / 2000, `${busy} s of work, for nothing`);
    // The spare one was opened again.
    spareOf(await openDescriptors(daemon));

    crowd.leave();
    await eventually(() => isServed(daemon));
    // Where finding this machine's addresses takes a descriptor, that was a fault.
    assert.ok(errorsOf(daemon).length <= 1, daemon.stderr);
  });

  test('not even the spare one: new connections wait, open ones are served, and all are once there are some', async (t) => {
    const { daemon, dashboard } = await start(t);
    await setLimit(daemon, spareOf(await openDescriptors(daemon)));
    const crowd = new Crowd(t, daemon.port);
    await delay(200);
    await isServedWithout(dashboard, daemon);
    assert.equal(crowd.turnedAway, 0);
    await setLimit(daemon, 1024);
    await eventually(() => isServed(daemon));
    // It has a spare one again.
    spareOf(await openDescriptors(daemon));
    assert.deepEqual(errorsOf(daemon), []);
  });
});
