import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { listFiles } from '../../src/agent/files.ts';

describe('listFiles', () => {
  let outside = '';
  let root = '';

  before(async () => {
    outside = await realpath(await mkdtemp(path.join(os.tmpdir(), 'hypivisor-files-')));
    root = path.join(outside, 'project');
    await mkdir(path.join(root, 'src', 'agent'), { recursive: true });
    await mkdir(path.join(root, '.git'));
    await mkdir(path.join(root, 'many'));
    await mkdir(path.join(outside, 'project-secret'));
    const files = [
      'README.md',
      '.env',
      'src/agent.ts',
      'src/b.ts',
      'src/agent/deep.ts',
      '../project-secret/key',
      '../other',
    ];
    for (const file of files) await writeFile(path.join(root, file), '');
    for (let i = 0; i < 150; i++) await writeFile(path.join(root, 'many', `f${i}`), '');
    await symlink(path.join(outside, 'project-secret'), path.join(root, 'leak'));
    await symlink(path.join(outside, 'other'), path.join(root, 'leak.txt'));
    await symlink('src', path.join(root, 'link'));
    await symlink('nowhere', path.join(root, 'broken'));
  });
  after(() => rm(outside, { recursive: true }));

  const names = async (prefix: string) =>
    (await listFiles(root, prefix)).map((it) => it.path + (it.isDirectory ? '/' : ''));

  it('offers what begins as it is typed, folders first', async () => {
    assert.deepEqual(await names(''), ['link/', 'many/', 'src/', 'README.md']);
    assert.deepEqual(await names('s'), ['src/']);
    assert.deepEqual(await names('src/'), ['src/agent/', 'src/agent.ts', 'src/b.ts']);
    assert.deepEqual(await names('src/AG'), ['src/agent/', 'src/agent.ts']);
    assert.deepEqual(await names('src/agent/d'), ['src/agent/deep.ts']);
    assert.deepEqual(await names('link/b'), ['link/b.ts']);
    assert.deepEqual(await names('src/../R'), ['README.md']);
    assert.deepEqual(await names('.e'), ['.env']);
    assert.deepEqual(await names(path.join(root, 'src/b')), ['src/b.ts']);
  });

  const elsewhere = [
    '../',
    '..',
    '../project-secret/',
    '../project-secret/k',
    'leak/',
    'leak/k',
    '/',
    '/etc/',
    'src/../../',
    '\0',
    'src/\0',
    'nowhere/',
    'README.md/',
    '../project',
    '.',
  ];
  for (const prefix of elsewhere) {
    it(`tells nothing for ${JSON.stringify(prefix)}`, async () => assert.deepEqual(await names(prefix), []));
  }

  it('tells nothing for an absolute path elsewhere, or beside the folder', async () => {
    assert.deepEqual(await names(`${root}-secret/`), []);
    assert.deepEqual(await names(path.join(outside, 'o')), []);
    assert.deepEqual(await names('x'.repeat(10_000)), []);
  });

  it('offers at most a hundred', async () => {
    assert.equal((await names('many/')).length, 100);
  });

  it('works in a folder that is reached through a link', async () => {
    const link = path.join(outside, 'shortcut');
    await symlink(root, link);
    assert.deepEqual(
      (await listFiles(link, 'src/b')).map((it) => it.path),
      ['src/b.ts'],
    );
    assert.deepEqual(await listFiles(path.join(outside, 'gone'), ''), []);
  });
});
