import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { countLines, fold, foldLabel, MAX_SHOWN_LINE } from '../../src/dashboard/chat/fold.ts';

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index + 1}`).join('\n');
const texts = (text: string, shown: number, end: 'start' | 'end') =>
  fold(text, shown, end).lines.map((line) => line.text);

describe('fold', () => {
  it('counts lines as an editor does', () => {
    for (const [text, count] of [
      ['', 0],
      ['a', 1],
      ['a\n', 1],
      ['a\nb', 2],
      ['\n', 1],
      ['\n\n', 2],
    ] as const) {
      assert.equal(countLines(text), count, JSON.stringify(text));
    }
  });

  it('shows the first lines, or the last', () => {
    assert.deepEqual(texts('a\nb\nc\n', 2, 'start'), ['a', 'b']);
    assert.deepEqual(texts('a\nb\nc\n', 2, 'end'), ['b', 'c']);
    assert.equal(fold('a\nb\nc\n', 2, 'end').from, 1);
    assert.deepEqual(texts('\n\n', 1, 'start'), ['']);
    assert.deepEqual(texts('\na', 2, 'end'), ['', 'a']);
    assert.deepEqual(texts('\n\na', 2, 'end'), ['', 'a']);
    assert.deepEqual(texts('', 5, 'start'), []);
  });

  it('shows all if there is room, on both sides of the limit', () => {
    for (const end of ['start', 'end'] as const) {
      assert.equal(foldLabel(fold(numbered(180), 180, end)), null);
      assert.equal(foldLabel(fold(numbered(181), 180, end)), 'showing 180 of 181 lines');
      assert.equal(texts(numbered(181), 180, end).length, 180);
    }
    assert.equal(foldLabel(fold(numbered(4312), 180, 'start')), 'showing 180 of 4,312 lines');
  });

  it('cuts a line at its limit, and says how much is left', () => {
    assert.deepEqual(fold('x'.repeat(MAX_SHOWN_LINE), 1, 'start').lines[0]?.cut, 0);
    assert.deepEqual(fold('x'.repeat(1_000_000), 1, 'start').lines[0]?.cut, 1_000_000 - MAX_SHOWN_LINE);
  });

  it('cuts no character in two', () => {
    const line = fold(`${'x'.repeat(MAX_SHOWN_LINE - 1)}😀`, 1, 'start').lines[0];
    assert.deepEqual(line, { text: 'x'.repeat(MAX_SHOWN_LINE - 1), cut: 2 });
  });
});
