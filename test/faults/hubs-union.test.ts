/**
 * Hubs that join one, each through a link that goes wrong, while their agents come, change and leave, and the hubs
 * themselves are killed, asleep and back: at the end the one above shows what all those below show together, to one that
 * was there all the time and to one that comes then.
 *
 * UNION_AGENTS=2000 is the full size, for each of five hubs: it needs 20,000 descriptors and some minutes.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../bench/subjects/free-port.ts';
import { Client, type Json } from '../support/client.ts';
import type { Daemon } from '../support/daemon.ts';
import { Dashboard, startHub, untilJoins } from '../support/hub.ts';
import { eventually, inLanes } from '../support/measure.ts';
import { FaultyProxy } from './faulty-proxy.ts';

const HUBS = 5;
const AGENTS = Number(process.env.UNION_AGENTS ?? 20);
const ROUNDS = Number(process.env.UNION_ROUNDS ?? 8);
const PATIENCE_MS = 300_000;
const LANES = 50;

/** Nobody is there, and without a token nobody is dialled elsewhere than where an agent came from. */
const NOWHERE = '203.0.113.1';

/** A hub below with its agents. */
class Below {
  readonly #t: TestContext;
  readonly #name: string;
  readonly #home: string;
  readonly #port: number;
  readonly proxy: FaultyProxy;
  daemon!: Daemon;
  readonly #agents = new Map<number, Client>();

  private constructor(t: TestContext, name: string, home: string, port: number, proxy: FaultyProxy) {
    this.#t = t;
    this.#name = name;
    this.#home = home;
    this.#port = port;
    this.proxy = proxy;
  }

  static async start(t: TestContext, name: string, upper: Daemon): Promise<Below> {
    const home = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
    const proxy = await FaultyProxy.open(upper.port, 'daemon');
    const below = new Below(t, name, home, await freePort(), proxy);
    t.after(async () => {
      below.leave();
      await proxy.stop();
      await rm(home, { recursive: true, force: true });
    });
    await below.restart();
    return below;
  }

  /** Starts the daemon, and all agents register. */
  async restart(): Promise<void> {
    this.leave();
    this.daemon = await startHub(this.#t, this.#name, {
      args: ['--port', `${this.#port}`, '--node-ttl', '1', '--log-file', 'none'],
      env: { HOME: this.#home },
      join: [`ws://127.0.0.1:${this.proxy.port}/ws`],
    });
    this.daemon.forgetOutput();
    await inLanes(AGENTS, LANES, (index) => this.register(index));
  }

  async register(index: number): Promise<void> {
    const client = await Client.open(this.daemon.registryUrl);
    this.#agents.get(index)?.terminate();
    this.#agents.set(index, client);
    const params = { id: `${this.#name}-${index}`, machine: NOWHERE, cwd: '/', port: 10_000 + index, status: 'active' };
    const { error } = await client.call('register', { ...params, name: `agent ${Math.random()}` });
    assert.equal(error, undefined);
  }

  /** Its agents do what agents do. */
  async live(): Promise<void> {
    for (const [index, client] of [...this.#agents]) {
      const dice = Math.random();
      if (client.socket.readyState !== client.socket.OPEN) continue;
      if (dice < 0.6) client.send({ method: 'update', params: { state: 'working', cost: Math.random() } });
      else if (dice < 0.7) client.terminate();
      else if (dice < 0.8) client.send({ method: 'deregister', params: { id: `${this.#name}-${index}` } });
    }
    // Its hub may be going just now.
    const again = () => this.register(Math.floor(Math.random() * AGENTS)).catch(() => {});
    await inLanes(Math.ceil(AGENTS / 10), LANES, again);
  }

  /** Something goes wrong with the link, or with the hub. */
  async fail(round: number): Promise<void> {
    switch (round % 6) {
      case 0:
        this.proxy.drop();
        break;
      case 1:
        await this.proxy.inject('reset');
        break;
      case 2:
        await this.proxy.inject('split');
        break;
      case 3:
        this.daemon.process.kill('SIGSTOP');
        await delay(500);
        this.daemon.process.kill('SIGCONT');
        break;
      case 4:
        await this.proxy.inject('end');
        break;
      default:
        await this.daemon.stop('SIGKILL');
        await this.restart();
    }
  }

  async nodes(): Promise<Json[]> {
    const client = await Client.open(this.daemon.registryUrl);
    const { result } = await client.call('list_nodes');
    client.terminate();
    return result.map((node: Json) => ({ ...node, hub: this.#name }));
  }

  leave(): void {
    for (const client of this.#agents.values()) client.terminate();
    this.#agents.clear();
  }
}

const byId = (nodes: Iterable<Json>) => Object.fromEntries([...nodes].map((node) => [node.id, node]));

describe(`${HUBS} hubs of ${AGENTS} agents each`, { timeout: 900_000 }, () => {
  test('whatever becomes of links, agents and hubs, the hub above ends with the union', async (t) => {
    const upper = await startHub(t, 'server', { args: ['--log-file', 'none'] });
    const below: Below[] = [];
    for (let i = 0; i < HUBS; i++) below.push(await Below.start(t, `hub${i}`, upper));
    for (const { daemon } of below) await untilJoins(daemon, /joined/);
    const dashboard = await Dashboard.open(t, upper);
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(below.map((hub, index) => Promise.all([hub.live(), hub.fail(round + index)])));
      await Promise.all(below.map((hub) => hub.live()));
    }
    // Connections that were stalled or split make room for new ones.
    for (const hub of below) hub.proxy.drop();
    await eventually(async () => {
      const union = byId((await Promise.all(below.map((hub) => hub.nodes()))).flat());
      const shown = (await dashboard.call('list_nodes')).result;
      assert.equal(shown.length, Object.keys(union).length);
      assert.deepEqual(byId(shown), union, 'to one that comes now');
      assert.deepEqual(byId(dashboard.nodes.values()), union, 'to one that was there');
    }, PATIENCE_MS);
    assert.equal(upper.isRunning, true);
  });
});
