/** An agent on our own modules, in about thirty lines: it serves an echo on a free port, and registers. */
import { encodeUpgradeResponse, readUpgradeRequest } from '../../src/http/handshake.ts';
import { accept } from '../../src/opening/accept.ts';
import { connect } from '../../src/opening/connect.ts';
import { connectTarget } from '../../src/opening/target.ts';
import { DEFAULT_LIMITS } from '../../src/options.ts';
import { Connection } from '../../src/transport/connection.ts';
import type { Connections } from '../../src/transport/connections.ts';
import { Listener } from '../../src/transport/listener.ts';
import { WebSocketConnection } from '../../src/websocket/websocket.ts';

export const GREETING = '{"type":"init_state","messages":[],"tools":[]}';
const NOBODY = { onData() {}, onEof() {}, onDrain() {}, onDeadline() {}, onGone() {}, onShutdown() {} };

/** @returns what stops listening; its connections are ended by `connections.shutDown` */
export async function startOwnAgent(registryUrl: string, id: string, connections: Connections): Promise<() => void> {
  const listener = new Listener((socket) => {
    const connection = new Connection(socket, connections, NOBODY);
    accept(connection, DEFAULT_LIMITS, {
      onRequest: (head, rest) => {
        connection.write(encodeUpgradeResponse(readUpgradeRequest(head).key, null, null));
        const client = new WebSocketConnection(connection, 'server', DEFAULT_LIMITS, {
          onMessage: (payload, opcode) => client.sendMessage(payload, opcode),
          onClosed() {},
        });
        client.sendText(GREETING);
        client.start(rest);
      },
      onRefused: () => connection.destroy(),
    });
  }, connections.onFault);
  await listener.listen(['127.0.0.1'], 0);
  const params = { id, machine: 'localhost', cwd: '/work', port: listener.addresses[0]?.port, status: 'active' };
  connect(connectTarget(registryUrl), connections, DEFAULT_LIMITS.dialTimeoutMs, {
    onOpened: ({ connection, rest }) => {
      const uplink = new WebSocketConnection(connection, 'client', DEFAULT_LIMITS, { onMessage() {}, onClosed() {} });
      uplink.sendText(JSON.stringify({ id: 1, method: 'register', params }));
      uplink.start(rest);
    },
    onFailed: connections.onFault,
  });
  return () => listener.close();
}
