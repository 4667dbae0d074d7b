/** Rounds, and the few figures that are made of many. */
import type { Measurement } from './scenario.ts';

/** The order of the subjects: A B C, then C B A, so that a drift of the machine favours none. */
export function orderOf<T>(round: number, subjects: readonly T[]): T[] {
  return round % 2 === 0 ? [...subjects] : [...subjects].reverse();
}

export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** @param values at least one */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1] as number, sorted[Math.floor(middle)] as number];
  return { median: (low + high) / 2, min: sorted[0] as number, max: sorted.at(-1) as number };
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** @returns undefined if the measurement has no such figure */
export function figureOf(measurement: Measurement, figure = 'rate'): number | undefined {
  switch (figure) {
    case 'rate':
      return measurement.work / measurement.cpuSeconds;
    case 'p50Ms':
    case 'p99Ms':
    case 'residentBytes':
      return measurement[figure];
    default:
      return measurement.extra?.[figure];
  }
}

/** @returns null if they have no such figure */
export function spreadOfFigure(measurements: readonly Measurement[], figure?: string): Spread | null {
  return spreadOrNull(measurements.map((measurement) => figureOf(measurement, figure)));
}

/**
 * The spread of the ratios within rounds, in which both were measured with the machine in about the same state.
 * Negative figures, such as memory that was given back, have no ratio, and there is none to zero.
 */
export function spreadOfRatios(
  ours: readonly Measurement[],
  theirs: readonly Measurement[],
  figure?: string,
): Spread | null {
  return spreadOrNull(compare(ours, theirs, figure, (a, b) => (a >= 0 && b > 0 ? a / b : undefined)));
}

export function spreadOfDifferences(
  ours: readonly Measurement[],
  theirs: readonly Measurement[],
  figure?: string,
): Spread | null {
  return spreadOrNull(compare(ours, theirs, figure, (a, b) => a - b));
}

function compare(
  ours: readonly Measurement[],
  theirs: readonly Measurement[],
  figure: string | undefined,
  by: (a: number, b: number) => number | undefined,
): (number | undefined)[] {
  return ours.map((measurement, round) => {
    const other = theirs[round];
    const a = figureOf(measurement, figure);
    const b = other && figureOf(other, figure);
    return a === undefined || b === undefined ? undefined : by(a, b);
  });
}

function spreadOrNull(values: readonly (number | undefined)[]): Spread | null {
  const present = values.filter((value) => value !== undefined);
  return present.length === 0 ? null : spreadOf(present);
}
