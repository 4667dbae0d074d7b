/** One line on stderr: how far a long run is. On a terminal it is written over, elsewhere it comes every ten seconds. */

const TERMINAL_MS = 200;
const ELSEWHERE_MS = 10_000;

export class ProgressLine {
  readonly #unit: string;
  readonly #total: number;
  readonly #begin = performance.now();
  #shownAt = this.#begin;
  #shown = false;

  constructor(unit: string, total: number) {
    this.#unit = unit;
    this.#total = total;
  }

  show(done: number): void {
    const now = performance.now();
    if (now - this.#shownAt < (process.stderr.isTTY ? TERMINAL_MS : ELSEWHERE_MS)) return;
    this.#shownAt = now;
    this.#shown = true;
    const perSecond = done / ((now - this.#begin) / 1000);
    const left = clock((this.#total - done) / perSecond);
    const line = `${done} of ${this.#total} ${this.#unit}, ${Math.round(perSecond)} a second, ${left} left`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  }

  clear(): void {
    if (this.#shown && process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    this.#shown = false;
  }
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
}
