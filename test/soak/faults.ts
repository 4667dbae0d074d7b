/** What should not have happened: how often, and the first few in words. */

const MAX_WORDS = 20;

export class Faults {
  count = 0;
  readonly words: string[] = [];

  add(what: string): void {
    this.count++;
    if (this.words.length < MAX_WORDS) this.words.push(what);
  }

  /** For promises that nobody waits for. */
  readonly catch = (error: unknown): void => this.add(error instanceof Error ? error.message : String(error));
}
