import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { listDirectories } from '../../src/host/directories.ts';
import { Jail } from '../../src/host/jail.ts';
import { SilentPaths } from '../../src/host/silent-paths.ts';
import { descriptorsIn, makeHome } from './home.ts';

function told(message: string): { name: string; message: string } {
  return { name: 'HostError', message };
}

test('folders alone are listed: no files, no dot entries, no links that lead outside or nowhere', async (t) => {
  const { home, outside } = await makeHome(t);
  await mkdir(join(home, 'project/src'), { recursive: true });
  await mkdir(join(home, '.hidden'));
  await mkdir(join(home, '..double'));
  await writeFile(join(home, 'file'), '');
  await symlink('project', join(home, 'link'));
  await symlink(home, join(home, 'link-home'));
  await symlink('.hidden', join(home, 'link-hidden'));
  await symlink(outside, join(home, 'link-outside'));
  await symlink(`${home}-sibling`, join(home, 'link-sibling'));
  await symlink('file', join(home, 'link-file'));
  await symlink('missing', join(home, 'link-dangling'));
  await symlink('link-loop', join(home, 'link-loop'));
  const jail = await Jail.open(home);
  assert.deepEqual(await listDirectories(jail), {
    current: home,
    directories: ['link', 'link-hidden', 'link-home', 'project'],
  });
  assert.equal(await descriptorsIn(home), 0);
});

test('the home folder is the default, and a path is answered by its canonical one', async (t) => {
  const { home } = await makeHome(t);
  await mkdir(join(home, 'project/src'), { recursive: true });
  await symlink('project', join(home, 'link'));
  const jail = await Jail.open(home);
  for (const path of [undefined, null, '', '~', home, `${home}/`]) {
    assert.deepEqual(await listDirectories(jail, path), { current: home, directories: ['link', 'project'] });
  }
  for (const path of ['link', '~/project/', join(home, 'link')]) {
    assert.deepEqual(await listDirectories(jail, path), { current: join(home, 'project'), directories: ['src'] });
  }
});

test('names are in code-point order, not in that of UTF-16 units', async (t) => {
  const { home } = await makeHome(t);
  // U+FF5E is before U+1F389, though its one UTF-16 unit is greater than the first of the other's two.
  const names = ['0', 'A', 'Z', 'a', 'a b', 'aa', 'é', '\uff5e', '🎉'];
  for (const name of names.toReversed()) await mkdir(join(home, name));
  assert.deepEqual((await listDirectories(await Jail.open(home))).directories, names);
});

test('any set of names comes back in code-point order', async (t) => {
  const { base, home } = await makeHome(t);
  const jail = await Jail.open(home);
  const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(name, { maxLength: 20 }), async (names) => {
      const folder = join(home, String(run++));
      const usable = names.filter((name) => !/[\0/]|^\./.test(name));
      for (const name of usable) await mkdir(`${folder}/${name}`, { recursive: true });
      await mkdir(folder, { recursive: true });
      const { directories } = await listDirectories(jail, folder);
      assert.deepEqual(directories, usable.filter((name) => !/\p{Cc}/u.test(name)).toSorted(byCodePoint));
    }),
    { numRuns: 50 },
  );
  assert.equal(await descriptorsIn(base), 0);
});

test('names that are not UTF-8 are left out, U+FFFD itself is not', async (t) => {
  const { home } = await makeHome(t);
  for (const name of [Buffer.from([0x61, 0xff]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('\ufffd')]) {
    await mkdir(Buffer.concat([Buffer.from(`${home}/`), name]));
  }
  assert.deepEqual((await listDirectories(await Jail.open(home))).directories, ['\ufffd']);
});

test('a folder from which no agent could register is left out', async (t) => {
  const { home } = await makeHome(t);
  for (const name of ['a\nb', 'a\tb', '\u001b[31m', '\u0085', 'visible']) await mkdir(join(home, name));
  const jail = await Jail.open(home);
  assert.deepEqual((await listDirectories(jail)).directories, ['visible']);
  await assert.rejects(listDirectories(jail, 'a\nb'), told('Invalid path: control character in path'));
});

test('a folder that is known to be silent is left out, and not looked at', async (t) => {
  const { home } = await makeHome(t);
  for (const name of ['a', 'b', 'bb', 'c']) await mkdir(join(home, name));
  const silentPaths = new SilentPaths([join(home, 'b')]);
  assert.deepEqual((await listDirectories(await Jail.open(home), '~', silentPaths)).directories, ['a', 'bb', 'c']);
  assert.deepEqual(silentPaths.met, []);
});

test('what cannot be listed is refused with a sentence', async (t) => {
  const { home, outside } = await makeHome(t);
  await writeFile(join(home, 'file'), '');
  await symlink(outside, join(home, 'link-outside'));
  await symlink('loop', join(home, 'loop'));
  const jail = await Jail.open(home);
  const vectors: [path: unknown, message: string][] = [
    [outside, 'Path resolves outside home directory'],
    ['/missing', 'Path resolves outside home directory'],
    ['..', 'Path resolves outside home directory'],
    ['link-outside', 'Path resolves outside home directory'],
    ['link-outside/missing', 'Path resolves outside home directory'],
    [`${home}-sibling`, 'Path resolves outside home directory'],
    ['missing', 'Invalid path: no such file or directory'],
    ['file/x', 'Invalid path: not a directory'],
    ['loop', 'Invalid path: too many symbolic links encountered'],
    ['x'.repeat(256), 'Invalid path: name too long'],
    ['x/'.repeat(2048), 'Invalid path: name too long'],
    ['a\0b', 'Invalid path: NUL byte in path'],
    [7, 'Invalid path: not a string'],
    [{}, 'Invalid path: not a string'],
    [[home], 'Invalid path: not a string'],
    [false, 'Invalid path: not a string'],
    ['file', 'Cannot read directory: not a directory'],
  ];
  for (const [path, message] of vectors) await assert.rejects(listDirectories(jail, path), told(message));
  assert.equal(await descriptorsIn(home), 0);
});

test('many listings at once each get their own', async (t) => {
  const { home } = await makeHome(t);
  const names = Array.from({ length: 30 }, (_, index) => `folder-${index}`).sort();
  for (const name of names) await mkdir(join(home, name, `in-${name}`), { recursive: true });
  const jail = await Jail.open(home);
  const listings = await Promise.all(names.map((name) => listDirectories(jail, name)));
  assert.deepEqual(
    listings,
    names.map((name) => ({ current: join(home, name), directories: [`in-${name}`] })),
  );
  assert.equal(await descriptorsIn(home), 0);
});

function byCodePoint(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let index = 0; ; index += 1) {
    const [x, y] = [left[index]?.codePointAt(0) ?? -1, right[index]?.codePointAt(0) ?? -1];
    if (x !== y || x === -1) return x - y;
  }
}
