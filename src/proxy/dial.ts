/**
 * Reaching an agent: one address after another, a TCP connection and an opening handshake to each, until one answers as
 * an agent must. All within one time limit.
 *
 *   address ─▶ connecting ─(accepted)─▶ handshaking ─(101, checked whole)─▶ AgentLeg
 *                  │                        │
 *                  └───── next address ◀────┘  … none left: the error of the one that got farthest
 *
 * The agent is not trusted: its answer is bounded, parsed strictly and checked before one byte of it goes on.
 */

import { parseAuthority } from '../http/authority.ts';
import { HttpError } from '../http/error.ts';
import { createKey, encodeUpgradeRequest, HandshakeError, readUpgradeResponse } from '../http/handshake.ts';
import { HeadAccumulator } from '../http/head-accumulator.ts';
import { parseResponseHead } from '../http/message.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import type { Connections } from '../transport/connections.ts';
import { openConnection } from '../transport/open.ts';
import { DialError } from './error.ts';

export interface Offer {
  /** The agent's machine as it named it: what it expects for a Host, where that is a host name. */
  machine: string;
  subprotocols: readonly string[];
  extensions: string | null;
  /** Proves to the agent that the daemon is the one it registered with; null if it gave none. */
  dialKey: string | null;
}

export interface DialLimits {
  maxHeadBytes: number;
  maxHeadFields: number;
}

/** Whom to dial, for whom: the same at each of the agent's addresses. */
export interface Dialling {
  port: number;
  offer: Offer;
  limits: DialLimits;
  connections: Connections;
  /** Aborted once the client has left. */
  signal: AbortSignal;
}

/** A connection on which the opening handshake is done. Its handler still is the dial's: set another at once. */
export interface AgentLeg {
  connection: Connection;
  subprotocol: string | null;
  extensions: string | null;
  /** What the agent sent behind its 101. */
  rest: Buffer;
}

/**
 * @param addresses IP addresses, tried in turn, each with its share of what time is left
 * @param timeoutMs for all of them together
 * @throws DialError `Cannot reach agent…` or `Agent handshake failed…`
 */
export async function dial(addresses: readonly string[], dialling: Dialling, timeoutMs: number): Promise<AgentLeg> {
  const { connections, signal } = dialling;
  const { deadlines } = connections;
  const endsAt = deadlines.now() + timeoutMs;
  let failure = new DialError('Cannot reach agent: no time left');
  for (const [index, address] of addresses.entries()) {
    const share = (endsAt - deadlines.now()) / (addresses.length - index);
    if (signal.aborted || share <= 0) break;
    if (!connections.hasRoom()) throw new DialError('Cannot reach agent: too many connections');
    const attempt = new Attempt(address, dialling, share);
    try {
      return await attempt.leg;
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      // Who answered, wrongly, tells more than who did not.
      if (error instanceof HandshakeFailure || !(failure instanceof HandshakeFailure)) failure = error;
    }
  }
  throw failure;
}

class HandshakeFailure extends DialError {
  constructor(reason: string) {
    super(`Agent handshake failed: ${reason}`);
  }
}

/** One address. */
class Attempt implements ConnectionHandler {
  readonly leg: Promise<AgentLeg>;
  readonly #connection: Connection;
  readonly #accumulator: HeadAccumulator;
  readonly #limits: DialLimits;
  readonly #offer: Offer & { key: string };
  readonly #signal: AbortSignal;
  readonly #onAbort = () => this.#fail(new DialError('Cannot reach agent: the client left'));
  #opened = false;
  #resolve!: (leg: AgentLeg) => void;
  #reject!: (error: DialError) => void;

  constructor(address: string, { port, offer, limits, connections, signal }: Dialling, timeoutMs: number) {
    this.#offer = { ...offer, key: createKey() };
    this.#limits = limits;
    this.#accumulator = new HeadAccumulator(limits.maxHeadBytes, 'response');
    this.#signal = signal;
    this.leg = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const host = parseAuthority(offer.machine)?.port === null ? offer.machine : address;
    const request = encodeUpgradeRequest(host, port, this.#offer, offer.dialKey);
    this.#connection = openConnection(address, port, connections, this, () => {
      this.#opened = true;
      this.#connection.write(request);
    });
    this.#connection.setDeadline(timeoutMs);
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  onData(chunk: Buffer): void {
    const connection = this.#connection;
    try {
      const accumulated = this.#accumulator.push(chunk);
      if (accumulated === null) return;
      const head = parseResponseHead(accumulated.head, this.#limits.maxHeadFields);
      const { subprotocol, extensions } = readUpgradeResponse(head, this.#offer);
      // The rest is a view of what was read, and is waited for beyond this call.
      connection.keepChunk();
      connection.pause();
      connection.clearDeadline();
      this.#signal.removeEventListener('abort', this.#onAbort);
      this.#resolve({ connection, subprotocol, extensions, rest: accumulated.rest });
    } catch (error) {
      if (!(error instanceof HandshakeError) && !(error instanceof HttpError)) throw error;
      this.#fail(new HandshakeFailure(error.message));
    }
  }

  onEof(): void {
    this.#fail(new HandshakeFailure('the connection ended'));
  }

  onDrain(): void {}

  onDeadline(): void {
    this.#fail(this.#opened ? new HandshakeFailure('timed out') : new DialError('Cannot reach agent: timed out'));
  }

  onGone(): void {
    const reason = REASONS[this.#connection.errorCode ?? ''] ?? 'connection failed';
    this.#fail(
      this.#opened ? new HandshakeFailure('the connection ended') : new DialError(`Cannot reach agent: ${reason}`),
    );
  }

  onShutdown(): void {
    this.#fail(new DialError('Cannot reach agent: hypivisor is shutting down'));
  }

  #fail(error: DialError): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#connection.destroy();
    this.#reject(error);
  }
}

/** What the client may know of a failed connect. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route',
  ENETUNREACH: 'no route',
  ETIMEDOUT: 'timed out',
};
