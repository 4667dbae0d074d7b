/**
 * One line on stderr: the current measurement, the progress, the remaining time. Without a terminal it comes now and
 * then.
 */

const TERMINAL_MS = 200;
const ELSEWHERE_MS = 10_000;

export class Progress {
  readonly #measurements: number;
  readonly #expectedMs: number;
  readonly #begin = performance.now();
  #done = 0;
  /** Of the expected. */
  #doneMs = 0;
  #shownAt = this.#begin;
  #what = '';
  readonly #timer: NodeJS.Timeout | null;

  /** @param expectedMs the expected time of all; the remaining time is corrected by the error so far */
  constructor(measurements: number, expectedMs: number) {
    this.#measurements = measurements;
    this.#expectedMs = expectedMs;
    process.stderr.write(`${measurements} measurements, about ${clock(expectedMs / 1000)}\n`);
    this.#timer = process.stderr.isTTY ? setInterval(() => this.#show(), TERMINAL_MS) : null;
  }

  begin(what: string): void {
    this.#what = what;
    if (process.stderr.isTTY || performance.now() - this.#shownAt > ELSEWHERE_MS) this.#show();
  }

  done(expectedMs: number): void {
    this.#done++;
    this.#doneMs += expectedMs;
  }

  /** Clears the line for other output. */
  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }

  end(): void {
    this.clear();
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #show(): void {
    this.#shownAt = performance.now();
    const spentSeconds = (this.#shownAt - this.#begin) / 1000;
    const pace = this.#doneMs === 0 ? 1 / 1000 : spentSeconds / this.#doneMs;
    const left = `${clock(pace * (this.#expectedMs - this.#doneMs))} left`;
    const line = `${this.#done} of ${this.#measurements}, ${left}: ${this.#what}`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  }
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
}
