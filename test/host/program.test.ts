import assert from 'node:assert/strict';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { findProgram } from '../../src/host/program.ts';
import { SilentPaths } from '../../src/host/silent-paths.ts';
import { makeHome } from './home.ts';

test('a program is found in the folders of PATH, in their order', async (t) => {
  const { home } = await makeHome(t);
  const at = (...names: string[]) => join(home, ...names);
  for (const folder of ['a', 'b', 'c/pi']) await mkdir(at(folder), { recursive: true });
  for (const name of ['b/pi', 'closed']) await writeFile(at(name), '', { mode: 0o755 });
  await writeFile(at('a/plain'), '', { mode: 0o644 });
  await symlink('../b/pi', at('a/link'));
  const find = (program: string, path: string | undefined) => findProgram(program, path, new SilentPaths());

  assert.equal(await find('pi', `${at('missing')}:${at('a')}:${at('b')}`), at('b/pi'));
  assert.equal(await find('pi', `${at('c')}:${at('b')}`), at('b/pi'), 'a folder is no program');
  assert.equal(await find('link', at('a')), at('a/link'));
  assert.equal(await find(at('b/pi'), ''), at('b/pi'));
  assert.match(await find('sh', undefined), /^(\/usr)?\/bin\/sh$/);

  const notFound = { name: 'HostError', message: 'Failed to spawn: pi: command not found' };
  await assert.rejects(find('pi', at('a')), notFound);
  await assert.rejects(find('pi', ''), notFound);
  await assert.rejects(find(at('a/pi'), ''), notFound);
  await assert.rejects(find(at('c/pi'), ''), notFound);
  await chmod(at('a/plain'), 0o644);
  await assert.rejects(find('plain', at('a')), { message: 'Failed to spawn: plain: permission denied' });
});

test('what lies in the folder we are in is never found by name', async (t) => {
  const { home } = await makeHome(t);
  await writeFile(join(home, 'pi'), '', { mode: 0o755 });
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(home);
  for (const path of ['', '.', ':', `:${join(home, 'missing')}`, './', relative('/', home)]) {
    await assert.rejects(findProgram('pi', path, new SilentPaths()), /command not found/, JSON.stringify(path));
  }
});

test('a folder of PATH that is silent is passed over', async (t) => {
  const { home } = await makeHome(t);
  for (const folder of ['a', 'b']) {
    await mkdir(join(home, folder));
    await writeFile(join(home, folder, 'pi'), '', { mode: 0o755 });
  }
  const path = `${join(home, 'a')}:${join(home, 'b')}`;
  assert.equal(await findProgram('pi', path, new SilentPaths([join(home, 'a')])), join(home, 'b/pi'));
});
