import assert from 'node:assert/strict';
import fs, { mkdir, readdir, realpath, rename, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join, sep } from 'node:path';
import { test } from 'node:test';
import { HostError, UnusablePathError } from '../../src/host/error.ts';
import { Jail } from '../../src/host/jail.ts';
import { descriptorsIn, makeHome, type TestHome } from './home.ts';

const OUTSIDE = new HostError('Path resolves outside home directory');

/** What exists in the home of most tests. */
async function furnish({ home, outside }: TestHome): Promise<void> {
  await mkdir(join(home, 'project/src'), { recursive: true });
  await mkdir(join(home, 'Grüße 🎉'));
  await mkdir(join(home, '~'));
  await writeFile(join(home, 'file'), '');
  await symlink('project/src', join(home, 'to-src'));
  await symlink(outside, join(home, 'to-outside'));
  await symlink('/', join(home, 'to-root'));
  await symlink(join(home, 'missing'), join(home, 'dangling'));
  await symlink(join(outside, 'missing'), join(home, 'dangling-outside'));
  await symlink('loop', join(home, 'loop'));
  await symlink('file', join(home, 'to-file'));
}

/** Ways to write a path, and where in home each leads. */
const INSIDE = (home: string): [path: string, name: string][] => [
  [home, ''],
  [`${home}/`, ''],
  ['', ''],
  ['.', ''],
  ['~', ''],
  ['~/', ''],
  ['./~', '~'],
  ['~user', '~user'],
  ['~\\x', '~\\x'],
  ['project', 'project'],
  ['project/', 'project'],
  ['~/project', 'project'],
  ['$HOME/project', 'project'],
  [`file://${home}/project`, 'project'],
  [`${home}//project/./src/..`, 'project'],
  [`${home}/../home/project`, 'project'],
  ['to-src', 'project/src'],
  ['to-src/..', ''],
  ['to-root/..', ''],
  ['Grüße 🎉', 'Grüße 🎉'],
];

const ELSEWHERE = ({ home, outside }: TestHome): string[] => [
  '/',
  '..',
  '../',
  '~/..',
  outside,
  `${home}-sibling`,
  '../home-sibling',
  'project/../..',
  'missing/../..',
  'to-outside',
  'to-outside/secret',
  'to-root',
  'to-root/etc',
  // Whether these exist is nobody's business.
  '/missing',
  `${outside}/missing`,
  'to-outside/missing',
  'missing/../../missing',
  `/${'x'.repeat(200)}`,
  '/etc/passwd/x',
];

for (const throughDescriptors of [true, false]) {
  const mode = throughDescriptors ? 'through descriptors' : 'by name';

  test(`paths inside are entered, ${mode}`, async (t) => {
    const place = await makeHome(t);
    await furnish(place);
    await mkdir(join(place.home, '~user'));
    await mkdir(join(place.home, '~\\x'));
    const jail = await Jail.open(place.home, throughDescriptors);
    for (const [path, name] of INSIDE(place.home)) {
      const expected = join(place.home, name).replace(/\/$/, '');
      assert.equal(await jail.canonicalise(path), expected, path);
      const folder = await jail.enter(path);
      assert.equal(folder.path, expected, path);
      assert.equal(await realpath(folder.handlePath), expected, path);
      assert.equal(folder.handlePath === folder.path, !throughDescriptors);
      await folder.close();
    }
  });

  test(`paths outside are refused, whether they exist or not, ${mode}`, async (t) => {
    const place = await makeHome(t);
    await furnish(place);
    const jail = await Jail.open(place.home, throughDescriptors);
    for (const path of ELSEWHERE(place)) {
      await assert.rejects(jail.canonicalise(path), OUTSIDE, path);
      await assert.rejects(jail.enter(path), OUTSIDE, path);
      await assert.rejects(jail.create(path, 'new'), OUTSIDE, path);
      await assert.rejects(jail.create('missing', join('..', path)), OUTSIDE, path);
    }
    assert.deepEqual(await readdir(place.outside), ['secret']);
    assert.deepEqual(await readdir(`${place.home}-sibling`), []);
    assert.equal((await readdir(place.home)).includes('missing'), false);
  });

  test(`paths inside that lead to no folder are refused by the system's code, ${mode}`, async (t) => {
    const place = await makeHome(t);
    await furnish(place);
    const jail = await Jail.open(place.home, throughDescriptors);
    const vectors: [path: string, code: string][] = [
      ['missing', 'ENOENT'],
      ['missing/missing', 'ENOENT'],
      ['dangling', 'ENOENT'],
      ['file', 'ENOTDIR'],
      ['to-file', 'ENOTDIR'],
      ['file/x', 'ENOTDIR'],
      ['loop', 'ELOOP'],
    ];
    for (const [path, code] of vectors) await assert.rejects(jail.enter(path), { code }, path);
    for (const path of ['file', 'to-file', 'loop', 'dangling', 'dangling-outside']) {
      await assert.rejects(jail.create(path, 'new'), { code: 'ENOTDIR' }, path);
      await assert.rejects(jail.create('.', `${path}/new`), { code: 'ENOTDIR' }, path);
      await assert.rejects(jail.create('.', path), { code: 'ENOTDIR' }, path);
    }
    assert.deepEqual(await readdir(place.outside), ['secret']);
  });

  test(`new folders are made with their parents, ${mode}`, async (t) => {
    const place = await makeHome(t);
    await furnish(place);
    const jail = await Jail.open(place.home, throughDescriptors);
    const vectors: [path: string, newFolder: string, name: string][] = [
      ['~', 'new', 'new'],
      ['~', 'new', 'new'],
      ['project', 'a/b/c', 'project/a/b/c'],
      ['deep/er', 'x/', 'deep/er/x'],
      ['to-src', 'y', 'project/src/y'],
      ['~', 'to-src/z', 'project/src/z'],
      ['project', 'a/../d', 'project/d'],
      ['project', '.', 'project'],
      ['~', '..x', '..x'],
      ['~', '...', '...'],
      ['~', '新しい🎉', '新しい🎉'],
      // It is there.
      ['./~', 'in', '~/in'],
      ['$HOME', 'new', 'new'],
      [`file://${encodeURI(place.home)}/project`, 'new', 'project/new'],
    ];
    for (const [path, newFolder, name] of vectors) {
      const folder = await jail.create(path, newFolder);
      assert.equal(folder.path, join(place.home, name));
      assert.equal(await realpath(folder.handlePath), folder.path);
      await folder.close();
    }
  });

  test(`a new folder that climbs out of its parent is refused, also inside home, ${mode}`, async (t) => {
    const { home } = await makeHome(t);
    const jail = await Jail.open(home, throughDescriptors);
    for (const newFolder of ['..', '../x', 'a/../..', 'a/../../b', '/x', `${home}/x`, 'a\0b', '\0']) {
      await assert.rejects(jail.create('a/b', newFolder), OUTSIDE, newFolder);
    }
    assert.deepEqual(await readdir(home), []);
  });

  test(`no folder gets a name that was meant for something else, ${mode}`, async (t) => {
    const { home } = await makeHome(t);
    const jail = await Jail.open(home, throughDescriptors);
    for (const [path, newFolder, name] of [
      ['.', '~', '~'],
      ['.', 'a/~', '~'],
      ['.', 'a/~/b', '~'],
      ['./~', 'a', '~'],
      ['~bob', 'a', '~bob'],
      ['a/$HOME', 'b', '$HOME'],
      ['.', '$x', '$x'],
      ['.', 'file:/x', 'file:'],
    ] as const) {
      const error = new UnusablePathError(`no folder is made with the name ${name}`);
      await assert.rejects(jail.create(path, newFolder), error, `${path} ${newFolder}`);
      await assert.rejects(jail.checkNew(path, newFolder), error, `${path} ${newFolder}`);
    }
    const control = new UnusablePathError('control character in path');
    await mkdir(join(home, 'a\nb'));
    for (const path of ['a\nb', 'x\u001b', 'a\u0085']) {
      await assert.rejects(jail.create('.', path), control);
      await assert.rejects(jail.create(path, 'x'), control);
      await assert.rejects(jail.enter(path), control);
    }
    assert.deepEqual(await readdir(home), ['a\nb']);
  });

  test(`what would be made is told, and not made, ${mode}`, async (t) => {
    const { home } = await makeHome(t);
    const jail = await Jail.open(home, throughDescriptors);
    assert.equal(await jail.checkNew('a', 'b/c'), join(home, 'a/b/c'));
    assert.equal(await jail.checkNew('~', '.'), home);
    assert.deepEqual(await readdir(home), []);
  });

  test(`unusable paths are refused before anything is made, ${mode}`, async (t) => {
    const { home } = await makeHome(t);
    const jail = await Jail.open(home, throughDescriptors);
    const tooLong = new UnusablePathError('name too long');
    const nul = new UnusablePathError('NUL byte in path');
    await assert.rejects(jail.canonicalise('a\0b'), nul);
    await assert.rejects(jail.create('a\0b', 'c'), nul);
    await assert.rejects(jail.canonicalise('x'.repeat(256)), tooLong);
    await assert.rejects(jail.create('.', `a/${'é'.repeat(128)}`), tooLong);
    const longest = longPath(home, 4095);
    await assert.rejects(jail.create('.', `${longest}x`), tooLong);
    await assert.rejects(jail.canonicalise(`${longest}x`), tooLong);
    await assert.rejects(jail.canonicalise(longest), { code: 'ENOENT' });
    assert.deepEqual(await readdir(home), []);
    for (const newFolder of [`a/${'x'.repeat(255)}`, longest]) {
      const folder = await jail.create('.', newFolder);
      assert.equal(folder.path, join(home, newFolder));
      await folder.close();
    }
  });

  test(`no descriptor stays open, ${mode}`, async (t) => {
    const place = await makeHome(t);
    await furnish(place);
    const jail = await Jail.open(place.home, throughDescriptors);
    assert.equal(await descriptorsIn(place.base), 0);
    const folder = await jail.enter('project/src');
    assert.equal(await descriptorsIn(place.base), 1);
    await folder.close();
    for (const path of ['~', 'project/src', 'missing', 'file', 'file/x', 'to-outside', '..', 'dangling', 'a\0b']) {
      await jail.enter(path).then(
        (folder) => folder.close(),
        () => {},
      );
      await jail.create(path, 'x/y').then(
        (folder) => folder.close(),
        () => {},
      );
    }
    assert.equal(await descriptorsIn(place.base), 0);
  });
}

test('a home that is a symbolic link is its target', async (t) => {
  const { base, home, outside } = await makeHome(t);
  await symlink(home, join(base, 'link'));
  const jail = await Jail.open(join(base, 'link'));
  assert.equal(jail.home, home);
  assert.equal(await jail.canonicalise(join(base, 'link')), home);
  await assert.rejects(jail.canonicalise(join(base, 'link/missing')), { code: 'ENOENT' });
  await assert.rejects(jail.canonicalise(outside), OUTSIDE);
});

test('a home that is missing cannot be opened', async (t) => {
  const { base } = await makeHome(t);
  await assert.rejects(Jail.open(join(base, 'missing')), { code: 'ENOENT' });
});

test('a home that vanishes is not found again', async (t) => {
  const { base, home } = await makeHome(t);
  const jail = await Jail.open(home);
  await rename(home, join(base, 'moved'));
  await symlink(join(base, 'moved'), home);
  await assert.rejects(jail.canonicalise('~'), OUTSIDE);
});

test('a home that is the root folder contains all', async () => {
  const jail = await Jail.open('/');
  assert.equal(jail.contains('/'), true);
  assert.equal(jail.contains('/etc'), true);
  const folder = await jail.enter('/etc');
  assert.equal(folder.path, '/etc');
  await folder.close();
});

test('by name, a link that came between check and use, and stayed, is found', async (t) => {
  const { base, home, outside } = await makeHome(t);
  await mkdir(join(home, 'project'));
  const jail = await Jail.open(home, false);
  const after: (() => Promise<string>)[] = [async () => outside, () => Promise.reject(new Error('gone'))];
  for (const [i, error] of [OUTSIDE, new Error('gone')].entries()) {
    const answers = [async () => join(home, 'project'), after[i]];
    const mocked = t.mock.method(fs, 'realpath', () => answers.shift()?.());
    syncBuiltinESMExports();
    await assert.rejects(jail.enter('project'), error);
    mocked.mock.restore();
    syncBuiltinESMExports();
  }
  assert.equal(await descriptorsIn(base), 0);
});

// As it can be on Windows, where a path may name a drive that is not there.
test('a root that does not exist is outside', async (t) => {
  const { home } = await makeHome(t);
  const jail = await Jail.open(home);
  const missing = Object.assign(new Error('no such file or directory'), { code: 'ENOENT' });
  const mocked = t.mock.method(fs, 'realpath', () => Promise.reject(missing));
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
  await assert.rejects(jail.canonicalise('/x'), OUTSIDE);
  assert.deepEqual(
    mocked.mock.calls.map(({ arguments: [path] }) => path),
    ['/x', '/'],
  );
});

test('a folder that cannot be made is told by the system’s code, and leaves nothing open', async (t) => {
  const { base, home } = await makeHome(t);
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  const mocked = t.mock.method(fs, 'mkdir', () => Promise.reject(full));
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
  for (const throughDescriptors of [true, false]) {
    const jail = await Jail.open(home, throughDescriptors);
    await assert.rejects(jail.create('a', 'b'), { code: 'ENOSPC' });
  }
  assert.equal(await descriptorsIn(base), 0);
});

test('containment is judged with the separator', async (t) => {
  const { home } = await makeHome(t);
  const jail = await Jail.open(home);
  assert.equal(jail.contains(home), true);
  assert.equal(jail.contains(`${home}${sep}x`), true);
  assert.equal(jail.contains(`${home}2`), false);
  assert.equal(jail.contains(home.slice(0, -1)), false);
});

test('an entered folder stays the same when a link takes its place', async (t) => {
  const { home, outside } = await makeHome(t);
  await mkdir(join(home, 'project/mine'), { recursive: true });
  const folder = await (await Jail.open(home)).enter('project');
  t.after(folder.close);
  await rename(join(home, 'project'), join(home, 'moved'));
  await symlink(outside, join(home, 'project'));
  assert.deepEqual(await readdir(folder.handlePath), ['mine']);
});

/** A relative path of folders that makes `base` plus itself `bytes` long. */
function longPath(base: string, bytes: number): string {
  const path = `${'d'.repeat(99)}/`.repeat(Math.ceil(bytes / 100)).slice(0, bytes - base.length - 1);
  return path.endsWith('/') ? `${path.slice(0, -2)}ee` : path;
}
