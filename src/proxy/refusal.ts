/**
 * Refuses a relay in words: one message `{"error": …}`, then a close. A browser does not see the HTTP status of a
 * failed upgrade, so the upgrade is accepted first.
 */
import { CloseCode } from '../frame/vocabulary.ts';
import type { Connection } from '../transport/connection.ts';
import { WebSocketConnection, type WebSocketLimits } from '../websocket/websocket.ts';

/** The client's messages no longer matter, so only short ones are read, and it has only the time for closing. */
const LIMITS = {
  maxMessageBytes: 64 * 1024,
  maxFragments: 64,
  maxPingsPerSecond: 100,
  pingIntervalMs: Number.POSITIVE_INFINITY,
  frameTimeoutMs: Number.POSITIVE_INFINITY,
};

const IGNORE = { onMessage() {}, onClosed() {} };

/**
 * Takes over a connection whose 101 has been written.
 *
 * @param rest the bytes that came after the client's request
 * @param closingTimeoutMs how long the client may take to close
 */
export function refuse(connection: Connection, rest: Buffer, sentence: string, closingTimeoutMs: number): void {
  const limits: WebSocketLimits = { ...LIMITS, closingTimeoutMs };
  const webSocket = new WebSocketConnection(connection, 'server', limits, IGNORE);
  webSocket.sendText(JSON.stringify({ error: sentence }));
  webSocket.close(CloseCode.NORMAL);
  webSocket.start(rest);
}
