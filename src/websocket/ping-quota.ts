/**
 * Limits the pings of a peer, because each costs a pong, even if the peer reads none. It is a bucket of two seconds'
 * pings that fills at a steady rate.
 */
export class PingQuota {
  readonly #perSecond: number;
  #left: number;
  #countedAt: number;

  /**
   * @param perSecond the allowed pings per second; a burst may have twice as many
   * @param now the time in milliseconds, on any clock that is never set back
   */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#left = 2 * perSecond;
    this.#countedAt = now;
  }

  /** Counts a ping. @returns false if it exceeds the quota */
  take(now: number): boolean {
    const elapsedMs = now - this.#countedAt;
    // The product is only computed for a positive time, because 0 × Infinity is NaN.
    const regained = elapsedMs > 0 ? (elapsedMs * this.#perSecond) / 1000 : 0;
    this.#left = Math.min(2 * this.#perSecond, this.#left + regained) - 1;
    this.#countedAt = now;
    return this.#left >= 0;
  }
}
