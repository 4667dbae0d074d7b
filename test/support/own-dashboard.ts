/** A dashboard on the modules of this package, in about thirty lines: it keeps the roster, and opens chats. */
import { applyPushes, type Nodes } from '../../src/dashboard/state/roster.ts';
import type { Close } from '../../src/frame/close.ts';
import { connectTarget } from '../../src/opening/target.ts';
import { DEFAULT_LIMITS } from '../../src/options.ts';
import type { Connections } from '../../src/transport/connections.ts';
import { openWebSocket } from '../../src/websocket/open.ts';
import type { WebSocketConnection } from '../../src/websocket/websocket.ts';

export class OwnDashboard {
  roster: Nodes = new Map();
  closed: Close | null = null;

  async watch(registryUrl: string, connections: Connections): Promise<void> {
    await openWebSocket(connectTarget(registryUrl), connections, DEFAULT_LIMITS, {
      onMessage: (payload) => {
        this.roster = applyPushes(this.roster, [JSON.parse(payload.toString())]).value;
      },
      onClosed: (close) => {
        this.closed = close;
      },
    });
  }

  /** Opens a chat. Its messages, and in the end its close code, are appended to `heard`. */
  chat(relayUrl: string, connections: Connections, heard: string[]): Promise<WebSocketConnection> {
    return openWebSocket(connectTarget(relayUrl), connections, DEFAULT_LIMITS, {
      onMessage: (payload) => heard.push(payload.toString()),
      onClosed: ({ closeCode }) => heard.push(`closed ${closeCode}`),
    });
  }
}
