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
import { tendOutput } from '../../src/host/output.ts';
import { prepareAgent, type SpawnParams } from '../../src/host/prepare.ts';
import { SilentPaths } from '../../src/host/silent-paths.ts';
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

test('nothing is prepared or made in folders closed to us', async (t) => {
  const { base, home } = await makeHome(t);
  await mkdir(join(home, 'unreadable'), { mode: 0o300 });
  await mkdir(join(home, 'unsearchable'), { mode: 0o600 });
  await mkdir(join(home, 'read-only'), { mode: 0o500 });
  for (const throughDescriptors of [true, false]) {
    const jail = await Jail.open(home, throughDescriptors);
    for (const params of [
      { path: 'unreadable' },
      { path: 'unsearchable', new_folder: 'x' },
      { path: 'read-only', new_folder: 'x' },
      { path: 'read-only/x', new_folder: 'y' },
    ]) {
      const message = 'Failed to spawn: permission denied';
      await assert.rejects(prepare(jail, join(base, 'output'), params), { name: 'HostError', message });
    }
  }
  assert.deepEqual(await readdir(join(home, 'read-only')), []);
  assert.equal(await descriptorsIn(base), 0);
});

test('output files that may not be touched are told, and the others are looked after', async (t) => {
  const { base } = await makeHome(t);
  const names = ['0', '1', '2'].map((digit) => `agent-2147483647-${digit.repeat(36)}.log`);
  for (const name of names) await writeFile(join(base, name), 'x');
  const [first = '', second = ''] = names;
  await chmod(join(base, second), 0o400);
  const reason = 'permission denied';
  const never = Number.MAX_SAFE_INTEGER;
  assert.deepEqual(await tendOutput(base, 0, never, Date.now()), { living: 0, failures: [{ name: second, reason }] });
  assert.equal((await stat(join(base, first))).size, 0);

  await chmod(base, 0o500);
  const { failures } = await tendOutput(base, 0, 0, Date.now() + 60_000);
  await chmod(base, 0o700);
  assert.deepEqual(
    failures,
    names.map((name) => ({ name, reason })),
  );
});

test('nothing is prepared, and no folder made, if output cannot be kept', async (t) => {
  const { base, home } = await makeHome(t);
  await mkdir(join(base, 'closed'), { mode: 0o500 });
  for (const outputDirectory of [join(base, 'closed'), join(base, 'closed/output')]) {
    const params = { path: '~', new_folder: 'new' };
    await assert.rejects(prepare(await Jail.open(home), outputDirectory, params), {
      name: 'HostError',
      message: 'Failed to spawn: permission denied',
    });
  }
  assert.deepEqual(await readdir(home), []);
  assert.equal(await descriptorsIn(base), 0);
});

function prepare(jail: Jail, outputDirectory: string, params: SpawnParams): Promise<unknown> {
  const options = { program: 'true', environment: process.env, outputDirectory };
  return prepareAgent(jail, options, params, new SilentPaths());
}
