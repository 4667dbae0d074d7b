/**
 * Threat: a caller lists folders or starts agents outside the home folder. The jail is tested path by path, and raced, in
 * test/host/; here it is asked over the wire, and the home folder is itself a link.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';

const OUTSIDE = 'Path resolves outside home directory';

describe('a path out of the home folder', () => {
  /** `home` leads to `real`, whose name is the beginning of its neighbour's. */
  let base: string;
  let home: string;
  let daemon: Daemon;
  let client: Client;
  before(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'hypivisor-paths-')));
    home = join(base, 'home');
    for (const folder of ['real/project', 'real-neighbour/secret', 'home-neighbour', 'outside/secret']) {
      await mkdir(join(base, folder), { recursive: true });
    }
    await symlink('real', home);
    await symlink('../outside', join(base, 'real/to-outside'));
    await symlink('/etc', join(base, 'real/to-etc'));
    daemon = await Daemon.start({ args: ['--log-file', 'none'], env: { HOME: home } });
    client = await Client.open(daemon.registryUrl);
  });
  after(async () => {
    client?.terminate();
    await daemon?.stop();
    await rm(base, { recursive: true });
  });

  test('is refused to list_directories, and no link out of it is listed', async () => {
    const { result } = await client.call('list_directories');
    assert.deepEqual(result, { current: join(base, 'real'), directories: ['project'] });
    for (const path of [
      '/',
      '..',
      '/etc',
      base,
      join(base, 'real-neighbour'),
      join(base, 'home-neighbour'),
      '../real-neighbour/secret',
      'project/../..',
      'to-outside',
      'to-outside/secret',
      'to-etc',
    ]) {
      assert.equal((await client.call('list_directories', { path })).error, OUTSIDE, path);
    }
    for (const path of ['project\0', '\0', 'x'.repeat(5000), 'x/'.repeat(5000)]) {
      const { error } = await client.call('list_directories', { path });
      assert.match(error, /^(Invalid path|Cannot read directory): [\w -]+$/);
    }
  });

  test('is refused to spawn_agent, and nothing is made, neither there nor on the way', async () => {
    const made = async () => (await readdir(base, { recursive: true })).sort();
    const expected = await made();
    for (const [path, new_folder] of [
      ['/etc'],
      ['to-outside'],
      [tmpdir(), 'x'],
      [base, 'x'],
      ['to-outside', 'x'],
      [join(base, 'real-neighbour'), 'x'],
      [home, join(base, 'outside/x')],
      [home, '../x'],
      [home, '../../x'],
      [home, '../real-neighbour/x'],
      [home, 'a/../../..'],
      [home, 'a/b/../../../outside/x'],
      [home, 'to-outside/x'],
      ['project', '../../outside/x'],
      [home, 'x\0y'],
    ] as [path: string, new_folder?: string][]) {
      assert.equal((await client.call('spawn_agent', { path, new_folder })).error, OUTSIDE, `${path} ${new_folder}`);
    }
    for (const new_folder of ['x'.repeat(5000), 'x/'.repeat(5000), `${'x'.repeat(256)}/y`]) {
      assert.match((await client.call('spawn_agent', { path: home, new_folder })).error, /^Failed to spawn: [\w -]+$/);
    }
    assert.deepEqual(await made(), expected);
  });
});
