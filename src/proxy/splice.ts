/**
 * The zero-copy relay: two connections whose opening handshakes are done, and the Buffers that were read across,
 * untouched.
 *
 *   client ──▶ walker ──▶ agent        A browser's frames arrive masked, as an agent, being a server, wants them;
 *   client ◀── walker ◀── agent        an agent's arrive unmasked, as a browser wants them.
 *
 * The walkers only learn where frames end, so that the relay can put in a ping or a close of its own between two of
 * them. Backpressure stops the source: while one leg is blocked the other is not read.
 *
 * How it ends. A close frame passes, and its sender sends nothing after it; each end's EOF is passed on as it comes,
 * never both at the first. A leg that is gone without a close frame is told to the other side: the client gets 1014, the
 * agent, as with any client that vanished, the end of the connection. A leg that was told of the end has a time limit to
 * answer with its own, counted from the last bytes of it that passed.
 */
import { BoundaryWalker } from '../frame/boundary.ts';
import { encodeCloseFrame, encodeFrame } from '../frame/encode.ts';
import { CloseCode, Opcode, type Side } from '../frame/vocabulary.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import { keepalive } from '../transport/keepalive.ts';

export interface SpliceLimits {
  pingIntervalMs: number;
  /** How long a leg that was told of the end may take to end too. */
  closingTimeoutMs: number;
}

/**
 * Takes both connections over. Both must be open and paused or unread.
 *
 * @param clientRest bytes the client sent behind its request
 * @param agentRest bytes the agent sent behind its 101
 * @param onEnd called once, when both connections are gone
 */
export function splice(
  clientConnection: Connection,
  clientRest: Buffer,
  agentConnection: Connection,
  agentRest: Buffer,
  limits: SpliceLimits,
  onEnd: () => void,
): void {
  const client = new Leg('server', clientConnection, limits, onEnd);
  const agent = new Leg('client', agentConnection, limits, onEnd);
  client.join(agent);
  agent.join(client);
  client.start(clientRest);
  agent.start(agentRest);
}

const NO_PAYLOAD = Buffer.alloc(0);

/** One of the two connections, and the direction of what comes from it. */
class Leg implements ConnectionHandler {
  /** What we are toward the peer of this leg: a server to the client, a client to the agent. */
  readonly #side: Side;
  readonly #connection: Connection;
  readonly #limits: SpliceLimits;
  readonly #onEnd: () => void;
  readonly #walker: BoundaryWalker;
  #other!: Leg;
  /** We have ended our side of this leg: what comes for it goes nowhere. */
  #shut = false;
  /** The peer has ended its side. */
  #ended = false;
  /** When this leg was told of the end, or last made progress toward it; null while it was not told. */
  #endingSince: number | null = null;

  constructor(side: Side, connection: Connection, limits: SpliceLimits, onEnd: () => void) {
    this.#side = side;
    this.#connection = connection;
    this.#limits = limits;
    this.#onEnd = onEnd;
    this.#walker = new BoundaryWalker(side);
  }

  join(other: Leg): void {
    this.#other = other;
    this.#connection.handler = this;
    this.#connection.setDeadline(this.#limits.pingIntervalMs);
  }

  start(rest: Buffer): void {
    if (rest.length > 0) this.onData(rest);
    if (!this.#other.#connection.blocked) this.#connection.resume();
  }

  // ConnectionHandler

  onData(chunk: Buffer): void {
    // "The application MUST NOT send any more data frames after sending a Close frame" (RFC 6455, section 5.5.1): what is
    // sent all the same goes nowhere.
    if (this.#saidAll) return;
    const walker = this.#walker;
    const other = this.#other;
    const passing = walker.walk(chunk);
    if (passing > 0 && !other.#shut) {
      other.#connection.write(passing === chunk.length ? chunk : chunk.subarray(0, passing));
      this.#progress();
      if (other.#connection.blocked) {
        this.#connection.keepChunk();
        this.#connection.pause();
      }
    }
    if (walker.error !== null) {
      this.#shutWith(walker.error.closeCode, walker.error.message);
      this.#lost();
    } else if (walker.closed) {
      other.#beginEnding();
    }
  }

  onEof(): void {
    this.#ended = true;
    this.#lost();
  }

  onDrain(): void {
    this.#progress();
    this.#other.#resume();
  }

  onGone(): void {
    this.#shutDown();
    this.#lost();
    if (this.#other.#connection.gone) this.#onEnd();
  }

  onShutdown(): void {
    this.#shutWith(CloseCode.GOING_AWAY, 'hypivisor is shutting down');
  }

  onFault(): void {
    this.#shutWith(CloseCode.INTERNAL_ERROR, 'a fault in the hypivisor');
    this.#other.#shutWith(CloseCode.INTERNAL_ERROR, 'a fault in the hypivisor');
  }

  onDeadline(): void {
    const connection = this.#connection;
    connection.lookForProgress();
    const { now, blocked } = connection;
    const { pingIntervalMs, closingTimeoutMs } = this.#limits;
    if (connection.paused && !blocked) {
      // It waits for the other leg, which is judged by its reading.
      connection.setDeadline(pingIntervalMs);
      return;
    }
    if (this.#endingSince !== null && !blocked) {
      const remainingMs = this.#endingSince + closingTimeoutMs - now;
      if (remainingMs > 0) connection.setDeadline(remainingMs);
      else connection.destroy();
      return;
    }
    // A peer that does not read is asked nothing, for the ping would only join the queue: what is judged is the progress of
    // the write.
    const owed = keepalive(now - (blocked ? connection.blockedSince : connection.aliveAt), pingIntervalMs);
    if (owed.action === 'dead') {
      connection.destroy();
      return;
    }
    if (owed.action === 'ping' && !blocked) this.#ping();
    connection.setDeadline(owed.nextMs);
  }

  /** Between two frames of what flows to this leg, and before any close: a frame may be put in. */
  get #open(): boolean {
    const { atBoundary, closed } = this.#other.#walker;
    return atBoundary && !closed && !this.#shut;
  }

  /** Nothing that passes on comes from this leg any more. */
  get #saidAll(): boolean {
    const { closed, error } = this.#walker;
    return this.#ended || closed || error !== null;
  }

  #ping(): void {
    if (this.#open && !this.#saidAll) {
      // The pong flows on to the other end, where an unsolicited one is legal (RFC 6455, section 5.5.3).
      this.#connection.write(encodeFrame(this.#side, Opcode.PING, NO_PAYLOAD));
    } else if (this.#saidAll || this.#walker.atBoundary) {
      // It owes nothing and cannot be asked, in the middle of the other's frame or after its own last word, so its silence
      // tells nothing.
      this.#connection.aliveAt = this.#connection.now;
    }
  }

  /** Ends our side of this leg, after a close frame where one may still be put in. */
  #shutWith(closeCode: number, closeReason: string): void {
    if (this.#open) this.#connection.write(encodeCloseFrame(this.#side, closeCode, closeReason));
    this.#shutDown();
  }

  /** Ends our side of this leg. */
  #shutDown(): void {
    if (this.#shut) return;
    this.#shut = true;
    this.#connection.end();
    this.#beginEnding();
    // What still comes for this leg goes nowhere, but must be read, or the other's end would not be seen.
    this.#other.#resume();
  }

  /** Nothing more comes from this leg: the other is told. */
  #lost(): void {
    if (this.#side === 'client') this.#other.#shutWith(CloseCode.BAD_GATEWAY, 'agent connection lost');
    else this.#other.#shutDown();
  }

  /** This leg was told of the end: its time limit runs. */
  #beginEnding(): void {
    if (this.#endingSince === null) this.#limitTime();
  }

  /** Bytes from or to this leg have passed: where it has a time limit, it gets it anew. */
  #progress(): void {
    if (this.#endingSince !== null) this.#limitTime();
  }

  #limitTime(): void {
    this.#endingSince = this.#connection.now;
    this.#connection.setDeadline(this.#limits.closingTimeoutMs);
  }

  #resume(): void {
    if (!this.#connection.paused) return;
    this.#connection.resume();
    this.#progress();
  }
}
