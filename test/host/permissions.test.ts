/**
 * What the permissions of folders forbid. They forbid root nothing, so this file, which runs in a process of its own, gives
 * root up first.
 */

import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { listDirectories } from '../../src/host/directories.ts';
import { Jail } from '../../src/host/jail.ts';
import { removeAbandoned, truncateOversized } from '../../src/host/output.ts';
import { spawnAgent } from '../../src/host/spawn.ts';
import { descriptorsIn, makeHome } from './home.ts';

const NOBODY = 65534;
if (process.getuid?.() === 0) {
  process.setgid?.(NOBODY);
  process.setuid?.(NOBODY);
}

test('folders closed to us are left out of a listing, and refused', async (t) => {
  const { base, home } = await makeHome(t);
  await mkdir(join(home, 'open'));
  await mkdir(join(home, 'unreadable'), { mode: 0o300 });
  await mkdir(join(home, 'unsearchable'), { mode: 0o600 });
  await symlink('unreadable', join(home, 'link'));
  const jail = await Jail.open(home);
  assert.deepEqual(await listDirectories(jail), { current: home, directories: ['open'] });
  for (const [path, message] of [
    ['unreadable', 'Cannot read directory: permission denied'],
    ['link', 'Cannot read directory: permission denied'],
    ['unsearchable/x', 'Invalid path: permission denied'],
    // Where it leads cannot be seen, only that it is not in home.
    ['/root/x', 'Path resolves outside home directory'],
  ]) {
    await assert.rejects(listDirectories(jail, path), { name: 'HostError', message });
  }
  assert.equal(await descriptorsIn(base), 0);
});

test('nothing is spawned or made in folders closed to us', async (t) => {
  const { base, home } = await makeHome(t);
  await mkdir(join(home, 'unreadable'), { mode: 0o300 });
  await mkdir(join(home, 'unsearchable'), { mode: 0o600 });
  await mkdir(join(home, 'read-only'), { mode: 0o500 });
  const options = { command: ['true'], env: process.env, outputDirectory: join(base, 'output') };
  for (const throughDescriptors of [true, false]) {
    const jail = await Jail.open(home, throughDescriptors);
    for (const params of [
      { path: 'unreadable' },
      { path: 'unsearchable', new_folder: 'x' },
      { path: 'read-only', new_folder: 'x' },
      { path: 'read-only/x', new_folder: 'y' },
    ]) {
      const message = 'Failed to spawn: permission denied';
      await assert.rejects(spawnAgent(jail, options, params), { name: 'HostError', message });
    }
  }
  assert.deepEqual(await readdir(join(home, 'read-only')), []);
  assert.equal(await descriptorsIn(base), 0);
});

test('output files that may not be touched are told, and the others are tended', async (t) => {
  const { base } = await makeHome(t);
  const paths = ['0', '1', '2'].map((digit) => join(base, `agent-2147483647-${digit.repeat(36)}.log`));
  for (const path of paths) await writeFile(path, 'x');
  const [first = '', second = ''] = paths;
  await chmod(second, 0o400);
  const untouchable: (string | undefined)[] = [];
  const note = (path: string, { code }: NodeJS.ErrnoException) => untouchable.push(path, code);
  assert.equal(await truncateOversized(base, 0, note), 2);
  assert.deepEqual(untouchable.splice(0), [second, 'EACCES']);
  assert.equal((await stat(first)).size, 0);

  await chmod(base, 0o500);
  assert.equal(await removeAbandoned(base, -60_000, Date.now(), note), 0);
  await chmod(base, 0o700);
  assert.deepEqual(
    untouchable,
    paths.flatMap((path) => [path, 'EACCES']),
  );
});

test('nothing is spawned where its output cannot be kept', async (t) => {
  const { base, home } = await makeHome(t);
  await mkdir(join(base, 'closed'), { mode: 0o500 });
  for (const outputDirectory of [join(base, 'closed'), join(base, 'closed/output')]) {
    const options = { command: ['true'], env: process.env, outputDirectory };
    await assert.rejects(spawnAgent(await Jail.open(home), options, { path: home }), {
      name: 'HostError',
      message: 'Failed to spawn: permission denied',
    });
  }
  assert.equal(await descriptorsIn(base), 0);
});
