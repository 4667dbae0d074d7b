/** Opens a WebSocket to a server, from the address to the first message. */
import { type ConnectTarget, connect } from '../opening/connect.ts';
import type { Connections } from '../transport/connections.ts';
import { WebSocketConnection, type WebSocketHandler, type WebSocketLimits } from './websocket.ts';

/**
 * Connects, performs the opening handshake, and starts the WebSocket. Messages may come before the promise resolves.
 *
 * @param connections the set that counts the connection
 * @param timeoutMs the time limit for connecting and the opening handshake together; by default ten seconds
 * @returns a promise that rejects with a `ConnectFailure`
 * @throws TypeError if the request of the target is malformed
 */
export function openWebSocket(
  target: ConnectTarget,
  connections: Connections,
  limits: WebSocketLimits,
  handler: WebSocketHandler = {},
  timeoutMs = 10_000,
): Promise<WebSocketConnection> {
  return new Promise((resolve, reject) => {
    connect(target, connections, timeoutMs, {
      onOpened: ({ connection, rest }) => {
        const webSocket = new WebSocketConnection(connection, 'client', limits, handler);
        resolve(webSocket);
        webSocket.start(rest);
      },
      onFailed: reject,
    });
  });
}
