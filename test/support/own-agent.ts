/** An agent on the modules of this package, in about thirty lines: it serves an echo on a free port, and registers. */
import { encodeUpgradeResponse, readUpgradeRequest } from '../../src/http/handshake.ts';
import { accept } from '../../src/opening/accept.ts';
import { connectTarget } from '../../src/opening/target.ts';
import { DEFAULT_LIMITS } from '../../src/options.ts';
import { Connection } from '../../src/transport/connection.ts';
import type { Connections } from '../../src/transport/connections.ts';
import { Listener } from '../../src/transport/listener.ts';
import { openWebSocket } from '../../src/websocket/open.ts';
import { WebSocketConnection } from '../../src/websocket/websocket.ts';

export const GREETING = '{"type":"init_state","messages":[],"tools":[]}';

/** @returns a function that stops listening; `connections.shutDown` ends the agent's connections */
export async function startOwnAgent(registryUrl: string, id: string, connections: Connections): Promise<() => void> {
  const listener = new Listener((socket) => {
    const connection = new Connection(socket, connections);
    accept(connection, DEFAULT_LIMITS, {
      onRequest: (head, rest) => {
        connection.write(encodeUpgradeResponse(readUpgradeRequest(head).key, null, null));
        const client = new WebSocketConnection(connection, 'server', DEFAULT_LIMITS, {
          onMessage: (payload, opcode) => client.sendMessage(payload, opcode),
        });
        client.sendText(GREETING);
        client.start(rest);
      },
      onRefused: () => connection.destroy(),
    });
  }, connections.onFault);
  await listener.listen(['127.0.0.1'], 0);
  const uplink = await openWebSocket(connectTarget(registryUrl), connections, DEFAULT_LIMITS);
  const params = { id, machine: 'localhost', cwd: '/work', port: listener.port, status: 'active' };
  uplink.sendText(JSON.stringify({ id: 1, method: 'register', params }));
  return () => listener.close();
}
