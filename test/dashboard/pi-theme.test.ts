import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readPiTheme } from '../../src/dashboard/theme/pi-theme.ts';

const read = (theme: object) => readPiTheme(JSON.stringify(theme));

describe("a theme of pi's", () => {
  it('gives colours in hex, by name, by index and as oklch', () => {
    const { name, variables, scheme } = read({
      name: 'mine',
      vars: { blue: '#88aaff', same: 'blue' },
      colors: {
        accent: 'same',
        text: '#eeeeee',
        error: 196,
        success: { kind: 'indexed', index: 244 },
        warning: 'oklch(80% 0.1 80)',
        muted: '',
        syntaxKeyword: 3,
      },
    });
    assert.deepEqual([name, scheme], ['mine', 'dark']);
    assert.equal(variables.accent, '#88aaff');
    assert.equal(variables.failed, '#ff0000');
    assert.equal(variables.working, '#808080');
    assert.equal(variables.waiting, 'oklch(80% 0.1 80)');
    assert.equal(variables.muted, undefined);
    assert.equal(variables['syn-keyword'], '#e5e510');
  });

  it('is light or dark by its page, or else by its text', () => {
    assert.equal(read({ colors: { text: '#111111' } }).scheme, 'light');
    assert.equal(read({ colors: { text: '#111' }, export: { pageBg: '#000000' } }).scheme, 'dark');
    assert.equal(read({ name: 'my-light', colors: { accent: '#112233' } }).scheme, 'light');
  });

  it('takes nothing but colours, since they go into styles', () => {
    const evil = [
      'url(https://x)',
      'red; background: url(x)',
      '#12',
      'var(--x)',
      'oklch(1 1 1); x',
      -1,
      256,
      1.5,
      null,
      [],
      true,
    ];
    for (const accent of evil) {
      assert.deepEqual(
        Object.keys(read({ colors: { accent, text: '#fff' } }).variables).sort(),
        ['soft', 'text'],
        String(accent),
      );
    }
    const loop = {
      vars: { a: 'b', b: 'a', constructor: 'a' },
      colors: { accent: 'a', error: 'toString', text: '#fff' },
    };
    assert.deepEqual(Object.keys(read(loop).variables).sort(), ['soft', 'text']);
  });

  it('is refused with a sentence if it is invalid', () => {
    for (const text of ['', '{', '[]', '1', '{}', '{"colors": 1}', '{"colors": {}}'])
      assert.throws(() => readPiTheme(text), /^Error: This /);
  });
});
