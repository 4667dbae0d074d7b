/** Hubs as people run them: built daemons that join each other, and what a dashboard sees of them. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Client, type Json } from './client.ts';
import { Daemon } from './daemon.ts';
import { eventually } from './measure.ts';

/** The machines of tests are slow at times. */
export const PATIENCE_MS = 60_000;

export interface HubOptions {
  args?: string[];
  env?: NodeJS.ProcessEnv;
  /** The URLs to join. */
  join?: string[];
}

/** Starts a hub, which is stopped after the test. */
export async function startHub(t: TestContext, name: string, options: HubOptions = {}): Promise<Daemon> {
  const { args = [], env = {}, join = [] } = options;
  const joins = join.flatMap((url) => ['--join', url]);
  const daemon = await Daemon.start({ args: ['--hub-name', name, '--log-format', 'json', ...joins, ...args], env });
  t.after(() => daemon.stop('SIGKILL'));
  return daemon;
}

/** The lines of `/healthz` behind the first. */
export async function healthOf({ origin }: Daemon): Promise<string[]> {
  const [first, ...lines] = (await (await fetch(`${origin}/healthz`)).text()).trimEnd().split('\n');
  assert.equal(first, 'ok');
  return lines;
}

/** Resolves once each hub that it joins is in this state. */
export async function untilJoins(daemon: Daemon, state: RegExp): Promise<void> {
  await eventually(async () => {
    const lines = await healthOf(daemon);
    assert.ok(lines.length > 0, 'it joins a hub');
    for (const line of lines) assert.match(line, state);
  }, PATIENCE_MS);
}

/** What a page shows: the roster, kept by all pushes. */
export class Dashboard {
  readonly client: Client;
  readonly nodes = new Map<string, Json>();
  /** The pushes so far, and the ids they are about. */
  readonly pushes: [event: string, id: string][] = [];

  private constructor(client: Client) {
    this.client = client;
    // The roster may have come with the answer to the handshake.
    for (const { payload } of client.pending) this.#take(JSON.parse(String(payload)));
    client.socket.on('message', (payload) => this.#take(JSON.parse(String(payload))));
  }

  static async open(t: TestContext, { registryUrl }: Daemon, token?: string): Promise<Dashboard> {
    const query = token === undefined ? '' : `?token=${encodeURIComponent(token)}`;
    const client = await Client.open(registryUrl + query);
    const dashboard = new Dashboard(client);
    t.after(() => client.terminate());
    client.send({ method: 'subscribe', params: { features: ['updates'] } });
    return dashboard;
  }

  /** Resolves once the roster is so: each node's id with what `of` says of it. */
  async shows(expected: Record<string, unknown>, of: (node: Json) => unknown = (node) => node.hub): Promise<void> {
    await eventually(() => {
      const shown = Object.fromEntries([...this.nodes].map(([id, node]) => [id, of(node)]));
      assert.deepEqual(shown, expected);
    }, PATIENCE_MS);
  }

  call(method: string, params: Json = {}): Promise<Json> {
    return this.client.call(method, params);
  }

  #take(push: Json): void {
    const { event, id, node } = push;
    if (event === undefined) return;
    this.pushes.push([event, id ?? node?.id ?? '']);
    switch (event) {
      case 'init':
        this.nodes.clear();
        for (const each of push.nodes) this.nodes.set(each.id, each);
        break;
      case 'node_joined':
        this.nodes.set(node.id, node);
        break;
      case 'node_offline':
        this.nodes.set(id, { ...this.nodes.get(id), status: 'offline' });
        break;
      case 'node_removed':
        this.nodes.delete(id);
        break;
      case 'node_updated': {
        const { event: _event, ...fields } = push;
        const changed = Object.entries({ ...this.nodes.get(id), ...fields }).filter(([, value]) => value !== null);
        this.nodes.set(id, Object.fromEntries(changed));
      }
    }
  }
}

/** Opens a relay and says something. @returns what came back, or the sentence that says why nothing does */
export async function ask(daemon: Daemon, nodeId: string, text: string, token?: string): Promise<string> {
  const query = token === undefined ? '' : `?token=${encodeURIComponent(token)}`;
  const client = await Client.open(`${daemon.relayUrl(nodeId)}${query}`);
  client.socket.send(text);
  const { payload } = await client.next(PATIENCE_MS);
  client.terminate();
  return payload.toString();
}
