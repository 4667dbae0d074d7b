/** A dashboard that goes by what it is told: `init`, the changes of the roster, and those of machines. */
import { Client, type Json } from './client.ts';

export class Dashboard {
  readonly #client: Client;
  readonly #nodes = new Map<string, Json>();
  readonly #machines = new Map<string, Json>();
  /** In short, in order: `node_joined a`. */
  readonly events: string[] = [];

  private constructor(client: Client) {
    this.#client = client;
  }

  /** It asks for all that there is. A daemon that does not know of machines has none. */
  static async open(registryUrl: string): Promise<Dashboard> {
    const client = await Client.open(registryUrl);
    const dashboard = new Dashboard(client);
    client.socket.on('message', (payload) => dashboard.#hear(JSON.parse(String(payload))));
    client.socket.on('close', () => dashboard.events.push('closed'));
    dashboard.#hear(await client.nextJson());
    await client.call('subscribe', { features: ['updates', 'machines'] });
    const { result } = await client.call('list_machines');
    for (const machine of result ?? []) dashboard.#machines.set(machine.id, machine);
    return dashboard;
  }

  get nodes(): Json[] {
    return [...this.#nodes.values()];
  }

  get machines(): Json[] {
    return [...this.#machines.values()];
  }

  terminate(): void {
    this.#client.terminate();
  }

  #hear(push: Json): void {
    const { event, id, nodes, node, machine, ...changed } = push;
    if (event === undefined || event === 'init') {
      if (event === 'init') this.#begin(nodes);
      return;
    }
    this.events.push(`${event} ${id ?? node?.id ?? machine?.id}`);
    switch (event) {
      case 'node_joined':
        this.#nodes.set(node.id, node);
        break;
      case 'node_offline':
        this.#change(id, { status: 'offline' });
        break;
      case 'node_removed':
        this.#nodes.delete(id);
        break;
      case 'node_updated':
        this.#change(id, changed);
        break;
      case 'machine_left':
        this.#machines.delete(id);
        break;
      default:
        if (machine !== undefined) this.#machines.set(machine.id, machine);
    }
  }

  #begin(nodes: Json[]): void {
    this.#nodes.clear();
    for (const node of nodes) this.#nodes.set(node.id, node);
  }

  /** Null for what is gone. */
  #change(id: string, changed: Json): void {
    const node = { ...this.#nodes.get(id), ...changed };
    for (const [field, value] of Object.entries(node)) if (value === null) delete node[field];
    this.#nodes.set(id, node);
  }
}
