/**
 * The ways in which a stream of bytes may be cut on its way here. A parser is right if they make no difference.
 */

export interface Split {
  /** How the bytes were cut, for the message of a failed test. */
  readonly how: string;
  /** Together the bytes. Each a copy of its own, so that a check may change it in place. */
  readonly chunks: Buffer[];
}

export interface EverySplitOptions {
  /** How many random splits to try besides; 20 if not given. */
  readonly rounds?: number;
  /** Where their randomness starts: the same seed gives the same splits. */
  readonly seed?: number;
}

/**
 * Runs the check with the bytes whole, byte by byte, at every split in two, and at random splits. The first failure is
 * thrown on with a note of how the bytes were cut.
 */
export function everySplit(
  bytes: Uint8Array,
  check: (chunks: Buffer[], how: string) => void,
  options: EverySplitOptions = {},
): void {
  for (const { how, chunks } of splits(bytes, options)) {
    try {
      check(chunks, how);
    } catch (error) {
      if (error instanceof Error) error.message += `\n(${bytes.length} bytes, ${how})`;
      throw error;
    }
  }
}

/** The splits that `everySplit` runs through. */
export function* splits(bytes: Uint8Array, { rounds = 20, seed = 1 }: EverySplitOptions = {}): Generator<Split> {
  const cut = (positions: readonly number[]): Buffer[] =>
    [0, ...positions].map((start, i) => Buffer.from(bytes.slice(start, positions[i] ?? bytes.length)));

  yield { how: 'whole', chunks: cut([]) };
  yield { how: 'byte by byte', chunks: cut(Array.from({ length: Math.max(bytes.length - 1, 0) }, (_, i) => i + 1)) };
  // Both ends too: an empty chunk must change nothing.
  for (let i = 0; i <= bytes.length; i++) yield { how: `split at ${i}`, chunks: cut([i]) };
  const random = mulberry32(seed);
  for (let round = 0; round < rounds; round++) {
    const positions = Array.from({ length: 1 + random(8) }, () => random(bytes.length + 1)).sort((a, b) => a - b);
    yield { how: `split at ${positions.join(', ')}`, chunks: cut(positions) };
  }
}

/** A small seeded generator: integers from 0 up to, but not including, `below`. */
function mulberry32(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
