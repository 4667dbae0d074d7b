/**
 * Finds out whether a program accepts connections at an address, by a bare TCP connection that is closed as soon as it
 * is open.
 */
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import type { Connections } from '../transport/connections.ts';
import { openConnection } from '../transport/open.ts';
import { whyNotConnected } from './connect.ts';

/** @param reason null if a connection was accepted; otherwise a few words, like those of `ConnectFailure` */
export type OnKnocked = (reason: string | null) => void;

/**
 * Knocks at an address.
 *
 * @param host an IP address, IPv6 without brackets
 * @param connections the set that counts the connection
 * @param onKnocked called once, after `knock` has returned, but not after `cancel`
 */
export function knock(
  host: string,
  port: number,
  connections: Connections,
  timeoutMs: number,
  onKnocked: OnKnocked,
): { cancel(): void } {
  return new Knock(host, port, connections, timeoutMs, onKnocked);
}

class Knock implements ConnectionHandler {
  readonly #connection: Connection;
  #onKnocked: OnKnocked | null;

  constructor(host: string, port: number, connections: Connections, timeoutMs: number, onKnocked: OnKnocked) {
    this.#onKnocked = onKnocked;
    this.#connection = openConnection(host, port, connections, this, () => this.#settle(null));
    this.#connection.setDeadline(timeoutMs);
  }

  cancel(): void {
    this.#onKnocked = null;
    this.#connection.destroy();
  }

  // ConnectionHandler

  onData(): void {}

  onEof(): void {}

  onDrain(): void {}

  onDeadline(): void {
    this.#settle('timed out');
  }

  onGone(): void {
    const { errorCode } = this.#connection;
    // A port without a listener refuses. This peer accepted, and reset before we heard of it.
    this.#settle(errorCode === 'ECONNRESET' ? null : whyNotConnected(errorCode));
  }

  onShutdown(): void {
    this.cancel();
  }

  #settle(reason: string | null): void {
    const onKnocked = this.#onKnocked;
    this.cancel();
    onKnocked?.(reason);
  }
}
