/** Bytes in pieces of given sizes, where `everySplit` would be too much. Each piece is a copy of its own. */

/** Pieces of `size` bytes; the last may be shorter. */
export function chop(bytes: Buffer, size: number): Buffer[] {
  return chopBy(bytes, [size]);
}

/** Pieces of the given sizes in turn, over and over. A size of 0 gives an empty piece; not all may be 0. */
export function chopBy(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    pieces.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return pieces;
}
