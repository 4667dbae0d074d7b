/** What is fuzzed, and how two opinions on it are compared. */

/** One kind of input and what must be true of it. */
export interface Target {
  readonly name: 'frames' | 'heads' | 'requests';
  /** What one input is, for the progress line. */
  readonly unit: string;
  /** Makes the input of that number and checks it. @throws what is wrong */
  check(seed: number, index: number): void;
  /** The input that was made last, in words and hex. */
  shown(): string;
  /** Whose the other opinion is. */
  readonly peer: string;
  /** Where it differs, and is meant to. */
  readonly differences: readonly DifferenceText[];
  /** How often each of them was met, by its id. */
  readonly met: Map<string, number>;
}

/** One place where a peer's judgement is meant to differ from ours, in words. */
export interface DifferenceText {
  readonly id: string;
  /** What the peer does; the words go on after its name. */
  readonly peer: string;
  /** What we do. */
  readonly we: string;
  readonly because: string;
}

export interface Difference<Ours, Theirs, Input = void> extends DifferenceText {
  /** Whether this and nothing else is why these two outcomes differ. */
  explains(ours: Ours, theirs: Theirs, input: Input): boolean;
}

/** An input on which somebody is wrong. */
export class Disagreement extends Error {
  constructor(what: string, ...details: [whose: string, outcome: unknown][]) {
    super([what, ...details.map(([whose, outcome]) => `  ${whose}: ${String(outcome)}`)].join('\n'));
    this.name = 'Disagreement';
  }
}

export function count(met: Map<string, number>, id: string): void {
  met.set(id, (met.get(id) ?? 0) + 1);
}
