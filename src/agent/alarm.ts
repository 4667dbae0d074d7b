export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls back once after `delayMs` milliseconds, unless the session is closed before. */
  after(delayMs: number, callback: () => void): void;
}

/** A timer that rings once, at the earliest of the moments that it has been set to. */
export class Alarm {
  readonly #clock: Clock;
  readonly #callback: () => void;
  #at: number | null = null;

  constructor(clock: Clock, callback: () => void) {
    this.#clock = clock;
    this.#callback = callback;
  }

  setIn(delayMs: number): void {
    const at = this.#clock.now() + delayMs;
    if (this.#at !== null && this.#at <= at) return;
    this.#at = at;
    this.#clock.after(delayMs, () => {
      // An earlier moment has replaced this one.
      if (this.#at !== at) return;
      this.#at = null;
      this.#callback();
    });
  }
}
