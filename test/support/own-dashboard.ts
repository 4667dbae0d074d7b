/** A dashboard on the modules of this package, in about thirty lines: it keeps the roster, and opens chats. */
import type { Close } from '../../src/frame/close.ts';
import { connectTarget } from '../../src/opening/target.ts';
import { DEFAULT_LIMITS } from '../../src/options.ts';
import type { Node, Push } from '../../src/protocol/registry.ts';
import type { Connections } from '../../src/transport/connections.ts';
import { openWebSocket } from '../../src/websocket/open.ts';
import type { WebSocketConnection, WebSocketHandler } from '../../src/websocket/websocket.ts';

const open = (url: string, connections: Connections, handler: WebSocketHandler) =>
  openWebSocket(connectTarget(url), connections, DEFAULT_LIMITS.dialTimeoutMs, DEFAULT_LIMITS, handler);

export class OwnDashboard {
  readonly roster = new Map<string, Node>();
  closed: Close | null = null;

  async watch(registryUrl: string, connections: Connections): Promise<void> {
    await open(registryUrl, connections, {
      onMessage: (payload) => this.#apply(JSON.parse(payload.toString())),
      onClosed: (close) => {
        this.closed = close;
      },
    });
  }

  #apply(push: Push): void {
    if (push.event === 'init') for (const node of push.nodes) this.roster.set(node.id, node);
    else if (push.event === 'node_joined') this.roster.set(push.node.id, push.node);
    else if (push.event === 'node_removed') this.roster.delete(push.id);
    else this.roster.set(push.id, { ...(this.roster.get(push.id) as Node), status: 'offline' });
  }

  /** Opens a chat. Its messages, and in the end its close code, are appended to `heard`. */
  chat(relayUrl: string, connections: Connections, heard: string[]): Promise<WebSocketConnection> {
    return open(relayUrl, connections, {
      onMessage: (payload) => heard.push(payload.toString()),
      onClosed: ({ closeCode }) => heard.push(`closed ${closeCode}`),
    });
  }
}
