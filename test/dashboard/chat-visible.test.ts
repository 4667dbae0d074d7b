import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { visible } from '../../src/dashboard/chat/visible.ts';

describe('visible', () => {
  it('returns ordinary text as it is, in any script, with tabs, line feeds and joined emoji', () => {
    for (const text of [
      '',
      'plain\ttext\nof two lines',
      'שלום \u200f עולם',
      'مرحبا',
      '👩\u200d👩\u200d👧',
      'क्\u200dष',
      'naïve — “quoted” · ½',
    ]) {
      assert.equal(visible(text), text);
    }
  });

  const shown: [string, string, string][] = [
    ['Escape', '\u001b[31m', '␛[31m'],
    ['NUL', 'a\u0000b', 'a␀b'],
    ['a lone carriage return', 'safe\rrm -rf', 'safe␍rm -rf'],
    ['DEL', '\u007f', '␡'],
    ['C1 controls', '\u009b31m', '⟦U+009B⟧31m'],
    ['a right-to-left override', 'abc\u202e;cba', 'abc⟦U+202E⟧;cba'],
    ['isolates', '\u2066x\u2069', '⟦U+2066⟧x⟦U+2069⟧'],
    ['zero width spaces', 'pay\u200bpal', 'pay⟦U+200B⟧pal'],
    ['line and paragraph separators', 'a\u2028b\u2029c', 'a⟦U+2028⟧b⟦U+2029⟧c'],
    ['a byte order mark within', 'a\ufeffb', 'a⟦U+FEFF⟧b'],
    ['tag characters, beyond the basic plane', 'a\u{e0041}b', 'a⟦U+E0041⟧b'],
  ];
  for (const [what, text, expected] of shown) {
    it(`shows ${what}`, () => assert.equal(visible(text), expected));
  }

  it('shows every one of many', () => assert.equal(visible('\u202e\u202e\u0007'), '⟦U+202E⟧⟦U+202E⟧␇'));
});
