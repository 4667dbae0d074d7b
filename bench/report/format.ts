/** Figures as people read them. */
import type { Spread } from '../rounds.ts';
import type { Scenario } from '../scenario.ts';

/** So many digits that mean something: 0.123, 4.56, 78.9, 123, 45,600. */
export function number(value: number, digits = 3): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value))));
  const rounded = Number(value.toPrecision(digits));
  return rounded.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** The median, and the range. */
export function spread({ median, min, max }: Spread): string {
  return `${number(median)} (${number(min)}–${number(max)})`;
}

export function milliseconds(value: number): string {
  return value < 1 ? `${number(value * 1000)} µs` : `${number(value)} ms`;
}

export function mebibytes(bytes: number): string {
  return `${number(bytes / 2 ** 20)} MiB`;
}

/** What the scenario's column and chart are about. */
export function headlineOf({ unit, headline }: Scenario): string {
  return headline === undefined ? `${unit} per CPU second` : `${headline} (less is better)`;
}
