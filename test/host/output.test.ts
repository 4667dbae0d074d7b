import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, open, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { outputFileName, readEnd, tendOutput } from '../../src/host/output.ts';
import { eventually } from '../support/measure.ts';
import { makeHome } from './home.ts';

const ID = '01234567-89ab-cdef-0123-456789abcdef';
const OTHER_ID = ID.replaceAll('0', 'f');
const FOR_EVER = Number.MAX_SAFE_INTEGER;

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

/** Writes a file and makes it that old. */
async function writeOld(path: string, ageMs: number): Promise<void> {
  await writeFile(path, 'x');
  await age(path, ageMs);
}

async function age(path: string, ageMs: number): Promise<void> {
  const time = (Date.now() - ageMs) / 1000;
  await utimes(path, time, time);
}

test('files over the limit are emptied, those at the limit and those of others are not', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const sizes = {
    [`agent-${process.pid}-${ID}.log`]: [99, 99],
    [`agent-${process.pid}-${OTHER_ID}.log`]: [100, 100],
    [outputFileName(process.ppid, ID)]: [101, 0],
    [`agent-new-${ID}.log`]: [101, 101],
    [`agent-4-${ID}.log.bak`]: [101, 101],
    [`agent-x-${ID}.log`]: [101, 101],
    'hyper-pi.jsonl': [101, 101],
  } as const;
  for (const [name, [before]] of Object.entries(sizes)) {
    await writeFile(join(outputDirectory, name), 'x'.repeat(before));
  }
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(await tendOutput(outputDirectory, 100, FOR_EVER, Date.now()), { living: 3, failures: [] });
    for (const [name, [, after]] of Object.entries(sizes)) {
      assert.equal((await stat(join(outputDirectory, name))).size, after, name);
    }
  }
});

test('a file that is emptied begins again, without a hole', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const path = join(outputDirectory, outputFileName(process.pid, ID));
  const output = await open(path, 'a');
  const stdio = ['pipe', output.fd, output.fd] as const;
  const writer = spawn('sh', ['-c', 'echo before; read line; echo after'], { stdio: [...stdio] });
  t.after(() => writer.kill('SIGKILL'));
  await output.close();
  await eventually(async () => assert.notEqual((await stat(path)).size, 0));
  await tendOutput(outputDirectory, 0, FOR_EVER, Date.now());
  assert.equal((await stat(path)).size, 0);
  writer.stdin?.end('go on\n');
  await once(writer, 'exit');
  assert.equal(await readFile(path, 'utf8'), 'after\n');
});

test('old files of agents that have ended are removed', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const ended = await endedProcess();
  const minAgeMs = 60_000;
  const files: [name: string, ageMs: number][] = [
    [outputFileName(ended, ID), minAgeMs + 1000],
    [outputFileName(ended, OTHER_ID), minAgeMs - 1000],
    [outputFileName(process.pid, ID), minAgeMs * 2],
    [`agent-new-${ID}.log`, minAgeMs * 2],
    ['hyper-pi.jsonl', minAgeMs * 2],
  ];
  for (const [name, ageMs] of files) await writeOld(join(outputDirectory, name), ageMs);
  assert.deepEqual(await tendOutput(outputDirectory, 100, minAgeMs, Date.now()), { living: 1, failures: [] });
  const left = files.slice(1).map(([name]) => name);
  assert.deepEqual((await readdir(outputDirectory)).sort(), left.sort());
});

test('what a start that was cut short has left is removed after an hour', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const hour = 3600 * 1000;
  await writeOld(join(outputDirectory, `prompt-${ID}.jsonl`), hour + 1000);
  await writeOld(join(outputDirectory, `stdin-${ID}`), hour + 1000);
  const kept = [`prompt-${OTHER_ID}.jsonl`, `stdin-${OTHER_ID}`];
  for (const name of kept) await writeOld(join(outputDirectory, name), hour - 60_000);
  assert.deepEqual(await tendOutput(outputDirectory, 100, FOR_EVER, Date.now()), { living: 0, failures: [] });
  assert.deepEqual((await readdir(outputDirectory)).sort(), kept.sort());
});

test('if nothing was spawned yet there is nothing to do', async (t) => {
  const missing = join(await makeOutputDirectory(t), 'missing');
  assert.deepEqual(await tendOutput(missing, 0, 0, Date.now()), { living: 0, failures: [] });
});

test('only plain files are touched', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const ended = await endedProcess();
  const precious = join(outputDirectory, 'precious');
  await writeFile(precious, 'x');
  await symlink('precious', join(outputDirectory, outputFileName(ended, ID)));
  await symlink('missing', join(outputDirectory, outputFileName(process.pid, ID)));
  await mkdir(join(outputDirectory, outputFileName(ended, OTHER_ID)));
  const names = await readdir(outputDirectory);
  assert.deepEqual((await tendOutput(outputDirectory, 0, 0, Date.now() + 60_000)).failures, []);
  assert.equal(await readFile(precious, 'utf8'), 'x');
  assert.deepEqual(await readdir(outputDirectory), names);
});

test('a file that may not be touched is told of, and the others are looked after', async (t) => {
  const outputDirectory = await makeOutputDirectory(t);
  const names = [
    outputFileName(process.pid, ID),
    outputFileName(process.ppid, ID),
    outputFileName(process.pid, OTHER_ID),
  ];
  for (const name of names) await writeFile(join(outputDirectory, name), 'x'.repeat(101));
  const untouchable = names.sort()[1] as string;
  // A file that is a running program is busy, for root too.
  await writeFile(join(outputDirectory, untouchable), await readFile('/bin/sleep'));
  await chmod(join(outputDirectory, untouchable), 0o700);
  const running = spawn(join(outputDirectory, untouchable), ['60']);
  t.after(() => running.kill('SIGKILL'));
  await once(running, 'spawn');
  const { failures } = await tendOutput(outputDirectory, 100, FOR_EVER, Date.now());
  assert.deepEqual(failures, [{ name: untouchable, reason: 'text file is busy' }]);
  for (const name of names) {
    if (name !== untouchable) assert.equal((await stat(join(outputDirectory, name))).size, 0, name);
  }
});

test('a folder that is none is told to the caller', async (t) => {
  const file = join(await makeOutputDirectory(t), 'file');
  await writeFile(file, '');
  await assert.rejects(tendOutput(file, 0, 0, Date.now()), { code: 'ENOTDIR' });
});

test('the end of an output is plain text', async (t) => {
  const path = join(await makeOutputDirectory(t), 'file');
  for (const [output, end] of [
    ['', ''],
    ['one line\n', 'one line'],
    ['\n\n  a\nb\n\n', 'a\nb'],
    ['\u001b[31mError:\u001b[0m it\u0007 failed\r\nhere\n', 'Error: it failed\nhere'],
    ['x'.repeat(2000), 'x'.repeat(2000)],
    [`cut\n${'x'.repeat(1999)}`, `…\n${'x'.repeat(1999)}`],
    ['x'.repeat(2001), `…${'x'.repeat(2000)}`],
    [`${'é\n'.repeat(9000)}last`, `…${'\né'.repeat(997)}\nlast`],
  ] as const) {
    await writeFile(path, output);
    assert.equal(await readEnd(path), end);
  }
  await assert.rejects(readEnd(`${path}-missing`), { code: 'ENOENT' });
});
