/** Agents and dashboards that connect again and again, and a daemon that is killed under them and started again. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';

const RETRY_MS = 5000;
const ARRIVED_WITHIN_MS = 20_000;

export interface Return {
  /** How long after the port opened again all of them were back. */
  backMs: number;
  /** Ids in the daemon's own roster that are no agent's, or are an agent's that is not active. */
  ghosts: string[];
  /** Agents that a dashboard was told of twice. */
  doubles: string[];
}

/**
 * @param pauseMs between the daemon's death and its second life
 * @param patienceMs how long all may take to be back; past it, it throws
 */
export async function killAndRestart(
  population: { agents: number; dashboards: number },
  pauseMs: number,
  patienceMs: number,
): Promise<Return> {
  const killed = await Daemon.start();
  const crowd = new Crowd(killed.registryUrl, population);
  let daemon: Daemon | null = null;
  try {
    await eventually(() => crowd.assertBack(), ARRIVED_WITHIN_MS);
    await killed.stop('SIGKILL');
    await delay(pauseMs);
    daemon = await Daemon.start({ args: ['--port', String(killed.port)] });
    const openedAt = performance.now();
    await eventually(() => crowd.assertBack(), patienceMs);
    const backMs = performance.now() - openedAt;
    return { backMs, ghosts: await crowd.ghosts(), doubles: crowd.doubles };
  } finally {
    crowd.leave();
    await killed.stop('SIGKILL');
    await daemon?.stop('SIGTERM');
  }
}

class Crowd {
  readonly #ids: string[];
  readonly #agents: Returning[];
  readonly #dashboards: Returning[];

  constructor(registryUrl: string, { agents, dashboards }: { agents: number; dashboards: number }) {
    this.#ids = Array.from({ length: agents }, (_, i) => `agent-${i}`).sort();
    this.#agents = this.#ids.map((id, i) => {
      return new Returning(registryUrl, { id, machine: '127.0.0.1', cwd: '/', port: 20_000 + i, status: 'active' });
    });
    this.#dashboards = Array.from({ length: dashboards }, () => new Returning(registryUrl, null));
    for (const each of this.#all) void each.run();
  }

  get #all(): Returning[] {
    return [...this.#agents, ...this.#dashboards];
  }

  /** Every agent is registered, and every dashboard sees every agent, and nobody else, active. */
  assertBack(): void {
    // Asked often, and by who shares the processor with them: what differs is not drawn up, and where an assertion says
    // nothing Node reads the program to say it.
    assert.ok(
      this.#agents.every(({ registered }) => registered),
      'an agent is not registered',
    );
    for (const { roster } of this.#dashboards) {
      const sees = roster.size === this.#ids.length && this.#ids.every((id) => roster.get(id)?.status === 'active');
      assert.ok(sees, 'a dashboard does not see every agent, active');
    }
  }

  get doubles(): string[] {
    return this.#dashboards.flatMap(({ doubles }) => doubles);
  }

  async ghosts(): Promise<string[]> {
    const [{ client }] = this.#dashboards as [Returning];
    const { result } = await (client as Client).call('list_nodes');
    return result
      .filter(({ id, status }: Json) => status !== 'active' || !this.#ids.includes(id))
      .map(({ id }: Json) => id);
  }

  leave(): void {
    for (const each of this.#all) each.stop();
  }
}

/** Connects again and again, `RETRY_MS` after each end. */
class Returning {
  client: Client | null = null;
  registered = false;
  /** What it holds of the roster, and what it was told twice. */
  readonly roster = new Map<string, Json>();
  readonly doubles: string[] = [];
  readonly #stopped = new AbortController();
  readonly #url: string;
  readonly #info: Json | null;

  /** @param info what it registers, or null for a dashboard */
  constructor(url: string, info: Json | null) {
    this.#url = url;
    this.#info = info;
  }

  async run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const client = new Client(this.#url);
      this.client = client;
      client.socket.on('message', (payload) => this.#hear(JSON.parse(String(payload))));
      const info = this.#info;
      if (info !== null) client.socket.once('open', () => client.send({ id: 1, method: 'register', params: info }));
      await client.closed;
      this.registered = false;
      this.roster.clear();
      await delay(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }

  stop(): void {
    this.#stopped.abort();
    this.client?.terminate();
  }

  #hear(message: Json): void {
    if (message.event === 'init') {
      this.roster.clear();
      for (const node of message.nodes) this.#add(node);
    } else if (message.event === 'node_joined') {
      this.#add(message.node);
    } else if (message.event === 'node_removed') {
      this.roster.delete(message.id);
    } else if (message.event === 'node_offline') {
      this.roster.set(message.id, { ...this.roster.get(message.id), status: 'offline' });
    } else if (message.result?.status === 'registered') {
      this.registered = true;
    }
  }

  #add(node: Json): void {
    if (this.roster.get(node.id)?.status === 'active') this.doubles.push(node.id);
    this.roster.set(node.id, node);
  }
}
