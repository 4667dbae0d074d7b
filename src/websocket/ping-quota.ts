/**
 * How many pings a peer may send, since each costs a pong, even if the peer reads none: a bucket of two seconds' worth of
 * pings that fills at a steady rate.
 */
export class PingQuota {
  readonly #perSecond: number;
  #left: number;
  #countedAt: number;

  /**
   * @param perSecond pings a second in the long run; twice as many in a burst
   * @param now in milliseconds, on any clock that is not set back
   */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#left = 2 * perSecond;
    this.#countedAt = now;
  }

  /** Counts a ping. @returns false if it is one too many */
  take(now: number): boolean {
    const elapsedMs = now - this.#countedAt;
    // No time gives none: with no limit it would be no number.
    const regained = elapsedMs > 0 ? (elapsedMs * this.#perSecond) / 1000 : 0;
    this.#left = Math.min(2 * this.#perSecond, this.#left + regained) - 1;
    this.#countedAt = now;
    return this.#left >= 0;
  }
}
