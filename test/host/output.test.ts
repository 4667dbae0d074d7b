import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openOutput, removeAbandoned, truncateOversized } from '../../src/host/output.ts';
import { eventually } from '../support/measure.ts';
import { makeHome } from './home.ts';

const ID = '01234567-89ab-cdef-0123-456789abcdef';

async function makeOutputDirectory(t: TestContext): Promise<string> {
  const { base } = await makeHome(t);
  const outputDirectory = join(base, 'output');
  await mkdir(outputDirectory);
  return outputDirectory;
}

/** The id of a process that has ended. */
async function endedProcess(): Promise<number> {
  const ended = spawn('true');
  await once(ended, 'exit');
  return ended.pid ?? Number.NaN;
}

test('an output file and its folder are private, and it bears the id of its process once that is known', async (t) => {
  const { base } = await makeHome(t);
  const outputDirectory = join(base, 'parent/output');
  const output = await openOutput(outputDirectory);
  assert.equal((await stat(outputDirectory)).mode & 0o777, 0o700);
  await output.keep(4711);
  await output.close();
  const [name = ''] = await readdir(outputDirectory);
  assert.match(name, /^agent-4711-[\da-f-]{36}\.log$/);
  assert.equal((await stat(join(outputDirectory, name))).mode & 0o777, 0o600);
});

test('the same process id twice makes two files', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  for (let count = 0; count < 2; count += 1) {
    const output = await openOutput(outputDirectory);
    await output.keep(4711);
    await output.close();
  }
  assert.equal((await readdir(outputDirectory)).length, 2);
});

test('an output file that nobody kept is gone when closed', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  await (await openOutput(outputDirectory)).close();
  assert.deepEqual(await readdir(outputDirectory), []);
});

test('a file that cannot be renamed keeps its first name', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const output = await openOutput(outputDirectory);
  const [name = ''] = await readdir(outputDirectory);
  await mkdir(join(outputDirectory, name.replace('new', '4711'), 'in the way'), { recursive: true });
  await output.keep(4711);
  await output.close();
  assert.equal((await readdir(outputDirectory)).includes(name), true);
});

function nothingUntouchable(path: string): void {
  assert.fail(path);
}

test('files over the limit are emptied, those at the limit and those of others are not', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const sizes = {
    [`agent-1-${ID}.log`]: [99, 99],
    [`agent-2-${ID}.log`]: [100, 100],
    [`agent-3-${ID}.log`]: [101, 0],
    [`agent-new-${ID}.log`]: [101, 0],
    [`agent-4-${ID}.log.bak`]: [101, 101],
    [`agent-x-${ID}.log`]: [101, 101],
    'hyper-pi.jsonl': [101, 101],
  } as const;
  for (const [name, [before]] of Object.entries(sizes)) {
    await writeFile(join(outputDirectory, name), 'x'.repeat(before));
  }
  assert.equal(await truncateOversized(outputDirectory, 100, nothingUntouchable), 2);
  for (const [name, [, after]] of Object.entries(sizes)) {
    assert.equal((await stat(join(outputDirectory, name))).size, after, name);
  }
  assert.equal(await truncateOversized(outputDirectory, 100, nothingUntouchable), 0);
});

test('a file that is emptied begins again, without a hole', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const output = await openOutput(outputDirectory);
  const writer = spawn('sh', ['-c', 'echo before; read line; echo after'], { stdio: ['pipe', output.fd, output.fd] });
  t.after(() => writer.kill('SIGKILL'));
  await output.keep(writer.pid ?? Number.NaN);
  await output.close();
  const path = join(outputDirectory, (await readdir(outputDirectory))[0] ?? '');
  await eventually(async () => assert.notEqual((await stat(path)).size, 0));
  assert.equal(await truncateOversized(outputDirectory, 0, nothingUntouchable), 1);
  writer.stdin?.end('go on\n');
  await once(writer, 'exit');
  assert.equal(await readFile(path, 'utf8'), 'after\n');
});

test('old files of agents that have ended are removed', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const ended = await endedProcess();
  const now = Date.now();
  const minAgeMs = 60_000;
  const files: [name: string, ageMs: number][] = [
    [`agent-${ended}-${ID}.log`, minAgeMs],
    [`agent-${ended}-${ID.replaceAll('0', 'f')}.log`, minAgeMs - 1000],
    [`agent-${process.pid}-${ID}.log`, minAgeMs * 2],
    [`agent-new-${ID}.log`, minAgeMs * 2],
    ['hyper-pi.jsonl', minAgeMs * 2],
  ];
  for (const [name, ageMs] of files) {
    const path = join(outputDirectory, name);
    await writeFile(path, 'x');
    await utimes(path, (now - ageMs) / 1000, (now - ageMs) / 1000);
  }
  assert.equal(await removeAbandoned(outputDirectory, minAgeMs, now, nothingUntouchable), 1);
  const left = files.slice(1).map(([name]) => name);
  assert.deepEqual((await readdir(outputDirectory)).sort(), left.sort());
});

test('where nothing was spawned yet there is nothing to do', async (t) => {
  const missing = join(await makeOutputDirectory(t), 'missing');
  assert.equal(await truncateOversized(missing, 0, nothingUntouchable), 0);
  assert.equal(await removeAbandoned(missing, 0, Date.now(), nothingUntouchable), 0);
});

test('a file that vanishes meanwhile is passed over', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  await symlink('vanished', join(outputDirectory, `agent-1-${ID}.log`));
  await writeFile(join(outputDirectory, `agent-2-${ID}.log`), 'x');
  assert.equal(await truncateOversized(outputDirectory, 0, nothingUntouchable), 1);
});

test('only plain files are touched', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const precious = join(outputDirectory, 'precious');
  await writeFile(precious, 'x');
  await symlink('precious', join(outputDirectory, `agent-1-${ID}.log`));
  await mkdir(join(outputDirectory, `agent-2-${ID}.log`));
  const names = await readdir(outputDirectory);
  assert.equal(await truncateOversized(outputDirectory, 0, nothingUntouchable), 0);
  assert.equal(await removeAbandoned(outputDirectory, -60_000, Date.now(), nothingUntouchable), 0);
  assert.equal(await readFile(precious, 'utf8'), 'x');
  assert.deepEqual(await readdir(outputDirectory), names);
});

test('a folder that is none is told to the caller', async (t) => {
  const file = join(await makeOutputDirectory(t), 'file');
  await (await open(file, 'w')).close();
  await assert.rejects(truncateOversized(file, 0, nothingUntouchable), { code: 'ENOTDIR' });
});
