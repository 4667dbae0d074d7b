/** A dashboard of lines: watches the roster as any dashboard does, and prints a line for each change. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Node, Push } from '../src/protocol/registry.ts';
import { paint, type Screen, type Style } from './screen.ts';

export class RosterView {
  readonly #screen: Screen;
  readonly #socket: WebSocket;
  readonly #nodes = new Map<string, Node>();
  /** The node that the last push removed. A node that joins next, on the same port, has replaced it. */
  #removed: Node | null = null;

  private constructor(socket: WebSocket, screen: Screen) {
    this.#socket = socket;
    this.#screen = screen;
    socket.on('error', () => {});
    socket.on('message', (payload) => this.#show(JSON.parse(String(payload)) as Push));
  }

  /** @throws Error if the daemon cannot be reached */
  static async open(registryUrl: string, screen: Screen): Promise<RosterView> {
    const socket = new WebSocket(registryUrl);
    const view = new RosterView(socket, screen);
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return view;
  }

  /** Resolves once the daemon has ended the connection. */
  async closed(): Promise<void> {
    if (this.#socket.readyState !== WebSocket.CLOSED) await once(this.#socket, 'close');
  }

  close(): void {
    this.#socket.terminate();
  }

  #show(push: Push): void {
    const removed = this.#removed;
    this.#removed = null;
    switch (push.event) {
      // The whole roster. It may come again, and then replaces the former one.
      case 'init':
        this.#nodes.clear();
        for (const node of push.nodes) this.#nodes.set(node.id, node);
        this.#print('cyan', 'roster', push.nodes.map(({ id }) => id).join(' ') || '(empty)');
        break;
      case 'node_joined': {
        const { node } = push;
        const change = this.#nodes.has(node.id) ? 'back' : 'joined';
        const place = node.port === removed?.port && node.id !== removed.id ? `, in place of ${removed.id}` : '';
        this.#nodes.set(node.id, node);
        const name = node.name === undefined ? '' : `${node.name}, `;
        this.#print('green', change, `${node.id.padEnd(8)} ${name}${node.cwd} on ${node.machine}:${node.port}${place}`);
        break;
      }
      case 'node_offline': {
        const node = this.#nodes.get(push.id);
        if (node !== undefined) node.status = 'offline';
        this.#print('yellow', 'offline', push.id);
        break;
      }
      case 'node_removed':
        this.#removed = this.#nodes.get(push.id) ?? null;
        this.#nodes.delete(push.id);
        this.#print('red', 'removed', push.id);
    }
  }

  #print(style: Style, change: string, what: string): void {
    const nodes = [...this.#nodes.values()];
    const offline = nodes.filter(({ status }) => status === 'offline').map(({ id }) => id);
    const active = `${nodes.length - offline.length} active`;
    const standing = offline.length === 0 ? active : `${active}; offline: ${offline.join(' ')}`;
    this.#screen.line(`${paint(style, change.padEnd(8))} ${what}  ${paint('dim', `(${standing})`)}`);
  }
}
