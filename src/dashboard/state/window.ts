/** Which rows of a long list are in sight: only those are rendered. Pure. */

export interface Offsets {
  /** `tops[i]` is where row i begins; one more at the end for the height of all, in CSS pixels. */
  tops: Float64Array;
}

export function offsetsOf<T>(rows: readonly T[], heightOf: (row: T) => number): Offsets {
  const tops = new Float64Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) tops[i + 1] = (tops[i] as number) + heightOf(rows[i] as T);
  return { tops };
}

export const heightOfAll = ({ tops }: Offsets): number => tops.at(-1) as number;

/** @returns the first row whose end is below `y` */
export function rowAt({ tops }: Offsets, y: number): number {
  let low = 0;
  let high = tops.length - 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tops[middle + 1] as number) > y) high = middle;
    else low = middle + 1;
  }
  return Math.max(low, 0);
}

/**
 * @param overscan pixels above and below that are rendered too
 * @returns from the first row in sight up to, not including, `end`
 */
export function rowsInSight(
  offsets: Offsets,
  scrollTop: number,
  height: number,
  overscan: number,
): { start: number; end: number } {
  const count = offsets.tops.length - 1;
  if (count === 0) return { start: 0, end: 0 };
  const start = rowAt(offsets, Math.max(scrollTop - overscan, 0));
  const end = Math.min(rowAt(offsets, scrollTop + height + overscan) + 1, count);
  return { start, end };
}

/** Where to scroll so that a row is in sight; the very same place if it is in sight already. */
export function scrollTo(offsets: Offsets, row: number, scrollTop: number, height: number, margin: number): number {
  const top = offsets.tops[row] as number;
  const bottom = offsets.tops[row + 1] as number;
  if (top - margin < scrollTop) return Math.max(top - margin, 0);
  if (bottom + margin > scrollTop + height) return bottom + margin - height;
  return scrollTop;
}
