/**
 * What the permissions of folders forbid. They forbid root nothing, so this file, which runs in a process of its own, gives
 * root up first.
 */

import assert from 'node:assert/strict';
import { mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { listDirectories } from '../../src/host/directories.ts';
import { Jail } from '../../src/host/jail.ts';
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
