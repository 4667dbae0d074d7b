/**
 * All connections of a process, accepted and opened alike: their shared state, and their greatest number.
 *
 *   admit ─┬─▶ UNAUTHORISED ──(an authorised request)──▶ AUTHORISED, which stays
 *          │      ▲  └──(a large answer is being sent)──▶ SENDING
 *          │      └──────────(all of it is sent)─────────────┘
 *          └──(no room)──▶ TURNED AWAY, which is told so and closed
 *
 * The maximum lies below the descriptor limit. When it is reached, the oldest unauthorised connection is closed for
 * each new one. So a flood of silent sockets closes its own connections, and never that of a client at work. A
 * connection that is being sent an answer is closed only if such connections take more than half of the room: slow
 * readers lock nobody out.
 */
import { Deadline, type Deadlines } from './deadlines.ts';

/** How many connections that found no room may be open, to be told so. Fewer than the descriptors in reserve. */
const MAX_TURNED_AWAY = 8;

/** A connection, as far as this set needs to know it. */
export interface Member {
  /** Closes at once. */
  destroy(): void;
  /** Tells the peer that it is ending, and ends. */
  shutDown(): void;
}

export class Connections {
  readonly deadlines: Deadlines;
  /** Called with an error that a handler threw: a fault of our own, which costs that connection and no other. */
  readonly onFault: (error: unknown) => void;
  /** The most that may be open. */
  max = Number.POSITIVE_INFINITY;
  readonly #open = new Set<Member>();
  /** In the order in which they came. */
  readonly #unauthorised = new Set<Member>();
  /** Unauthorised too. In the order in which their answers began. */
  readonly #sending = new Set<Member>();
  /** In the order in which they came. */
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
   * @returns false if there is no room for it: it may be told so, and must then be closed
   */
  admit(connection: Member): boolean {
    const hasRoom = this.#makeRoom(this.max);
    if (hasRoom) this.#unauthorised.add(connection);
    else this.#turnAway(connection);
    return hasRoom;
  }

  /** The connection has sent an authorised request, so it is never closed to make room. */
  markAuthorised(connection: Member): void {
    this.#unauthorised.delete(connection);
  }

  /** A large answer is being sent on an unauthorised connection, which is to get it whole. */
  beginSending(connection: Member): void {
    if (this.#unauthorised.delete(connection)) this.#sending.add(connection);
  }

  /** All of the answer is sent. */
  endSending(connection: Member): void {
    if (this.#sending.delete(connection)) this.#unauthorised.add(connection);
  }

  /** Whether there is room for a connection that we open. */
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

  /** Resolves once none is open. */
  async empty(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** Shuts each connection down, and closes those by force that are not gone in time. */
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

/** The descriptor is free at once, but the connection counts as open until the event loop reports its end. */
function dropOldest(connections: Set<Member>): boolean {
  const [oldest] = connections;
  if (oldest === undefined) return false;
  connections.delete(oldest);
  oldest.destroy();
  return true;
}
