/** What a part of the run finds out: one line of the table each. */
import { KIBIBYTE, MEBIBYTE } from '../../bench/units.ts';

export interface Figure {
  what: string;
  bound: string;
  measured: string;
  /** Null where there is no bound of ours to meet. */
  met: boolean | null;
}

/** Tells whoever waits how far a part is. */
export type Say = (text: string) => void;

export interface Part {
  readonly title: string;
  run(say: Say): Promise<Figure[]>;
}

export function inMebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
}

export function inKibibytes(bytes: number): string {
  return `${(bytes / KIBIBYTE).toFixed(0)} KiB`;
}

export function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

export function inMs(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}

/** What is told and has no bound. */
export function figure(what: string, measured: string): Figure {
  return { what, bound: '', measured, met: null };
}

export function atMost(what: string, measured: number, bound: number, print: (value: number) => string): Figure {
  return { what, bound: `≤ ${print(bound)}`, measured: print(measured), met: measured <= bound };
}

export function exactly(what: string, measured: string | number, wanted: string | number): Figure {
  return { what, bound: String(wanted), measured: String(measured), met: measured === wanted };
}

/** Half of the values, and 99 of 100, are at most so much; and the greatest of all. */
export function spread(values: readonly number[]): { median: number; p99: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { median: at(0.5), p99: at(0.99), max: at(1) };
}
