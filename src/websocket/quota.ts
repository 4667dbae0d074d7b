/**
 * Limits what a peer may send: pings, because each costs a pong, even if the peer reads none; or messages, bytes and
 * whatever else costs work here. It is a bucket that fills at a steady rate.
 */
export class Quota {
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #countedAt: number;

  /**
   * @param perSecond the allowed amount per second
   * @param now the time in milliseconds, on any clock that is never set back
   * @param burst the most at once; two seconds' worth by default
   */
  constructor(perSecond: number, now: number, burst = 2 * perSecond) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#left = burst;
    this.#countedAt = now;
  }

  /** Takes an amount. @returns false, and takes nothing, if it exceeds the quota */
  take(now: number, amount = 1): boolean {
    const elapsedMs = now - this.#countedAt;
    // The product is only computed for a positive time, because 0 × Infinity is NaN.
    const regained = elapsedMs > 0 ? (elapsedMs * this.#perSecond) / 1000 : 0;
    this.#left = Math.min(this.#burst, this.#left + regained);
    this.#countedAt = now;
    if (this.#left < amount) return false;
    this.#left -= amount;
    return true;
  }
}
