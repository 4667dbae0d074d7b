/**
 * Decides whose turn it is to dial. The number of dials in progress is bounded, also for each client address, and
 * addresses are served in turn. So a client that opens relays as fast as it can waits for its own dials, and holds up
 * no other.
 *
 *   wait ─▶ WAITING ──(its turn, in the next phase of the event loop at the earliest)──▶ DIALLING ──(end)──▶ done
 *              └──(end: the client has left)──▶ done, without a dial
 *
 * A client that connects and resets at once has usually left before its turn comes, and costs no dial.
 */

/** The most dials that begin in one turn of the event loop, so that received bytes are read in between. */
const MAX_BEGUN_A_TURN = 16;

export interface TurnLimits {
  /** The most dials in progress. */
  maxDials: number;
  /** The most dials in progress for clients at one address. */
  maxDialsPerAddress: number;
}

export class Turn {
  readonly #queue: Queue;
  readonly begin: () => void;

  /** @param begin called when the turn comes, unless `end` was called before */
  constructor(queue: Queue, begin: () => void) {
    this.#queue = queue;
    this.begin = begin;
  }

  /** Ends the turn, because the dial is done or no longer wanted. A second call has no effect. */
  end(): void {
    this.#queue.end(this);
  }
}

/** The turns of one address. */
class Queue {
  readonly waiting = new Set<Turn>();
  readonly dialling = new Set<Turn>();
  readonly #turns: Turns;
  readonly address: string;

  constructor(turns: Turns, address: string) {
    this.#turns = turns;
    this.address = address;
  }

  end(turn: Turn): void {
    this.#turns.end(this, turn);
  }
}

export class Turns {
  readonly #limits: TurnLimits;
  /** The addresses with a turn that waits or dials. */
  readonly #queues = new Map<string, Queue>();
  /** The addresses with a turn that waits and may begin, in the order in which they are served. */
  readonly #ready = new Set<Queue>();
  #dialling = 0;
  #scheduled = false;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** The number of dials in progress. */
  get dialling(): number {
    return this.#dialling;
  }

  /** @param begin called later, when the turn comes; it must not throw */
  wait(address: string, begin: () => void): Turn {
    let queue = this.#queues.get(address);
    if (queue === undefined) {
      queue = new Queue(this, address);
      this.#queues.set(address, queue);
    }
    const turn = new Turn(queue, begin);
    queue.waiting.add(turn);
    this.#mayBegin(queue);
    return turn;
  }

  end(queue: Queue, turn: Turn): void {
    if (queue.waiting.delete(turn)) {
      if (queue.waiting.size === 0) this.#ready.delete(queue);
    } else if (queue.dialling.delete(turn)) {
      this.#dialling--;
      this.#mayBegin(queue);
    }
    if (queue.waiting.size + queue.dialling.size === 0) this.#queues.delete(queue.address);
  }

  #mayBegin(queue: Queue): void {
    if (queue.waiting.size > 0 && queue.dialling.size < this.#limits.maxDialsPerAddress) this.#ready.add(queue);
    if (this.#ready.size === 0 || this.#dialling >= this.#limits.maxDials || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#serve());
  }

  #serve(): void {
    this.#scheduled = false;
    for (let begun = 0; begun < MAX_BEGUN_A_TURN && this.#dialling < this.#limits.maxDials; begun++) {
      const [queue] = this.#ready;
      if (queue === undefined) return;
      // The address goes to the end of the line.
      this.#ready.delete(queue);
      const [turn] = queue.waiting as Set<Turn>;
      this.#begin(queue, turn as Turn);
    }
    for (const queue of this.#ready) {
      this.#mayBegin(queue);
      break;
    }
  }

  #begin(queue: Queue, turn: Turn): void {
    queue.waiting.delete(turn);
    queue.dialling.add(turn);
    this.#dialling++;
    if (queue.waiting.size > 0 && queue.dialling.size < this.#limits.maxDialsPerAddress) this.#ready.add(queue);
    turn.begin();
  }
}
