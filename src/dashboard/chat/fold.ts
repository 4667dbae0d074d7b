/** Cuts long output to the part worth showing at first. The text itself stays whole, to be shown or copied. */

/** Lines that fit into a folded box, about 260 px. */
export const FOLDED_LINES = 13;
/** Lines that one more press on "Show more" adds. */
export const STEP_LINES = 1000;
/** A longer line is cut: laying out a single line of a megabyte would take seconds. */
export const MAX_SHOWN_LINE = 1000;

export interface Fold {
  /** The lines to show, each of at most `MAX_SHOWN_LINE` characters, and how many more it had. */
  readonly lines: readonly { readonly text: string; readonly cut: number }[];
  /** The index of the first line in the whole text, from 0. */
  readonly from: number;
  readonly total: number;
}

/**
 * @param shown how many lines at most
 * @param end which end is shown: a program's output tells most at its end, a file at its start
 */
export function fold(text: string, shown: number, end: 'start' | 'end'): Fold {
  const total = countLines(text);
  const count = Math.min(shown, total);
  const from = end === 'start' ? 0 : total - count;
  const body = text.endsWith('\n') ? text.slice(0, -1) : text;
  const slice = end === 'start' ? firstLines(body, count) : lastLines(body, count);
  const lines = total === 0 ? [] : slice.split('\n').map((line) => cutLine(line));
  return { lines, from, total };
}

/** A line feed at the very end ends the last line and begins no other. */
export function countLines(text: string): number {
  if (text === '') return 0;
  let count = text.endsWith('\n') ? 0 : 1;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}

function firstLines(text: string, count: number): string {
  let end = -1;
  for (let line = 0; line < count; line++) {
    end = text.indexOf('\n', end + 1);
    if (end === -1) return text;
  }
  return text.slice(0, Math.max(0, end));
}

function lastLines(text: string, count: number): string {
  let start = text.length;
  for (let line = 0; line < count; line++) {
    if (start === 0) return text;
    start = text.lastIndexOf('\n', start - 1);
    if (start === -1) return text;
  }
  return text.slice(start + 1);
}

function cutLine(line: string): { text: string; cut: number } {
  if (line.length <= MAX_SHOWN_LINE) return { text: line, cut: 0 };
  // Never between the halves of a surrogate pair.
  const end = /[\ud800-\udbff]/.test(line[MAX_SHOWN_LINE - 1] as string) ? MAX_SHOWN_LINE - 1 : MAX_SHOWN_LINE;
  return { text: line.slice(0, end), cut: line.length - end };
}

const numbers = new Intl.NumberFormat('en');

/** "showing 180 of 4,312 lines"; null if nothing is left out. */
export function foldLabel({ lines, total }: Fold): string | null {
  if (lines.length >= total) return null;
  return `showing ${numbers.format(lines.length)} of ${numbers.format(total)} lines`;
}
