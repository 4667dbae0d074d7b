/**
 * All connections of a daemon, accepted and opened alike, what they share, and how many there may be.
 *
 *   admit ──▶ UNPROVEN ──(an authorised request)──▶ proven: stays
 *     │          ▲  └──(an answer that takes a while)──▶ SENDING
 *     │          └──(all of it is out)─────────────────────┘
 *     └──(no room)──▶ TURNED AWAY: told so, and has to go
 *
 * The bound lies below the descriptor limit. When it is reached, the unproven go first, the oldest before the others: a
 * flood of silent sockets pushes itself out, and never a client that speaks. Whoever is being sent an answer is pushed out
 * only if such connections fill more than half of the room, so that slow readers lock nobody out either.
 */
import { Deadline, type Deadlines } from './deadlines.ts';

/** How many that found no room may linger over their answer: fewer than the descriptors in reserve. */
const MAX_TURNED_AWAY = 8;

/** What a connection is to all of them. */
export interface Member {
  /** Closes at once. */
  destroy(): void;
  /** Says goodbye, and ends. */
  shutDown(): void;
}

export class Connections {
  readonly deadlines: Deadlines;
  /** Hears of a fault of our own in a handler. It has cost that connection, and nobody else. */
  readonly onFault: (error: unknown) => void;
  /** How many may be open. */
  max = Number.POSITIVE_INFINITY;
  readonly #open = new Set<Member>();
  /** In the order they came. */
  readonly #unproven = new Set<Member>();
  /** They are unproven, and take an answer; in the order in which that began. */
  readonly #sending = new Set<Member>();
  /** They found no room, and are being told so; in the order they came. */
  readonly #turnedAway = new Set<Member>();
  #onEmpty: (() => void)[] = [];

  constructor(deadlines: Deadlines, onFault: (error: unknown) => void) {
    this.deadlines = deadlines;
    this.onFault = onFault;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Those that are open now; what comes or goes meanwhile changes nothing. */
  [Symbol.iterator](): Iterator<Member> {
    return [...this.#open].values();
  }

  add(connection: Member): void {
    this.#open.add(connection);
  }

  remove(connection: Member): void {
    this.#open.delete(connection);
    this.#unproven.delete(connection);
    this.#sending.delete(connection);
    this.#turnedAway.delete(connection);
    if (this.#open.size > 0) return;
    const waiting = this.#onEmpty;
    this.#onEmpty = [];
    for (const resolve of waiting) resolve();
  }

  /**
   * For one that was just accepted, and has proved nothing yet.
   *
   * @returns false where there is no room for it: it may be told so, and has to go
   */
  admit(connection: Member): boolean {
    const hasRoom = this.#makeRoom(this.max);
    if (hasRoom) this.#unproven.add(connection);
    else this.#turnAway(connection);
    return hasRoom;
  }

  /** It has sent an authorised request: it stays. */
  prove(connection: Member): void {
    this.#unproven.delete(connection);
  }

  /** It is taking an answer, and is not to be pushed out in the middle of it. */
  sending(connection: Member): void {
    if (this.#unproven.delete(connection)) this.#sending.add(connection);
  }

  /** It has all of its answer. */
  sent(connection: Member): void {
    if (this.#sending.delete(connection)) this.#unproven.add(connection);
  }

  /** Is there room for one more, of our own opening? */
  hasRoom(): boolean {
    return this.#makeRoom(this.max - 1);
  }

  #makeRoom(max: number): boolean {
    if (this.#open.size - this.#turnedAway.size <= max || dropOldest(this.#unproven)) return true;
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

  /** Says goodbye on each of them, and closes by force what is not gone in time. */
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

/** Its descriptor is free at once; it is counted as open until the event loop has told so. */
function dropOldest(connections: Set<Member>): boolean {
  const [oldest] = connections;
  if (oldest === undefined) return false;
  connections.delete(oldest);
  oldest.destroy();
  return true;
}
