/** A machine whose hub joins the daemon, as a page sees it: it shares the nodes that a test gives it, and answers as told. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { HubFeature, SharedMachine, SharedNode } from '../../../src/protocol/hub.ts';
import type { Node, SpawnEnded } from '../../../src/protocol/registry.ts';
import { SUBPROTOCOL } from '../../../src/protocol/subprotocol.ts';

// biome-ignore lint/suspicious/noExplicitAny: what the daemon asks is what tests look into
type Json = any;

export interface JoinedMachineOptions {
  name: string;
  features?: HubFeature[];
  version?: string;
  nodes?: Node[];
  facts?: Partial<SharedMachine>;
}

const seconds = () => Math.floor(Date.now() / 1000);

export class JoinedMachine {
  readonly id = randomBytes(16).toString('hex');
  readonly #registryUrl: string;
  readonly #options: JoinedMachineOptions;
  readonly #epoch = randomBytes(8).toString('hex');
  #seq = 0;
  #uplink: WebSocket | null = null;
  #lastCall = 0;
  readonly #answers = new Map<number, (answer: Json) => void>();
  readonly nodes = new Map<string, Node>();
  /** What the daemon asked, in order. */
  readonly asked: { method: string; params: Json; requestId: string }[] = [];
  /** The result; what it throws is the error's sentence. */
  onRequest: (method: string, params: Json) => unknown = (method) => {
    if (method === 'list_directories') return { current: `/home/${this.#options.name}`, directories: [] };
    if (method === 'list_sessions') return { path: `/home/${this.#options.name}`, sessions: [] };
    throw new Error(`Method not found: ${method}`);
  };

  private constructor(registryUrl: string, options: JoinedMachineOptions) {
    this.#registryUrl = registryUrl;
    this.#options = options;
    for (const node of options.nodes ?? []) this.nodes.set(node.id, node);
  }

  /** It has joined, and shared all it has, when this resolves. */
  static async join(registryUrl: string, options: JoinedMachineOptions): Promise<JoinedMachine> {
    const hub = new JoinedMachine(registryUrl, options);
    await hub.rejoin();
    return hub;
  }

  /** Connects, or connects again, and shares everything anew. */
  async rejoin(): Promise<void> {
    const { name, features = ['roster', 'relay', 'spawn'], version = '9.8.7' } = this.#options;
    const uplink = new WebSocket(this.#registryUrl, SUBPROTOCOL);
    this.#uplink = uplink;
    uplink.on('error', () => {});
    uplink.on('message', (payload) => this.#hear(JSON.parse(String(payload))));
    await once(uplink, 'open');
    await this.#call('join', { id: this.id, name, version, features, below: [], now: seconds() });
    const put = [...this.nodes.values()].map((node) => this.#shared(node));
    await this.#share({ all: true, put, machines: [this.#machine()] });
  }

  async put(node: Node): Promise<void> {
    this.nodes.set(node.id, node);
    await this.#share({ put: [this.#shared(node)], machines: [this.#machine()] });
  }

  /** Tells of the machine anew. */
  async tell(facts: Partial<SharedMachine>): Promise<void> {
    this.#options.facts = { ...this.#options.facts, ...facts };
    await this.#share({ machines: [this.#machine()] });
  }

  /** An agent that it started has ended. */
  async spawnEnded(requestId: string, push: SpawnEnded): Promise<void> {
    await this.#call('respond', { request_id: requestId, push });
  }

  /** Its connection ends without a word. */
  drop(): void {
    this.#uplink?.terminate();
    this.#uplink = null;
  }

  #shared = (node: Node): SharedNode => ({ ...node, path: [this.id] });

  #machine(): SharedMachine {
    const { name, version = '9.8.7', features = ['roster', 'relay', 'spawn'], facts = {} } = this.#options;
    const { id, nodes } = this;
    const load = { load: 0.5, cpus: 4, memory: 8 * 2 ** 30, memory_free: 2 * 2 ** 30 };
    return { id, name, version, features, since: seconds() - 60, nodes: nodes.size, ...load, ...facts, path: [id] };
  }

  #share(fields: object): Promise<void> {
    return this.#call('share', { epoch: this.#epoch, seq: ++this.#seq, now: seconds(), ...fields });
  }

  async #call(method: string, params: object): Promise<void> {
    const id = ++this.#lastCall;
    const answer = new Promise<Json>((resolve) => this.#answers.set(id, resolve));
    this.#uplink?.send(JSON.stringify({ id, method, params }));
    const { error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error}`);
  }

  #hear(message: Json): void {
    if (message.event === undefined) this.#answers.get(message.id)?.(message);
    if (message.event !== 'request') return;
    const { request_id, method, params } = message;
    this.asked.push({ method, params, requestId: request_id });
    let answer: object;
    try {
      answer = { result: this.onRequest(method, params) };
    } catch (error) {
      answer = { error: (error as Error).message };
    }
    void this.#call('respond', { request_id, ...answer });
  }
}
