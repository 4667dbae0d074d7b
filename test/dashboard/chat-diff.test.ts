import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Diff, diffTexts, joinDiffs, type Row, readPiDiff, splitRows } from '../../src/dashboard/chat/diff.ts';

/** A row as a line of text: sign, numbers, text. */
function show(row: Row): string {
  switch (row.kind) {
    case 'gap':
      return '…';
    case 'same':
      return ` ${row.before},${row.after} ${row.text}`;
    case 'added':
      return `+${row.after} ${row.text}`;
    case 'removed':
      return `-${row.before} ${row.text}`;
  }
}
const shown = (diff: Diff | null) => diff?.rows.map(show);

describe('diffTexts', () => {
  it('finds removed and added lines, with their numbers and counts', () => {
    const diff = diffTexts('a\nb\nc\n', 'a\nB\nc\nd\n');
    assert.deepEqual(shown(diff), [' 1,1 a', '-2 b', '+2 B', ' 3,3 c', '+4 d']);
    assert.deepEqual([diff.added, diff.removed], [2, 1]);
  });

  it('knows new and emptied texts, and equal ones', () => {
    assert.deepEqual(shown(diffTexts('', 'a\nb')), ['+1 a', '+2 b']);
    assert.deepEqual(shown(diffTexts('a\nb', '')), ['-1 a', '-2 b']);
    assert.deepEqual(shown(diffTexts('a', 'a')), []);
  });

  it('leaves out lines far from every change', () => {
    const old = Array.from({ length: 20 }, (_, index) => `${index + 1}`);
    const young = old.with(1, 'x').with(17, 'y');
    const rows = shown(diffTexts(old.join('\n'), young.join('\n')));
    assert.deepEqual(
      rows?.filter((row) => !row.startsWith(' ')),
      ['-2 2', '+2 x', '…', '-18 18', '+18 y'],
    );
    assert.equal(rows?.length, 1 + 2 + 3 + 1 + 3 + 2 + 2);
  });

  it('marks the changes within a line, unless little is the same', () => {
    const [removed, added] = diffTexts('const a = one(x);', 'const a = two(x);').rows as [Row, Row];
    assert.deepEqual('marks' in removed && removed.marks?.filter((mark) => mark.changed).map((mark) => mark.text), [
      'one',
    ]);
    assert.deepEqual('marks' in added && added.marks?.filter((mark) => mark.changed).map((mark) => mark.text), ['two']);
    for (const row of diffTexts('const a = 1;', 'import { b } from "c"').rows) assert.ok(!('marks' in row));
  });

  it('shows a very large edit as removed and added, in bounded time', () => {
    const text = (mark: string) => Array.from({ length: 5000 }, (_, index) => `${mark}${index}`).join('\n');
    const begun = performance.now();
    const diff = diffTexts(text('a'), text('b'));
    assert.ok(performance.now() - begun < 5000);
    assert.deepEqual([diff.added, diff.removed], [5000, 5000]);
  });
});

describe('readPiDiff', () => {
  const text = [' 1 import a', '-2 old', '+2 new', '+3 newer', ' 3 same', '   ...', ' 9 far', '-10 gone'].join('\n');
  it('reads numbers, gaps and counts', () => {
    const diff = readPiDiff(text);
    assert.deepEqual(shown(diff), [
      ' 1,1 import a',
      '-2 old',
      '+2 new',
      '+3 newer',
      ' 3,4 same',
      '…',
      ' 9,10 far',
      '-10 gone',
    ]);
    assert.deepEqual([diff?.added, diff?.removed], [2, 2]);
  });
  it('keeps a text that looks like a number or a sign', () => {
    assert.deepEqual(shown(readPiDiff('- 7 12 apples\n+ 7 - 13 pears')), ['-7 12 apples', '+7 - 13 pears']);
  });
  for (const other of ['', 'no diff', '@@ -1 +1 @@\n-a\n+b', ' 1 same', '+x']) {
    it(`refuses ${JSON.stringify(other)}`, () => assert.equal(readPiDiff(other), null));
  }
});

describe('splitRows', () => {
  it('puts lines beside those that they replace', () => {
    const pairs = splitRows(diffTexts('a\nb\nc\nd', 'a\nB\nd').rows);
    assert.deepEqual(
      pairs.map(({ left, right }) => [left && show(left), right && show(right)]),
      [
        [' 1,1 a', ' 1,1 a'],
        ['-2 b', '+2 B'],
        ['-3 c', null],
        [' 4,3 d', ' 4,3 d'],
      ],
    );
  });
});

describe('joinDiffs', () => {
  it('adds up, with a gap between', () => {
    const joined = joinDiffs([diffTexts('a', 'b', false), diffTexts('c', 'd', false)]);
    assert.deepEqual(shown(joined), ['-null a', '+null b', '…', '-null c', '+null d']);
    assert.deepEqual([joined.added, joined.removed], [2, 2]);
  });
});
