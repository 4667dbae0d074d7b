/**
 * One timer wheel for every ping and deadline of the process.
 *
 * Ten thousand connections each have a time limit (for a head, a pong, a closing handshake), and almost none is
 * reached. A deadline is a link in the list of the slot in which it is due, so setting, moving or clearing it costs a
 * few pointer writes. One timer sleeps until the first slot that is not empty.
 *
 *   slots   0   1   2   3  …  511         a slot is TICK_MS wide; a deadline that is due after more than one turn of
 *           │       │                     the wheel stays in its slot for that many turns
 *           ▼       ▼
 *           D ⇄ D   D
 */

const TICK_MS = 50;
const SLOTS = 512;

/**
 * A timer that is later than this was not held up by work: the machine or the process was asleep. Time asleep does not
 * count. No peer could be heard in it, so live peers would be taken for dead.
 */
const ASLEEP_MS = 2000;

/** The longest time that `setTimeout` can sleep. A longer sleep is split. */
const MAX_SLEEP_MS = 2 ** 31 - 1;

export interface Expiring {
  /**
   * Called when the deadline has passed. It may set and clear any deadline. If it throws, other due deadlines are late.
   */
  onDeadline(): void;
}

/** A moment at which its owner is called. It is set once, or not set. */
export class Deadline {
  readonly owner: Expiring;
  /** In ticks since the start of the wheel; meaningful while set. */
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
  /** The total time asleep, up to the current timer. */
  #asleepMs = 0;
  /** Every slot before this tick has been served. */
  #servedTick = 0;
  #timer: NodeJS.Timeout | null = null;
  #timerTick = 0;
  /**
   * True while due deadlines are served. A deadline set meanwhile starts no timer; the next sleep is computed at the
   * end.
   */
  #serving = false;

  /** @param clock monotonic, in milliseconds */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#start = clock();
  }

  /** The number of deadlines that are set. */
  get size(): number {
    return this.#size;
  }

  /**
   * The wheel's clock, in milliseconds. It stands still while the process sleeps, and afterwards until the overdue
   * timer runs, because bytes may be read before that.
   */
  now(): number {
    const now = this.#clock() - this.#asleepMs;
    return now - this.#oversleptMs(now);
  }

  /**
   * Sets or moves a deadline. It passes once, never early, and late by at most a tick (50 ms) and the time that the
   * event loop is busy. Time asleep does not count.
   *
   * @param delayMs the delay from now, at least 0; Infinity means never
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

  /** How late the timer is, if that is too late to be caused by work; 0 otherwise. */
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
    // The wheel may have been empty for long. One turn visits every slot.
    const from = Math.max(this.#servedTick, currentTick - SLOTS + 1);
    this.#servedTick = currentTick + 1;
    const due: Deadline[] = [];
    for (let tick = from; tick <= currentTick; tick++) {
      for (let at = this.#slots[tick % SLOTS] as Deadline | null; at !== null; at = at.next) {
        if (at.dueTick <= currentTick) due.push(at);
      }
    }
    for (const deadline of due) {
      // The owner of an earlier deadline may have cleared or moved this one.
      if (deadline.slot < 0 || deadline.dueTick > currentTick) continue;
      this.clear(deadline);
      deadline.owner.onDeadline();
    }
  }

  /** The first tick that may have a due deadline. It is exact within one turn of the wheel. */
  #firstTick(): number {
    let tick = this.#servedTick;
    while (this.#slots[tick % SLOTS] === null) tick++;
    return tick;
  }
}
