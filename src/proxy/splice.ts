/**
 * The zero-copy relay between two connections whose opening handshakes are done. The Buffers that are read from one are
 * written unchanged to the other.
 *
 *   client ──▶ walker ──▶ agent        A browser's frames arrive masked, as an agent, being a server, expects them;
 *   client ◀── walker ◀── agent        an agent's arrive unmasked, as a browser expects them.
 *
 * The walkers only find the ends of frames, so that the relay can insert a ping or a close of its own between two
 * frames. Backpressure stops the source: while one leg is blocked, the other is not read.
 *
 * Each leg is in two states, one for each direction:
 *
 *   from the peer   SPEAKING ──(a close frame, a broken frame)──▶ SPENT ──(its FIN)──▶ ENDED
 *                       └────────────────────────(its FIN)─────────────────────────────▲
 *                                                       bytes pass only while it is SPEAKING
 *
 *   to the peer     OPEN ──(the other's close frame has passed)──▶ TOLD ──(FIN)──▶ SHUT
 *                     └───────────────────────(FIN)──────────────────────────────▲
 *
 * The events of a leg, and their effects:
 *
 *   event on a leg                  this leg                     the other leg
 *   ─────────────────────────────── ──────────────────────────── ──────────────────────────────────────────────
 *   a close frame has passed whole  SPENT                        TOLD
 *   its FIN                         ENDED                        SHUT; a client that has not ENDED after 1014
 *   it is gone                      ENDED, SHUT                  likewise
 *   a broken frame                  SPENT, SHUT after 1002, 1009 likewise
 *   the daemon shuts down           SHUT after 1001              (has its own event)
 *   a fault of this program         SHUT after 1011, destroyed   SHUT after 1011
 *
 * The relay inserts its own close only while the leg is OPEN and between two frames. Otherwise the peer only sees the
 * FIN. A leg that is TOLD or SHUT has a time limit to end too, counted from the last of its bytes that passed.
 */
import { BoundaryWalker } from '../frame/boundary.ts';
import { encodeCloseFrame, encodeFrame } from '../frame/encode.ts';
import { CloseCode, Opcode, type Side } from '../frame/vocabulary.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import { keepalive } from '../transport/keepalive.ts';

export interface SpliceLimits {
  pingIntervalMs: number;
  /** How long a leg that is TOLD or SHUT may take to end. */
  closingTimeoutMs: number;
}

/**
 * Takes over both connections. Both must be open and paused or unread.
 *
 * @param clientRest the bytes that the client sent after its request
 * @param agentRest the bytes that the agent sent after its 101
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

/** Whether bytes from the peer of a leg still pass. */
const Incoming = { SPEAKING: 0, SPENT: 1, ENDED: 2 } as const;
type Incoming = (typeof Incoming)[keyof typeof Incoming];

/** How much of the relay's end the peer of a leg has seen. */
const Outgoing = { OPEN: 0, TOLD: 1, SHUT: 2 } as const;
type Outgoing = (typeof Outgoing)[keyof typeof Outgoing];

/** One of the two connections, and the direction of the bytes that come from it. */
class Leg implements ConnectionHandler {
  /** The daemon's side toward the peer of this leg: it is a server for the client, and a client for the agent. */
  readonly #side: Side;
  readonly #connection: Connection;
  readonly #limits: SpliceLimits;
  readonly #onEnd: () => void;
  readonly #walker: BoundaryWalker;
  #other!: Leg;
  #incoming: Incoming = Incoming.SPEAKING;
  #outgoing: Outgoing = Outgoing.OPEN;
  /** When the time limit of a leg that is TOLD or SHUT began. */
  #limitedSince = 0;

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
    if (this.#incoming !== Incoming.SPEAKING) return;
    this.#pass(chunk);
    const { error, closed } = this.#walker;
    if (error !== null) {
      this.#incoming = Incoming.SPENT;
      this.#shutWith(error.closeCode, error.message);
      this.#shutOther();
    } else if (closed) {
      // "The application MUST NOT send any more data frames after sending a Close frame" (RFC 6455, section 5.5.1).
      this.#incoming = Incoming.SPENT;
      this.#other.#advance(Outgoing.TOLD);
    }
  }

  onEof(): void {
    this.#incoming = Incoming.ENDED;
    this.#shutOther();
  }

  onDrain(): void {
    this.#restartLimit();
    this.#other.#resume();
  }

  onGone(): void {
    this.#incoming = Incoming.ENDED;
    this.#shut();
    this.#shutOther();
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
    if (connection.blocked) {
      // A ping would only join the queue, so the peer is judged by the progress of the kernel's writes.
      this.#keepAlive(connection.blockedSince, false);
    } else if (connection.paused) {
      // This leg waits for the other one, which is judged by its reading.
      connection.setDeadline(this.#limits.pingIntervalMs);
    } else if (this.#outgoing !== Outgoing.OPEN) {
      const remainingMs = this.#limitedSince + this.#limits.closingTimeoutMs - connection.now;
      if (remainingMs > 0) connection.setDeadline(remainingMs);
      else connection.destroy();
    } else {
      this.#keepAlive(connection.aliveAt, true);
    }
  }

  /** @param since when the peer last gave a sign of life */
  #keepAlive(since: number, mayAsk: boolean): void {
    const due = keepalive(this.#connection.now - since, this.#limits.pingIntervalMs);
    if (due.action === 'dead') {
      this.#connection.destroy();
      return;
    }
    if (due.action === 'ping' && mayAsk) this.#ping();
    this.#connection.setDeadline(due.nextMs);
  }

  #ping(): void {
    const isSpent = this.#incoming !== Incoming.SPEAKING;
    if (this.#mayInsert && !isSpent) {
      // The pong passes to the other end, where an unsolicited pong is legal (RFC 6455, section 5.5.3).
      this.#connection.write(encodeFrame(this.#side, Opcode.PING, NO_PAYLOAD));
    } else if (isSpent || this.#walker.atBoundary) {
      // The peer cannot be pinged, and has nothing to finish, so its silence means nothing.
      this.#connection.aliveAt = this.#connection.now;
    }
  }

  /** Passes on the part of a chunk that may pass, and stops reading if the other leg cannot take all of it. */
  #pass(chunk: Buffer): void {
    const passingBytes = this.#walker.walk(chunk);
    const other = this.#other;
    if (passingBytes === 0 || other.#outgoing === Outgoing.SHUT) return;
    other.#connection.write(passingBytes === chunk.length ? chunk : chunk.subarray(0, passingBytes));
    this.#restartLimit();
    if (other.#connection.blocked) {
      this.#connection.keepChunk();
      this.#connection.pause();
    }
  }

  /** Whether the relay may insert a frame toward this leg's peer: no close has passed, and no frame is half written. */
  get #mayInsert(): boolean {
    return this.#outgoing === Outgoing.OPEN && this.#other.#walker.atBoundary;
  }

  /** Sends a close frame if it may still be inserted, and ends the daemon's side of this leg. */
  #shutWith(closeCode: number, closeReason: string): void {
    if (this.#mayInsert) this.#connection.write(encodeCloseFrame(this.#side, closeCode, closeReason));
    this.#shut();
  }

  /** Ends the daemon's side of this leg. */
  #shut(): void {
    if (!this.#advance(Outgoing.SHUT)) return;
    this.#connection.end();
    // Further bytes for this leg are dropped, but they must be read, or the end of the other leg would not be seen.
    this.#other.#resume();
  }

  /**
   * Ends the other leg when this one sends no more. A client gets a close, unless it ended first; an agent sees a client
   * that vanished.
   */
  #shutOther(): void {
    const other = this.#other;
    const isTold = other.#side === 'server' && other.#incoming !== Incoming.ENDED;
    if (isTold) other.#shutWith(CloseCode.BAD_GATEWAY, 'agent connection lost');
    else other.#shut();
  }

  /** @returns false if this leg has already reached that state */
  #advance(outgoing: Outgoing): boolean {
    if (outgoing <= this.#outgoing) return false;
    const isFirstWord = this.#outgoing === Outgoing.OPEN;
    this.#outgoing = outgoing;
    if (isFirstWord) this.#restartLimit();
    return true;
  }

  /** Notes that bytes from or to this leg have passed, which restarts its time limit if it has one. */
  #restartLimit(): void {
    if (this.#outgoing === Outgoing.OPEN) return;
    this.#limitedSince = this.#connection.now;
    this.#connection.setDeadline(this.#limits.closingTimeoutMs);
  }

  #resume(): void {
    if (!this.#connection.paused) return;
    this.#connection.resume();
    this.#restartLimit();
  }
}
