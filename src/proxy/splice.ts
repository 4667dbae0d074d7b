/**
 * The zero-copy relay: two connections whose opening handshakes are done, and the very Buffers across.
 *
 *   client ──▶ walker ──▶ agent        A browser's frames arrive masked, as an agent, being a server, wants them;
 *   client ◀── walker ◀── agent        an agent's arrive unmasked, as a browser wants them. Nothing is touched.
 *
 * The walkers only learn where frames end, so that the relay can put in a ping or a close of its own between two of
 * them. Backpressure stops the source: while one leg is blocked the other is not read.
 *
 * How it ends. A close frame passes, and its sender sends nothing after it; each end's EOF is passed on as it comes,
 * never both at the first. A leg that is gone without a close frame is told to the other side: the client gets 1014, the
 * agent, as with any client that vanished, the end of the connection. From the first end on, the other has a time limit.
 */
import { BoundaryWalker } from '../frame/boundary.ts';
import { encodeCloseFrame, encodeFrame } from '../frame/encode.ts';
import { CloseCode, Opcode, type Side } from '../frame/vocabulary.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import { keepalive } from '../transport/keepalive.ts';

export interface SpliceLimits {
  pingIntervalMs: number;
  /** How long the second leg may take to end once the first has. */
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
  client.start(agent, clientRest);
  agent.start(client, agentRest);
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
  /** We have sent this leg a close of our own, or its end: nothing more may be written to it. */
  #shut = false;
  /** One of the two has ended or is closing: the time limit runs. */
  #ending = false;

  constructor(side: Side, connection: Connection, limits: SpliceLimits, onEnd: () => void) {
    this.#side = side;
    this.#connection = connection;
    this.#limits = limits;
    this.#onEnd = onEnd;
    this.#walker = new BoundaryWalker(side);
  }

  start(other: Leg, rest: Buffer): void {
    this.#other = other;
    const connection = this.#connection;
    connection.handler = this;
    connection.setDeadline(this.#limits.pingIntervalMs);
    if (rest.length > 0) this.onData(rest);
    if (!other.#connection.blocked) connection.resume();
  }

  // ConnectionHandler

  onData(chunk: Buffer): void {
    const walker = this.#walker;
    const other = this.#other;
    const passing = walker.walk(chunk);
    if (passing > 0 && !other.#shut) {
      other.#connection.write(passing === chunk.length ? chunk : chunk.subarray(0, passing));
      if (other.#connection.blocked) {
        this.#connection.keepChunk();
        this.#connection.pause();
      }
    }
    if (walker.error !== null) {
      this.#shutWith(walker.error.closeCode, walker.error.message);
      this.#lost();
    } else if (walker.closed) {
      this.#beginEnding();
    }
  }

  onEof(): void {
    this.#lost();
  }

  onDrain(): void {
    this.#other.#connection.resume();
  }

  onGone(): void {
    this.#lost();
    if (this.#other.#connection.gone) this.#onEnd();
  }

  onShutdown(): void {
    this.#shutWith(CloseCode.GOING_AWAY, 'hypivisor is shutting down');
    this.#beginEnding();
  }

  onDeadline(): void {
    const connection = this.#connection;
    // A paused connection reports nothing: what is judged is the progress of the write that holds it up.
    const judged = connection.paused ? this.#other.#connection : connection;
    const silentMs = connection.now - judged.aliveAt;
    const { pingIntervalMs, closingTimeoutMs } = this.#limits;
    const owed = keepalive(silentMs, pingIntervalMs);
    if (owed.action === 'dead') {
      judged.destroy();
      return;
    }
    if (this.#ending && !judged.blocked) {
      const nextMs = this.#other.#connection.gone ? 0 : closingTimeoutMs - silentMs;
      if (nextMs <= 0) judged.destroy();
      else connection.setDeadline(nextMs);
      return;
    }
    if (owed.action === 'ping' && !connection.paused) this.#ping();
    connection.setDeadline(this.#ending ? Math.min(closingTimeoutMs, owed.nextMs) : owed.nextMs);
  }

  /** Between two frames of what flows to this leg, and before any close: a frame may be put in. */
  get #open(): boolean {
    const { atBoundary, closed } = this.#other.#walker;
    return atBoundary && !closed && !this.#shut;
  }

  #ping(): void {
    // A blocked leg shows by draining that it is alive. The pong flows on to the other end, where an unsolicited one is
    // legal (RFC 6455, section 5.5.3).
    if (this.#open && !this.#connection.blocked) {
      this.#connection.write(encodeFrame(this.#side, Opcode.PING, NO_PAYLOAD));
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
    // What still comes for this leg goes nowhere, but must be read, or the other's end would not be seen.
    this.#other.#connection.resume();
  }

  /** Nothing more comes from this leg: the other is told. */
  #lost(): void {
    if (this.#side === 'client') this.#other.#shutWith(CloseCode.BAD_GATEWAY, 'agent connection lost');
    else this.#other.#shutDown();
    this.#beginEnding();
  }

  #beginEnding(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#other.#ending = true;
    this.#connection.setDeadline(this.#limits.closingTimeoutMs);
    this.#other.#connection.setDeadline(this.#limits.closingTimeoutMs);
  }
}
