/**
 * A client is told in words why it cannot be relayed: one message `{"error": …}`, then a close. A browser sees no HTTP
 * status of a failed upgrade, so the upgrade is accepted first.
 */
import { Session, type SessionSink } from '../frame/session.ts';
import { CloseCode } from '../frame/vocabulary.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';

/** The client's own words do not matter any more: little of them is read. */
const LIMITS = { maxMessageBytes: 64 * 1024, maxFragments: 64 };

/** Takes over a connection whose 101 is written, with the bytes that came behind its request. */
export class Refusal implements ConnectionHandler, SessionSink {
  readonly #connection: Connection;
  readonly #session: Session;

  constructor(connection: Connection, rest: Buffer, sentence: string, closingTimeoutMs: number) {
    this.#connection = connection;
    this.#session = new Session('server', LIMITS, this, connection);
    connection.handler = this;
    this.#session.sendText(JSON.stringify({ error: sentence }));
    this.#session.sendClose(CloseCode.NORMAL);
    connection.setDeadline(closingTimeoutMs);
    this.#session.receive(rest);
    connection.resume();
  }

  onData(chunk: Buffer): void {
    this.#session.receive(chunk);
  }

  onEof(): void {
    this.#session.receiveEof();
  }

  onDrain(): void {}

  onDeadline(): void {
    this.#connection.destroy();
  }

  onGone(): void {}

  onShutdown(): void {}

  write(bytes: Buffer): void {
    this.#connection.write(bytes);
  }

  onMessage(): void {}

  onClosed(): void {
    this.#connection.end();
  }
}
