/**
 * One timer wheel for every ping and deadline of the daemon.
 *
 * Ten thousand connections each have a time limit (for a head, a pong, a closing handshake), and nearly none is reached. A
 * deadline is a link in the list of the slot it falls due in, so setting, moving and clearing one costs a few pointer
 * writes. One timer sleeps until the first slot that holds anything.
 *
 *   slots   0   1   2   3  …  511         a slot is TICK_MS wide; a deadline that is due after more than one turn of
 *           │       │                     the wheel stays in its slot until its turn comes
 *           ▼       ▼
 *           D ⇄ D   D
 */

const TICK_MS = 50;
const SLOTS = 512;

/**
 * A timer that comes later than this was not held up by work: the machine or the process was asleep. That time does not
 * count, because nobody could be heard in it: peers would be found dead that nobody had asked.
 */
const ASLEEP_MS = 2000;

/** The longest that `setTimeout` can sleep: a longer sleep is slept in parts. */
const MAX_SLEEP_MS = 2 ** 31 - 1;

export interface Expiring {
  /** May set and clear any deadline, its own too. Must not throw: the others that are due would be a turn late. */
  onDeadline(): void;
}

/** A moment of which its owner is told: not set, or set once. */
export class Deadline {
  readonly owner: Expiring;
  /** In ticks since the wheel began; meaningful while set. */
  dueTick = 0;
  slot = -1;
  previous: Deadline | null = null;
  next: Deadline | null = null;

  constructor(owner: Expiring) {
    this.owner = owner;
  }
}

export class Deadlines {
  readonly #clock: () => number;
  readonly #start: number;
  readonly #slots: (Deadline | null)[] = new Array(SLOTS).fill(null);
  #size = 0;
  /** How long we were asleep, in all, up to the timer that is set. */
  #asleepMs = 0;
  /** Every slot before this tick has been served. */
  #servedTick = 0;
  #timer: NodeJS.Timeout | null = null;
  #timerTick = 0;
  /** Deadlines that are set meanwhile need no timer of their own: the next sleep is worked out once all are served. */
  #serving = false;

  /** @param clock monotonic, in milliseconds */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#start = clock();
  }

  /** How many deadlines are set. */
  get size(): number {
    return this.#size;
  }

  /**
   * The wheel's clock, in milliseconds. It stands still while the process sleeps, and then until the timer that was slept
   * through is heard: bytes may be read before that.
   */
  now(): number {
    const now = this.#clock() - this.#asleepMs;
    return now - this.#oversleptMs(now);
  }

  /**
   * Sets or moves a deadline. It expires once, never early, and late by at most a tick (50 ms) and the time that the event
   * loop is busy. Time asleep does not count.
   *
   * @param delayMs from now, ≥ 0; Infinity is never
   */
  set(deadline: Deadline, delayMs: number): void {
    this.clear(deadline);
    if (delayMs === Number.POSITIVE_INFINITY) return;
    const dueTick = Math.max(this.#servedTick, Math.ceil((this.now() + delayMs - this.#start) / TICK_MS));
    const slot = dueTick % SLOTS;
    const first = this.#slots[slot] as Deadline | null;
    deadline.dueTick = dueTick;
    deadline.slot = slot;
    deadline.next = first;
    if (first !== null) first.previous = deadline;
    this.#slots[slot] = deadline;
    this.#size++;
    if (this.#serving) return;
    if (this.#timer === null || dueTick < this.#timerTick) this.#sleepUntil(dueTick);
  }

  clear(deadline: Deadline): void {
    if (deadline.slot < 0) return;
    const { previous, next, slot } = deadline;
    if (previous === null) this.#slots[slot] = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    deadline.previous = null;
    deadline.next = null;
    deadline.slot = -1;
    this.#size--;
    if (this.#size === 0) this.#stopTimer();
  }

  #sleepUntil(tick: number): void {
    this.#stopTimer();
    this.#timerTick = tick;
    const delayMs = Math.ceil(this.#start + tick * TICK_MS - this.now());
    this.#timer = setTimeout(() => this.#wake(), Math.min(Math.max(0, delayMs), MAX_SLEEP_MS));
    this.#timer.unref();
  }

  #stopTimer(): void {
    if (this.#timer === null) return;
    this.#asleepMs += this.#oversleptMs(this.#clock() - this.#asleepMs);
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** For how long the timer should have been heard, if that is too long to be work: then we were asleep. */
  #oversleptMs(now: number): number {
    if (this.#timer === null) return 0;
    const lateMs = now - this.#start - this.#timerTick * TICK_MS;
    return lateMs > ASLEEP_MS ? lateMs : 0;
  }

  #wake(): void {
    this.#serving = true;
    try {
      this.#serve();
    } finally {
      this.#serving = false;
      if (this.#size > 0) this.#sleepUntil(this.#firstTick());
    }
  }

  #serve(): void {
    this.#stopTimer();
    const currentTick = Math.floor((this.now() - this.#start) / TICK_MS);
    // The wheel may have been empty for long; one turn of it sees every slot.
    const from = Math.max(this.#servedTick, currentTick - SLOTS + 1);
    this.#servedTick = currentTick + 1;
    const due: Deadline[] = [];
    for (let tick = from; tick <= currentTick; tick++) {
      for (let at = this.#slots[tick % SLOTS] as Deadline | null; at !== null; at = at.next) {
        if (at.dueTick <= currentTick) due.push(at);
      }
    }
    for (const deadline of due) {
      // One that expired before it may have cleared or moved this one.
      if (deadline.slot < 0 || deadline.dueTick > currentTick) continue;
      this.clear(deadline);
      deadline.owner.onDeadline();
    }
  }

  /** The first tick that may hold something due: exact within one turn, else the slot's next turn. */
  #firstTick(): number {
    let tick = this.#servedTick;
    while (this.#slots[tick % SLOTS] === null) tick++;
    return tick;
  }
}
