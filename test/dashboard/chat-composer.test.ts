import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { onEnter } from '../../src/dashboard/chat/enter.ts';
import { choose, commandChoices, fileChoices, step, type Trigger, triggerAt } from '../../src/dashboard/chat/menu.ts';

describe('onEnter', () => {
  const key = (keys: Partial<{ shift: boolean; mod: boolean; composing: boolean }>) => ({
    shift: false,
    mod: false,
    composing: false,
    ...keys,
  });
  it('sends on a desk, and breaks the line with Shift', () => {
    assert.equal(onEnter(key({}), false), 'send');
    assert.equal(onEnter(key({ shift: true }), false), 'newline');
    assert.equal(onEnter(key({ mod: true }), false), 'steer');
  });
  it('breaks the line on a touch screen', () => {
    assert.equal(onEnter(key({}), true), 'newline');
    assert.equal(onEnter(key({ mod: true }), true), 'steer');
  });
  it('is left to an input method that composes', () => {
    for (const touch of [true, false]) assert.equal(onEnter(key({ composing: true, mod: true }), touch), 'leave');
  });
});

describe('triggerAt', () => {
  const cases: [string, Partial<Trigger> | null][] = [
    ['/', { kind: 'command', from: 0, query: '' }],
    ['/rev', { kind: 'command', from: 0, query: 'rev' }],
    ['/review it', null],
    ['a /rev', null],
    ['@', { kind: 'file', from: 0, query: '' }],
    ['see @src/a', { kind: 'file', from: 4, query: 'src/a' }],
    ['line\n@b', { kind: 'file', from: 5, query: 'b' }],
    ['(@b', { kind: 'file', from: 1, query: 'b' }],
    ['somebody@example.org', null],
    ['@a b', null],
    ['', null],
  ];
  for (const [text, expected] of cases) {
    it(`${JSON.stringify(text)}`, () => {
      const trigger = triggerAt(text, text.length);
      if (expected === null) assert.equal(trigger, null);
      else assert.deepEqual({ ...trigger, ...expected, to: text.length }, trigger);
    });
  }
  it('looks only at the text before the caret', () => {
    assert.equal(triggerAt('@ab', 2)?.query, 'a');
    assert.equal(triggerAt('@ab', 0), null);
  });
});

describe('choices', () => {
  const commands = [{ name: '/review', description: 'Reviews' }, { name: 'preview' }, { name: '/x' }];
  it('of commands begin with the query before they contain it, with their slash', () => {
    assert.deepEqual(
      commandChoices(commands, 'RE').map(({ label }) => label),
      ['/review', '/preview'],
    );
    assert.equal(commandChoices(commands, '').length, 3);
    assert.deepEqual(commandChoices(commands, 'none'), []);
  });

  const files = {
    type: 'files_list',
    cwd: '/',
    files: [
      { path: 'src/app.ts', isDirectory: false },
      { path: 'app', isDirectory: true },
      { path: 'docs/', isDirectory: true },
    ],
  } as const;
  it('of files go on into folders', () => {
    const [folder, file] = fileChoices({ ...files, files: [...files.files] }, 'app');
    assert.deepEqual([folder?.label, folder?.insert, folder?.isFolder], ['src/app.ts', '@src/app.ts ', false]);
    assert.deepEqual([file?.label, file?.insert, file?.isFolder], ['app/', '@app/', true]);
    assert.deepEqual(
      fileChoices({ ...files, files: [...files.files] }, 'doc').map(({ insert }) => insert),
      ['@docs/'],
    );
    assert.deepEqual(fileChoices(null, ''), []);
  });

  it('take the place of trigger and query', () => {
    const trigger = triggerAt('see @ap now', 7) as Trigger;
    assert.deepEqual(choose('see @ap now', trigger, { label: '', hint: '', insert: '@app.ts ', isFolder: false }), {
      text: 'see @app.ts now',
      caret: 11,
    });
  });

  it('are stepped through round and round', () => {
    assert.deepEqual([step(0, -1, 3), step(2, 1, 3), step(0, 1, 0)], [2, 0, 0]);
  });
});
