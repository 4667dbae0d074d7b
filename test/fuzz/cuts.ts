/** Where bytes are cut on their way here. */
import type { Random } from './random.ts';

const ONE_IS_BYTE_BY_BYTE = 8;
/** Longer inputs are not cut at every byte: it shows nothing new and takes long. */
const MAX_BYTE_BY_BYTE = 1000;
const MAX_CUTS = 6;

/** Where the chunks end, the last of them with the bytes; some may be empty. */
export function randomCuts(random: Random, length: number): number[] {
  const cuts: number[] = [];
  if (random.oneIn(ONE_IS_BYTE_BY_BYTE) && length < MAX_BYTE_BY_BYTE) {
    for (let at = 1; at < length; at++) cuts.push(at);
  } else {
    for (let times = random.between(1, MAX_CUTS); times > 0; times--) cuts.push(random.below(length + 1));
    cuts.sort((a, b) => a - b);
  }
  cuts.push(length);
  return cuts;
}

/** The chunks, in memory that is not the bytes' own, for a reader may unmask them where they lie. */
export function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const copy = Buffer.from(bytes);
  return cuts.map((end, i) => copy.subarray(cuts[i - 1] ?? 0, end));
}
