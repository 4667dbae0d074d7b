/** Figures as people read them. */
import type { Spread } from '../rounds.ts';

/** Three digits that mean something: 0.123, 4.56, 78.9, 123, 45,600. */
export function number(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const rounded = Number(value.toPrecision(3));
  return rounded.toLocaleString('en-US', { minimumFractionDigits: Math.min(digits, 3), maximumFractionDigits: 3 });
}

/** The median, and from where to where. */
export function spread({ median, min, max }: Spread): string {
  return `${number(median)} (${number(min)}–${number(max)})`;
}

export function milliseconds(value: number): string {
  return value < 1 ? `${number(value * 1000)} µs` : `${number(value)} ms`;
}

export function mebibytes(bytes: number): string {
  return `${number(bytes / 2 ** 20)} MiB`;
}
