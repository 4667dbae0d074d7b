import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Jail } from '../../src/host/jail.ts';
import { type Preparation, prepareAgent, type SpawnParams } from '../../src/host/prepare.ts';
import { sessionDirectory } from '../../src/host/sessions.ts';
import { SilentPaths } from '../../src/host/silent-paths.ts';
import { descriptorsIn, makeHome, type TestHome } from './home.ts';

interface Machine extends TestHome {
  readonly outputDirectory: string;
  prepare(params: SpawnParams, program?: string): Promise<Preparation>;
}

async function makeMachine(t: TestContext): Promise<Machine> {
  const place = await makeHome(t);
  const jail = await Jail.open(place.home);
  const outputDirectory = join(place.base, 'output');
  const environment = { PATH: process.env.PATH };
  return {
    ...place,
    outputDirectory,
    prepare: (params, program = 'true') =>
      prepareAgent(jail, { program, environment, outputDirectory }, params, new SilentPaths()),
  };
}

async function writeSession(folder: string, home: string, id: string): Promise<string> {
  const directory = sessionDirectory(folder, {}, home);
  await mkdir(directory, { recursive: true });
  const path = join(directory, `2026-01-01T00-00-00-000Z_${id}.jsonl`);
  await writeFile(path, `${JSON.stringify({ type: 'session', version: 3, id, cwd: folder })}\n`);
  return path;
}

test('the folder is found, or made with its parents; new_folder is trimmed and may be nested', async (t) => {
  const { home, prepare } = await makeMachine(t);
  await mkdir(join(home, 'project'));
  await symlink('project', join(home, 'link'));
  const vectors: [params: SpawnParams, name: string][] = [
    [{ path: 'link' }, 'project'],
    [{ path: `${home}/project/` }, 'project'],
    [{ path: '$HOME/project' }, 'project'],
    [{ path: `file://${home}/project` }, 'project'],
    [{ path: '~', new_folder: ' new ' }, 'new'],
    [{ path: home, new_folder: 'a/b' }, 'a/b'],
    [{ path: 'missing/parent', new_folder: '\tchild\n' }, 'missing/parent/child'],
    [{ path: 'a', new_folder: '' }, 'a'],
    [{ path: 'a', new_folder: '  ' }, 'a'],
    [{ path: 'a', new_folder: null }, 'a'],
    [{ path: 'a', new_folder: undefined }, 'a'],
  ];
  for (const [params, name] of vectors) {
    const { folder } = await prepare(params);
    assert.equal(folder, join(home, name));
    assert.equal((await stat(folder)).isDirectory(), true);
  }
  assert.equal(await descriptorsIn(home), 0);
});

test('the program is found, and the folder for output is made, private', async (t) => {
  const { outputDirectory, prepare } = await makeMachine(t);
  const { program, args, stdinFile } = await prepare({ path: '~' });
  assert.match(program, /^\/.*\/true$/);
  assert.deepEqual([args, stdinFile], [[], null]);
  assert.equal((await stat(outputDirectory)).mode & 0o777, 0o700);
});

test('a model becomes an argument, a prompt a private file with a command for pi', async (t) => {
  const { outputDirectory, prepare } = await makeMachine(t);
  const prompt = 'Say “hi”\n\u2028and\tmore 🎉';
  const { args, stdinFile } = await prepare({ path: '~', model: 'anthropic/claude:high', prompt });
  assert.deepEqual(args, ['--model', 'anthropic/claude:high']);
  assert.match(stdinFile ?? '', new RegExp(`^${outputDirectory}/prompt-[\\da-f-]{36}\\.jsonl$`));
  const text = await readFile(stdinFile ?? '', 'utf8');
  assert.equal(text.indexOf('\n'), text.length - 1);
  assert.deepEqual(JSON.parse(text), { type: 'prompt', message: prompt });
  assert.equal((await stat(stdinFile ?? '')).mode & 0o777, 0o600);
  for (const blank of ['', ' ', '\n\t', null, undefined]) {
    const prepared = await prepare({ path: '~', model: blank, prompt: blank, session: blank });
    assert.deepEqual([prepared.args, prepared.stdinFile], [[], null]);
  }
});

test('a past session of the folder goes on by its file', async (t) => {
  const { home, prepare } = await makeMachine(t);
  const folder = join(home, 'project');
  await mkdir(folder);
  const path = await writeSession(folder, home, 'abc-1');
  assert.deepEqual((await prepare({ path: 'project', session: 'abc-1', model: 'm' })).args, [
    '--model',
    'm',
    '--session',
    path,
  ]);
  const noSuchSession = { name: 'HostError', message: 'Failed to spawn: this folder has no such session' };
  for (const session of ['abc', 'abc-2', '1', '..', path, '../../x', '*', '--no-session']) {
    await assert.rejects(prepare({ path: 'project', session }), noSuchSession, session);
  }
  await assert.rejects(prepare({ path: '~', session: 'abc-1' }), noSuchSession, 'of another folder');
  // The folder's name says one thing, its header another.
  await writeFile(path, `${JSON.stringify({ type: 'session', id: 'abc-1', cwd: home })}\n`);
  await assert.rejects(prepare({ path: 'project', session: 'abc-1' }), noSuchSession);
});

test('what cannot be started is refused with a sentence, and nothing is made', async (t) => {
  const { base, home, outside, outputDirectory, prepare } = await makeMachine(t);
  await writeFile(join(home, 'file'), '');
  await mkdir(join(home, 'a\nb'));
  await symlink(outside, join(home, 'link-outside'));
  await symlink(join(outside, 'missing'), join(home, 'dangling'));
  const before = (await readdir(home)).sort();
  const elsewhere = (name: string) => `Failed to spawn: new_folder is the name of a folder in path, not "${name}"`;
  const vectors: [params: SpawnParams, message: string][] = [
    [{}, 'Path does not exist'],
    [{ path: null }, 'Path does not exist'],
    [{ path: 7 }, 'Path does not exist'],
    [{ path: '' }, 'Path does not exist'],
    [{ new_folder: 'x' }, 'Path does not exist'],
    [{ path: 'missing' }, 'Path does not exist'],
    [{ path: '~missing' }, 'Path does not exist'],
    [{ path: 'dangling' }, 'Path does not exist'],
    [{ path: '/' }, 'Path resolves outside home directory'],
    [{ path: '/missing' }, 'Path resolves outside home directory'],
    [{ path: 'file:///etc' }, 'Path resolves outside home directory'],
    [{ path: '$HOME/..' }, 'Path resolves outside home directory'],
    [{ path: outside, new_folder: 'x' }, 'Path resolves outside home directory'],
    [{ path: outside, new_folder: '../home/x' }, 'Path resolves outside home directory'],
    [{ path: `${home}-sibling`, new_folder: 'x' }, 'Path resolves outside home directory'],
    [{ path: 'link-outside' }, 'Path resolves outside home directory'],
    [{ path: 'link-outside', new_folder: 'x' }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: 'link-outside/x' }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: `${outside}/x` }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: `${home}/x` }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: '../../x' }, 'Path resolves outside home directory'],
    [{ path: '~', new_folder: 'a/../../..' }, 'Path resolves outside home directory'],
    [{ path: 'missing', new_folder: '..' }, 'Path resolves outside home directory'],
    [{ path: 'missing', new_folder: 'a\0b' }, 'Path resolves outside home directory'],
    [{ path: 'file://server/x' }, 'Failed to spawn: not the URL of a local file'],
    [{ path: '~', new_folder: '~' }, elsewhere('~')],
    [{ path: '~', new_folder: ' ~/x' }, elsewhere('~/x')],
    [{ path: '~', new_folder: '$HOME/x' }, elsewhere('$HOME/x')],
    [{ path: '~', new_folder: 'file:///x' }, elsewhere('file:///x')],
    [{ path: '~', new_folder: 'a/~' }, 'Failed to spawn: no folder is made with the name ~'],
    [{ path: '~missing', new_folder: 'x' }, 'Failed to spawn: no folder is made with the name ~missing'],
    [{ path: '~', new_folder: 'a\nb' }, 'Failed to spawn: control character in path'],
    [{ path: 'a\nb' }, 'Failed to spawn: control character in path'],
    [{ path: '~', new_folder: 'x'.repeat(5000) }, 'Failed to spawn: name too long'],
    [{ path: '~', new_folder: `a/${'x'.repeat(256)}` }, 'Failed to spawn: name too long'],
    [{ path: 'x'.repeat(256) }, 'Failed to spawn: name too long'],
    [{ path: 'a\0b' }, 'Failed to spawn: NUL byte in path'],
    [{ path: '~', new_folder: 7 }, 'Failed to spawn: new_folder is not a string'],
    [{ path: '~', model: 7 }, 'Failed to spawn: model is not a string'],
    [{ path: '~', prompt: {} }, 'Failed to spawn: prompt is not a string'],
    [{ path: '~', session: [] }, 'Failed to spawn: session is not a string'],
    [{ path: '~', new_folder: 'x', model: '--export' }, 'Failed to spawn: model is not the name of a model'],
    [{ path: '~', new_folder: 'x', model: 'a\nb' }, 'Failed to spawn: model is not the name of a model'],
    [{ path: '~', new_folder: 'x', model: 'x'.repeat(129) }, 'Failed to spawn: model is not the name of a model'],
    [
      { path: '~', new_folder: 'x', session: 'a' },
      'Failed to spawn: a session goes on in its own folder, not in new_folder',
    ],
    [{ path: '~', session: 'a' }, 'Failed to spawn: this folder has no such session'],
    [{ path: 'file' }, 'Failed to spawn: not a directory'],
    [{ path: 'file/x' }, 'Failed to spawn: not a directory'],
    [{ path: 'file', new_folder: 'x' }, 'Failed to spawn: not a directory'],
    [{ path: 'dangling', new_folder: 'x' }, 'Failed to spawn: not a directory'],
  ];
  for (const [params, message] of vectors) {
    await assert.rejects(prepare(params), { name: 'HostError', message }, JSON.stringify(params));
  }
  const missing = { name: 'HostError', message: 'Failed to spawn: hypivisor-has-no-such: command not found' };
  await assert.rejects(prepare({ path: '~', new_folder: 'x' }, 'hypivisor-has-no-such'), missing);
  assert.deepEqual((await readdir(home)).sort(), before);
  assert.deepEqual(await readdir(outside), ['secret']);
  assert.deepEqual(await readdir(`${home}-sibling`), []);
  assert.deepEqual(await readdir(outputDirectory), []);
  assert.equal(await descriptorsIn(base), 0);
});

test('an output folder that cannot be one is refused', async (t) => {
  const { outputDirectory, prepare } = await makeMachine(t);
  await writeFile(outputDirectory, '');
  await assert.rejects(prepare({ path: '~' }), { message: 'Failed to spawn: file already exists' });
});
