/**
 * Ends a connection so that its last words arrive.
 *
 *   SENDING ──(all is out)──▶ LINGERING ──(the peer ends its side, or lingerTimeoutMs)──▶ closed
 *      └──(the peer takes nothing for stallTimeoutMs)──▶ cut
 *
 * What the peer still sends is read and dropped meanwhile: to close with unread bytes in the kernel would reset the
 * connection, and the peer could lose the answer.
 */
import type { Connection, ConnectionHandler } from './connection.ts';
import type { Connections } from './connections.ts';

export interface LingerTimeouts {
  /** How long the peer may take nothing of what it is sent, in milliseconds. */
  readonly stallTimeoutMs: number;
  /** How long it may take to end its side once all is out, in milliseconds. */
  readonly lingerTimeoutMs: number;
}

/**
 * Writes the last words, and closes the connection once they have arrived.
 *
 * @param connections where the connection is counted
 */
export function writeAndClose(
  connection: Connection,
  connections: Connections,
  lastWords: readonly Buffer[],
  timeouts: LingerTimeouts,
): void {
  const linger = new Linger(connection, connections, timeouts);
  connection.handler = linger;
  connection.resume();
  const corked = connection.cork();
  for (const bytes of lastWords) connection.write(bytes);
  connection.end();
  if (corked) connection.uncork();
  linger.start();
}

class Linger implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #connections: Connections;
  readonly #timeouts: LingerTimeouts;

  constructor(connection: Connection, connections: Connections, timeouts: LingerTimeouts) {
    this.#connection = connection;
    this.#connections = connections;
    this.#timeouts = timeouts;
  }

  start(): void {
    if (this.#connection.blocked) {
      this.#connections.sending(this.#connection);
      this.#connection.setDeadline(this.#timeouts.stallTimeoutMs);
    } else {
      this.#connection.setDeadline(this.#timeouts.lingerTimeoutMs);
    }
  }

  onData(): void {}

  onEof(): void {}

  onDrain(): void {
    this.#connections.sent(this.#connection);
    this.#connection.setDeadline(this.#timeouts.lingerTimeoutMs);
  }

  onDeadline(): void {
    this.#connection.lookForProgress();
    const { blocked, blockedSince, now } = this.#connection;
    const leftMs = blocked ? blockedSince + this.#timeouts.stallTimeoutMs - now : 0;
    if (leftMs > 0) this.#connection.setDeadline(leftMs);
    else this.#connection.destroy();
  }

  onGone(): void {}

  onShutdown(): void {}
}
