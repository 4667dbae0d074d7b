import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { overwritten, parseAnsi, stripAnsi } from '../../src/dashboard/chat/ansi.ts';

const textOf = (text: string) =>
  parseAnsi(text)
    .map((span) => span.text)
    .join('');

describe('parseAnsi', () => {
  it('leaves plain text in one piece', () => {
    assert.deepEqual(parseAnsi('a\nb'), [{ text: 'a\nb', style: {} }]);
    assert.deepEqual(parseAnsi(''), []);
  });

  it('reads colours and styles, and their ends', () => {
    assert.deepEqual(parseAnsi('\u001b[1;31mbad\u001b[22m red\u001b[0m \u001b[4;9;7;3;2mx\u001b[24;29;27;23;22my'), [
      { text: 'bad', style: { bold: true, color: 1 } },
      { text: ' red', style: { color: 1 } },
      { text: ' ', style: {} },
      { text: 'x', style: { underline: true, strike: true, inverse: true, italic: true, dim: true } },
      { text: 'y', style: {} },
    ]);
    assert.deepEqual(parseAnsi('\u001b[92;103mx\u001b[39;49my')[0]?.style, { color: 10, background: 11 });
    assert.deepEqual(parseAnsi('\u001b[mx'), [{ text: 'x', style: {} }]);
  });

  const colours: [string, number][] = [
    ['38;5;9', 9],
    ['38;5;196', 9],
    ['38;5;28', 2],
    ['38;5;240', 8],
    ['38;5;255', 15],
    ['38;2;255;0;0', 9],
    ['38;2;0;128;0', 2],
    ['38;2;10;10;10', 0],
    ['38:2:0:0:255', 12],
    ['38;2;128;128;0', 3],
  ];
  for (const [code, color] of colours) {
    it(`takes ${code} as ${color}`, () => assert.deepEqual(parseAnsi(`\u001b[${code}mx`)[0]?.style, { color }));
  }

  const dropped: [string, string][] = [
    ['cursor movements', 'a\u001b[2Kb\u001b[10;20Hc\u001b[?25ld'],
    ['titles and links', 'a\u001b]0;title\u0007b\u001b]8;;http://x\u001b\\c\u001b]8;;\u001b\\d'],
    ['two-byte escapes and character sets', 'a\u001b7b\u001b(Bc\u001b=d'],
    ['device control strings', 'ab\u001bPq#0\u001b\\cd'],
    ['C1 control sequences', 'ab\u009b31mcd'],
  ];
  for (const [what, text] of dropped) {
    it(`drops ${what}`, () => {
      assert.equal(textOf(text), 'abcd');
      assert.equal(stripAnsi(text), 'abcd');
    });
  }

  it('ends a sequence that never ends with its line', () => {
    assert.equal(textOf('a\u001b]0;never\nb'), 'a\nb');
    assert.equal(textOf('a\u001b[31'), 'a');
    assert.equal(textOf('a\u001b'), 'a');
  });

  it('shows progress lines as they ended', () => {
    assert.equal(textOf('10%\r50%\r100%\r\ndone'), '100%\ndone');
    assert.equal(overwritten('abc\b\bx'), 'ax');
    assert.equal(overwritten('\b\ba'), 'a');
  });

  it('takes a megabyte of escapes, and one that never ends, in bounded time', () => {
    const begun = performance.now();
    parseAnsi('\u001b[31mx'.repeat(170_000));
    parseAnsi('\u001b]'.repeat(500_000));
    parseAnsi(`\u001b[${'1;'.repeat(500_000)}`);
    overwritten(`${'a'.repeat(20_000)}${'\b'.repeat(20_000)}`);
    assert.ok(performance.now() - begun < 10_000);
  });
});
