/**
 * Looks up names with the system's own resolver, so that hosts files and search domains count.
 *
 * A look-up occupies a thread of Node's pool for as long as DNS takes. Look-ups of the same name are shared and their
 * number is bounded, so that an unreachable name server cannot starve the pool.
 */
import { lookup } from 'node:dns/promises';
import { Deadline, type Deadlines } from '../transport/deadlines.ts';

/** Libuv uses half of its four threads for look-ups. More look-ups would only queue there. */
const MAX_LOOKUPS = 32;

export interface LookUp {
  /** Ends the wait for the answer. */
  cancel(): void;
}

type OnFound = (addresses: readonly string[] | null) => void;

export class Resolver {
  readonly #deadlines: Deadlines;
  readonly #underWay = new Map<string, Promise<readonly string[]>>();

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  /**
   * @param onFound called once, later, unless cancelled: with the addresses in the system's order, [] if the name does
   *   not resolve, null if there was no answer in time, or too many other names are being looked up
   */
  lookUp(name: string, timeoutMs: number, onFound: OnFound): LookUp {
    const waiting = new Waiting(this.#deadlines, onFound);
    const underWay = this.#underWay.get(name) ?? this.#begin(name);
    if (underWay === null) {
      waiting.expireIn(0);
    } else {
      waiting.expireIn(timeoutMs);
      // This promise never rejects.
      void underWay.then((addresses) => waiting.end(addresses));
    }
    return waiting;
  }

  #begin(name: string): Promise<readonly string[]> | null {
    if (this.#underWay.size >= MAX_LOOKUPS) return null;
    const looking = lookup(name, { all: true })
      .then(
        (found) => found.map(({ address }) => address),
        () => [],
      )
      .finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, looking);
    return looking;
  }
}

class Waiting implements LookUp {
  readonly #deadlines: Deadlines;
  readonly #deadline = new Deadline({ onDeadline: () => this.end(null) });
  #onFound: OnFound | null;

  constructor(deadlines: Deadlines, onFound: OnFound) {
    this.#deadlines = deadlines;
    this.#onFound = onFound;
  }

  expireIn(timeoutMs: number): void {
    this.#deadlines.set(this.#deadline, timeoutMs);
  }

  end(addresses: readonly string[] | null): void {
    const onFound = this.#onFound;
    this.cancel();
    onFound?.(addresses);
  }

  cancel(): void {
    this.#onFound = null;
    this.#deadlines.clear(this.#deadline);
  }
}
