/**
 * Ends a connection so that the last bytes written to it arrive.
 *
 *   SENDING ──(the kernel has taken all)──▶ LINGERING ──(the peer ends its side, or lingerTimeoutMs)──▶ closed
 *      └──(the peer takes nothing for stallTimeoutMs)──▶ closed
 *
 * Meanwhile everything that the peer sends is read and dropped. If unread bytes were left in the kernel, closing would
 * reset the connection, and the peer could lose the answer.
 */
import type { Connection, ConnectionHandler } from './connection.ts';
import type { Connections } from './connections.ts';

export interface LingerTimeouts {
  /** How long the peer may take none of the bytes, in milliseconds. */
  readonly stallTimeoutMs: number;
  /** How long the peer may take to end its side after the kernel has taken all bytes, in milliseconds. */
  readonly lingerTimeoutMs: number;
}

/**
 * Writes the last bytes of a connection, and closes it once they have arrived.
 *
 * @param connections the set that the connection belongs to
 */
export function writeAndClose(
  connection: Connection,
  connections: Connections,
  lastBytes: readonly Buffer[],
  timeouts: LingerTimeouts,
): void {
  const linger = new Linger(connection, connections, timeouts);
  connection.handler = linger;
  connection.resume();
  const corked = connection.cork();
  for (const bytes of lastBytes) connection.write(bytes);
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
      this.#connections.beginSending(this.#connection);
      this.#connection.setDeadline(this.#timeouts.stallTimeoutMs);
    } else {
      this.#connection.setDeadline(this.#timeouts.lingerTimeoutMs);
    }
  }

  onData(): void {}

  onEof(): void {}

  onDrain(): void {
    this.#connections.endSending(this.#connection);
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
