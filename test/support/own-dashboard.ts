/** A dashboard on our own modules, in about thirty lines: it keeps the roster, and opens chats. */
import type { Close } from '../../src/frame/close.ts';
import { connect } from '../../src/opening/connect.ts';
import { connectTarget } from '../../src/opening/target.ts';
import { DEFAULT_LIMITS } from '../../src/options.ts';
import type { Node, Push } from '../../src/protocol/registry.ts';
import type { Connections } from '../../src/transport/connections.ts';
import { WebSocketConnection } from '../../src/websocket/websocket.ts';

/** Resolves once the opening handshake is done. */
function open(
  url: string,
  connections: Connections,
  onMessage: (payload: Buffer) => void,
  onClosed: (close: Close) => void,
): Promise<WebSocketConnection> {
  return new Promise((resolve, reject) => {
    connect(connectTarget(url), connections, DEFAULT_LIMITS.dialTimeoutMs, {
      onOpened: ({ connection, rest }) => {
        const socket = new WebSocketConnection(connection, 'client', DEFAULT_LIMITS, { onMessage, onClosed });
        resolve(socket);
        socket.start(rest);
      },
      onFailed: reject,
    });
  });
}

export class OwnDashboard {
  readonly roster = new Map<string, Node>();
  closed: Close | null = null;

  async watch(registryUrl: string, connections: Connections): Promise<void> {
    await open(
      registryUrl,
      connections,
      (payload) => this.#apply(JSON.parse(payload.toString())),
      (close) => {
        this.closed = close;
      },
    );
  }

  #apply(push: Push): void {
    if (push.event === 'init') for (const node of push.nodes) this.roster.set(node.id, node);
    else if (push.event === 'node_joined') this.roster.set(push.node.id, push.node);
    else if (push.event === 'node_removed') this.roster.delete(push.id);
    else this.roster.set(push.id, { ...(this.roster.get(push.id) as Node), status: 'offline' });
  }

  /** What comes on a chat is appended to `heard`, and what it was closed with. */
  chat(relayUrl: string, connections: Connections, heard: string[]): Promise<WebSocketConnection> {
    const onClosed = ({ closeCode }: Close) => heard.push(`closed ${closeCode}`);
    return open(relayUrl, connections, (payload) => heard.push(payload.toString()), onClosed);
  }
}
