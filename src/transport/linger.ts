/**
 * Ends a connection so that its last words arrive: what the peer still sends is read and dropped until it ends too.
 * Closing at once with unread bytes in the kernel would reset the connection, and the peer could lose the answer.
 */
import type { Connection, ConnectionHandler } from './connection.ts';

class Linger implements ConnectionHandler {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  onData(): void {}

  onEof(): void {}

  onDrain(): void {}

  onDeadline(): void {
    this.#connection.destroy();
  }

  onGone(): void {}

  onShutdown(): void {}
}

/** @param timeoutMs how long the peer may take to end its side */
export function endAfter(connection: Connection, lastWords: readonly Buffer[], timeoutMs: number): void {
  connection.handler = new Linger(connection);
  connection.setDeadline(timeoutMs);
  connection.resume();
  for (const bytes of lastWords) connection.write(bytes);
  connection.end();
}
