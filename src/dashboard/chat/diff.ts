/** The changes of an edit, as rows for one column or two. */
import { diffArrays, diffWordsWithSpace } from 'diff';

export type Row =
  | { readonly kind: 'same'; readonly before: number | null; readonly after: number | null; readonly text: string }
  | {
      readonly kind: 'removed';
      readonly before: number | null;
      readonly text: string;
      readonly marks?: readonly Mark[];
    }
  | { readonly kind: 'added'; readonly after: number | null; readonly text: string; readonly marks?: readonly Mark[] }
  | { readonly kind: 'gap' };

/** A part of a changed line, and whether that part changed. */
export interface Mark {
  readonly text: string;
  readonly changed: boolean;
}

export interface Diff {
  readonly rows: readonly Row[];
  readonly added: number;
  readonly removed: number;
}

/** With more lines on either side, or more changes, an edit is shown as all removed, all added: to save time. */
const MAX_DIFFED_LINES = 4000;
const MAX_EDITS = 600;
/** Longer lines get no marks within them. */
const MAX_MARKED_CHARACTERS = 400;
const CONTEXT_LINES = 3;

/** The difference between two texts. Line numbers count from 1 within them; `numbered: false` leaves them out. */
export function diffTexts(before: string, after: string, numbered = true): Diff {
  const [old, young] = [lines(before), lines(after)];
  const small = old.length <= MAX_DIFFED_LINES && young.length <= MAX_DIFFED_LINES;
  const found = small ? diffArrays(old, young, { maxEditLength: MAX_EDITS }) : undefined;
  const changes = found ?? [
    { value: old, removed: true, added: false },
    { value: young, removed: false, added: true },
  ];
  const rows: Row[] = [];
  let [oldAt, youngAt] = [1, 1];
  const number = (at: number) => (numbered ? at : null);
  for (const { value, added, removed } of changes) {
    for (const text of value) {
      if (added) rows.push({ kind: 'added', after: number(youngAt++), text });
      else if (removed) rows.push({ kind: 'removed', before: number(oldAt++), text });
      else rows.push({ kind: 'same', before: number(oldAt++), after: number(youngAt++), text });
    }
  }
  return finish(withoutFarContext(rows));
}

/**
 * Reads the diff that pi's edit tool returns: each line `+`, `-` or a space, the padded line number, a space and the text;
 * `...` for lines left out. Null if it is anything else.
 */
export function readPiDiff(text: string): Diff | null {
  const rows: Row[] = [];
  // For unchanged lines pi gives only the number in the old file.
  let shift = 0;
  for (const line of text.replace(/\n$/, '').split('\n')) {
    const match = /^([+\- ])( *)(\d*) (.*)$/.exec(line);
    if (match === null) return null;
    const [, sign, , digits, rest] = match as unknown as [string, string, string, string, string];
    if (digits === '') {
      if (sign !== ' ' || rest.trim() !== '...') return null;
      rows.push({ kind: 'gap' });
      continue;
    }
    const at = Number(digits);
    if (sign === '+') {
      rows.push({ kind: 'added', after: at, text: rest });
      shift += 1;
    } else if (sign === '-') {
      rows.push({ kind: 'removed', before: at, text: rest });
      shift -= 1;
    } else rows.push({ kind: 'same', before: at, after: at + shift, text: rest });
  }
  return rows.some((row) => row.kind === 'added' || row.kind === 'removed') ? finish(rows) : null;
}

/** Several differences as one, with a gap between each two. */
export function joinDiffs(diffs: readonly Diff[]): Diff {
  return {
    rows: diffs.flatMap(({ rows }, index): Row[] => (index === 0 ? [...rows] : [{ kind: 'gap' }, ...rows])),
    added: diffs.reduce((sum, { added }) => sum + added, 0),
    removed: diffs.reduce((sum, { removed }) => sum + removed, 0),
  };
}

/** Rows for two columns: removed lines beside the lines that replace them. */
export function splitRows(rows: readonly Row[]): { readonly left: Row | null; readonly right: Row | null }[] {
  const pairs: { left: Row | null; right: Row | null }[] = [];
  for (let at = 0; at < rows.length; ) {
    const row = rows[at] as Row;
    if (row.kind === 'same' || row.kind === 'gap') {
      pairs.push({ left: row, right: row });
      at += 1;
      continue;
    }
    const [removed, added, next] = changeAt(rows, at);
    for (let index = 0; index < Math.max(removed.length, added.length); index++) {
      pairs.push({ left: removed[index] ?? null, right: added[index] ?? null });
    }
    at = next;
  }
  return pairs;
}

/** The removed and then the added rows from `at` on, and the index behind them. */
function changeAt(rows: readonly Row[], at: number): [Row[], Row[], number] {
  let next = at;
  const take = (kind: Row['kind']) => {
    const from = next;
    while (rows[next]?.kind === kind) next += 1;
    return rows.slice(from, next);
  };
  const removed = take('removed');
  const added = take('added');
  return [removed, added, next];
}

function lines(text: string): string[] {
  if (text === '') return [];
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
}

function withoutFarContext(rows: readonly Row[]): Row[] {
  const near = new Uint8Array(rows.length);
  for (const [index, row] of rows.entries()) {
    if (row.kind === 'same') continue;
    near.fill(1, Math.max(0, index - CONTEXT_LINES), index + CONTEXT_LINES + 1);
  }
  const kept: Row[] = [];
  for (const [index, row] of rows.entries()) {
    if (near[index] === 1) kept.push(row);
    else if (index > 0 && near[index - 1] === 1 && near.indexOf(1, index) !== -1) kept.push({ kind: 'gap' });
  }
  return kept;
}

/** Counts changed lines, and marks the changes within lines that were replaced one by one. */
function finish(rows: readonly Row[]): Diff {
  const marked: Row[] = [];
  for (let at = 0; at < rows.length; ) {
    const row = rows[at] as Row;
    if (row.kind !== 'removed') {
      marked.push(row);
      at += 1;
      continue;
    }
    const [removed, added, next] = changeAt(rows, at);
    const pairs =
      removed.length === added.length ? removed.map((old, index) => markPair(old, added[index] as Row)) : null;
    if (pairs === null) marked.push(...removed, ...added);
    else marked.push(...pairs.map(([old]) => old), ...pairs.map(([, young]) => young));
    at = next;
  }
  const count = (kind: Row['kind']) => rows.reduce((sum, row) => sum + (row.kind === kind ? 1 : 0), 0);
  return { rows: marked, added: count('added'), removed: count('removed') };
}

function markPair(old: Row, young: Row): [Row, Row] {
  if (old.kind !== 'removed' || young.kind !== 'added') return [old, young];
  if (Math.max(old.text.length, young.text.length) > MAX_MARKED_CHARACTERS) return [old, young];
  const parts = diffWordsWithSpace(old.text, young.text);
  const same = parts.reduce((sum, part) => sum + (part.added || part.removed ? 0 : part.value.trim().length), 0);
  // Two lines with little in common are not two versions of one line.
  if (same * 3 < Math.min(old.text.trim().length, young.text.trim().length)) return [old, young];
  const side = (leave: 'added' | 'removed') =>
    parts.filter((part) => !part[leave]).map((part) => ({ text: part.value, changed: part.added || part.removed }));
  return [
    { ...old, marks: side('added') },
    { ...young, marks: side('removed') },
  ];
}
