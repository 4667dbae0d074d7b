import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnusablePathError } from '../../src/host/error.ts';
import { expandPath, hasUnfitCharacter, isFitName, isRelativeName } from '../../src/host/expand-path.ts';

const HOME = '/home/u';

test('the home folder as a shell has it, and file URLs, are what they mean', () => {
  for (const [typed, meant] of [
    ['~', '/home/u'],
    ['~/', '/home/u/'],
    ['~/x/y', '/home/u/x/y'],
    ['$HOME', '/home/u'],
    ['$HOME/x', '/home/u/x'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's, not JavaScript's
    ['${HOME}', '/home/u'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's, not JavaScript's
    ['${HOME}/x', '/home/u/x'],
    ['file:///home/u/a%20b', '/home/u/a b'],
    ['file://localhost/home/u', '/home/u'],
    ['FILE:///x', '/x'],
    ['file:/x', '/x'],
    // All of these may be folders.
    ['', ''],
    ['x', 'x'],
    ['/x', '/x'],
    ['./~', './~'],
    ['x/~', 'x/~'],
    ['~user', '~user'],
    ['$HOMEWORK', '$HOMEWORK'],
    ['$WORK/x', '$WORK/x'],
    ['file', 'file'],
    ['file:', 'file:'],
    ['a b ', 'a b '],
  ] as const) {
    assert.equal(expandPath(typed, HOME), meant, typed);
  }
});

test('the URL of a file elsewhere is refused', () => {
  for (const typed of ['file://server/share', 'file:///a%2Fb', 'file:///%zz']) {
    assert.throws(() => expandPath(typed, HOME), new UnusablePathError('not the URL of a local file'), typed);
  }
});

test('a name for a folder in another is no path to somewhere else', () => {
  for (const name of ['x', 'a/b', ' x', 'x~', 'a$b', '..', '.x', 'a:b', 'c:', 'http', 'http:x']) {
    assert.equal(isRelativeName(name), true, name);
  }
  for (const name of [
    '~',
    '~/x',
    '~user',
    '$HOME',
    '$HOME/x',
    '$x',
    'file:///x',
    'file:/x',
    'FILE:///x',
    'https://x',
  ]) {
    assert.equal(isRelativeName(name), false, name);
  }
});

test('no folder gets a name that a shell would replace, or one that is invisible', () => {
  for (const name of ['x', 'é🎉', 'a~', 'a$', '..x', 'files:', 'file']) assert.equal(isFitName(name), true, name);
  for (const name of ['~', '~x', '$HOME', '$x', 'file:', 'File:', 'a\nb', '\u0085', '\ud800', 'a\u007f']) {
    assert.equal(isFitName(name), false, JSON.stringify(name));
  }
});

test('characters that no registration carries are found', () => {
  for (const path of ['/x', '/é 🎉', '/\u2028', '/a\u00a0b']) assert.equal(hasUnfitCharacter(path), false);
  for (const path of ['/\n', '/a\tb', '/\u0000', '/\u001b', '/\u007f', '/\u009f', '/\ud800']) {
    assert.equal(hasUnfitCharacter(path), true, JSON.stringify(path));
  }
});
