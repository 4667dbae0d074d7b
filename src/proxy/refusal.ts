/**
 * A client is told in words why it cannot be relayed: one message `{"error": …}`, then a close. A browser sees no HTTP
 * status of a failed upgrade, so the upgrade is accepted first.
 */
import { CloseCode } from '../frame/vocabulary.ts';
import type { Connection } from '../transport/connection.ts';
import { WebSocketConnection, type WebSocketLimits } from '../websocket/websocket.ts';

/** The client's own words do not matter any more: little of them is read, and it has no time but that of the closing. */
const LIMITS = {
  maxMessageBytes: 64 * 1024,
  maxFragments: 64,
  maxPingsPerSecond: 100,
  pingIntervalMs: Number.POSITIVE_INFINITY,
  frameTimeoutMs: Number.POSITIVE_INFINITY,
};

const IGNORE = { onMessage() {}, onClosed() {} };

/**
 * Takes over a connection whose 101 is written.
 *
 * @param rest bytes that came behind the client's request
 * @param closingTimeoutMs how long the client may take to end too
 */
export function refuse(connection: Connection, rest: Buffer, sentence: string, closingTimeoutMs: number): void {
  const limits: WebSocketLimits = { ...LIMITS, closingTimeoutMs };
  const webSocket = new WebSocketConnection(connection, 'server', limits, IGNORE);
  webSocket.sendText(JSON.stringify({ error: sentence }));
  webSocket.close(CloseCode.NORMAL);
  webSocket.start(rest);
}
