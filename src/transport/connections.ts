/**
 * All connections of a process, accepted and opened alike: their shared state and their largest number.
 *
 *   admit ─┬─▶ UNAUTHORISED ──(an authorised request)──▶ AUTHORISED, which stays
 *          │      ▲  └──(a large answer is being sent)──▶ SENDING
 *          │      └──────────(all of it is sent)─────────────┘
 *          └──(no room)──▶ TURNED AWAY, which gets an answer and is closed
 *
 * The maximum is below the descriptor limit. When it is reached, each new connection closes the oldest unauthorised
 * one. So a flood of silent sockets closes its own connections, and never a working client's. A connection with an
 * answer under way is closed only if such connections take more than half of the room, so slow readers lock no one out.
 */
import { Deadline, type Deadlines } from './deadlines.ts';

/**
 * The most open connections beyond the maximum, each of which gets an answer. It is less than the descriptors in
 * reserve.
 */
const MAX_TURNED_AWAY = 8;

/** The part of a connection that this set needs. */
export interface Member {
  /** Closes at once. */
  destroy(): void;
  /** Says goodbye to the peer, and closes. */
  shutDown(): void;
}

export class Connections {
  readonly deadlines: Deadlines;
  /** Called with an error that a handler threw. It is a fault of this program, and costs only that connection. */
  readonly onFault: (error: unknown) => void;
  /** The largest number of open connections. */
  max = Number.POSITIVE_INFINITY;
  readonly #open = new Set<Member>();
  /** In the order of their arrival. */
  readonly #unauthorised = new Set<Member>();
  /** Unauthorised too, in the order in which their answers began. */
  readonly #sending = new Set<Member>();
  /** In the order of their arrival. */
  readonly #turnedAway = new Set<Member>();
  #onEmpty: (() => void)[] = [];

  constructor(deadlines: Deadlines, onFault: (error: unknown) => void) {
    this.deadlines = deadlines;
    this.onFault = onFault;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Iterates over a copy, so connections may come and go meanwhile. */
  [Symbol.iterator](): Iterator<Member> {
    return [...this.#open].values();
  }

  add(connection: Member): void {
    this.#open.add(connection);
  }

  remove(connection: Member): void {
    this.#open.delete(connection);
    this.#unauthorised.delete(connection);
    this.#sending.delete(connection);
    this.#turnedAway.delete(connection);
    if (this.#open.size > 0) return;
    const waiting = this.#onEmpty;
    this.#onEmpty = [];
    for (const resolve of waiting) resolve();
  }

  /**
   * Admits a connection that was just accepted.
   *
   * @returns false if there is no room for it; it may get an answer, and must then be closed
   */
  admit(connection: Member): boolean {
    const hasRoom = this.#makeRoom(this.max);
    if (hasRoom) this.#unauthorised.add(connection);
    else this.#turnAway(connection);
    return hasRoom;
  }

  /** Notes that the connection has sent an authorised request, so it is never closed to make room. */
  markAuthorised(connection: Member): void {
    this.#unauthorised.delete(connection);
  }

  /** Notes that a large answer is being sent on an unauthorised connection, which should get all of it. */
  beginSending(connection: Member): void {
    if (this.#unauthorised.delete(connection)) this.#sending.add(connection);
  }

  /** Notes that the whole answer is sent. */
  endSending(connection: Member): void {
    if (this.#sending.delete(connection)) this.#unauthorised.add(connection);
  }

  /** Whether there is room for a connection that this process opens. */
  hasRoom(): boolean {
    return this.#makeRoom(this.max - 1);
  }

  #makeRoom(max: number): boolean {
    if (this.#open.size - this.#turnedAway.size <= max || dropOldest(this.#unauthorised)) return true;
    return this.#sending.size > this.max / 2 && dropOldest(this.#sending);
  }

  #turnAway(connection: Member): void {
    this.#turnedAway.add(connection);
    if (this.#turnedAway.size > MAX_TURNED_AWAY) dropOldest(this.#turnedAway);
  }

  /** Resolves once no connection is open. */
  async empty(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** Shuts down all connections, and destroys those that are not gone in time. */
  async shutDown(timeoutMs: number): Promise<void> {
    for (const connection of this) connection.shutDown();
    const force = new Deadline({
      onDeadline: () => {
        for (const connection of this) connection.destroy();
      },
    });
    this.deadlines.set(force, timeoutMs);
    await this.empty();
    this.deadlines.clear(force);
  }
}

/** Destroys the oldest. Its descriptor is free at once, but it counts as open until the event loop reports its end. */
function dropOldest(connections: Set<Member>): boolean {
  const [oldest] = connections;
  if (oldest === undefined) return false;
  connections.delete(oldest);
  oldest.destroy();
  return true;
}
