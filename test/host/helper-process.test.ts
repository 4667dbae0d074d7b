import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Helper } from '../../src/host/helper-process.ts';
import { eventually } from '../support/measure.ts';
import { makeHome } from './home.ts';

// biome-ignore lint/suspicious/noExplicitAny: the stand-in answers what it likes
type Answer = any;

const REAL = new URL('../../src/host/helper.ts', import.meta.url);
const STAND_IN = new URL('stuck-helper.ts', import.meta.url);

async function makeHelper(t: TestContext, program: URL, timeoutMs = 30_000, idleMs = 60_000) {
  const { home } = await makeHome(t, async () => helper.close());
  const faults: unknown[] = [];
  const helper = new Helper({ program, timeoutMs, idleMs, onFault: (error) => faults.push(error) });
  const ask = (path: string): Promise<Answer> => helper.ask('listDirectories', { home, path });
  /** Asks until there is an answer: on a busy machine a process takes its time to start. */
  const warmUp = () => eventually(() => ask('a'), 60_000);
  return { home, helper, faults, ask, warmUp };
}

async function isRunning(processId: number): Promise<boolean> {
  const status = await readFile(`/proc/${processId}/stat`, 'latin1').catch(() => '');
  return status !== '' && !/^.*\) Z/s.test(status);
}

const THREADS = async () => (await readdir('/proc/self/task')).length;

test('tasks are performed by another process, which ends with the daemon’s side', async (t) => {
  const { home, ask, helper } = await makeHelper(t, REAL);
  assert.deepEqual(await ask('~'), { current: home, directories: [] });
  await assert.rejects(ask('missing'), { name: 'HostError', message: 'Invalid path: no such file or directory' });
  helper.close();
  assert.deepEqual(await ask('~'), { current: home, directories: [] }, 'it may be asked again');
});

test('one process serves many tasks at once', async (t) => {
  const { ask } = await makeHelper(t, STAND_IN);
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => ask(`${index}`)));
  assert.deepEqual(
    answers.map(({ path }) => path),
    Array.from({ length: 100 }, (_, index) => `${index}`),
  );
  assert.equal(new Set(answers.map(({ pid }) => pid)).size, 1);
});

test('a process that met silentPaths gets no more tasks and is ended; the next is told what not to ask', async (t) => {
  const { ask } = await makeHelper(t, STAND_IN);
  const { pid: first } = await ask('a');
  const [silent, beside] = await Promise.allSettled([ask('hang and say'), ask('b')]);
  assert.equal(silent.status, 'rejected');
  assert.equal((silent.reason as Error).message, 'silent');
  assert.equal(beside.status === 'fulfilled' && beside.value.pid, first, 'what it had to do it did');
  const { pid: second } = await ask('c');
  assert.notEqual(second, first);
  await eventually(async () => assert.equal(await isRunning(first), false));
  assert.deepEqual((await ask('d')).silent, [], 'once it is gone its paths may be asked about again');
});

test('a process that does not reply in time is replaced, whatever keeps it', async (t) => {
  for (const path of ['hang', 'stop']) {
    const { ask, faults, warmUp } = await makeHelper(t, STAND_IN, 3000);
    const { pid: first } = await warmUp();
    const others = delay(0).then(() => ask('b'));
    await assert.rejects(ask(path), {
      name: 'HostError',
      message: 'Cannot read directory: the file system does not answer',
    });
    if (path === 'hang') assert.equal((await others).pid, first);
    else await assert.rejects(others, { message: 'Cannot read directory: the file system does not answer' });
    assert.notEqual((await warmUp()).pid, first);
    await eventually(async () => assert.equal(await isRunning(first), false));
    assert.deepEqual(faults, []);
  }
});

test('however many tasks hang, no thread of this process is taken, and all callers are told in time', async (t) => {
  const { ask, warmUp } = await makeHelper(t, STAND_IN, 2000);
  await warmUp();
  const threads = await THREADS();
  const startedAt = performance.now();
  const hanging = await Promise.allSettled(Array.from({ length: 50 }, () => ask('hang')));
  assert.ok(performance.now() - startedAt < 10_000);
  for (const outcome of hanging) {
    assert.match(
      outcome.status === 'rejected' ? outcome.reason.message : '',
      /^Cannot read directory: (the file system does not answer|too many requests are waiting for the file system)$/,
    );
  }
  assert.equal(await THREADS(), threads);
  // Those that began last hang still.
  await warmUp();
});

test('a process that ends by itself costs its tasks, and is told as a fault', async (t) => {
  const { ask, faults } = await makeHelper(t, STAND_IN);
  const sentence = { name: 'HostError', message: 'Cannot read directory: unexpected error' };
  await assert.rejects(ask('end'), sentence);
  assert.match(String(faults[0]), /the helper process has ended/);
  assert.equal((await ask('a')).path, 'a');
  await assert.rejects(ask('fail'), sentence);
  assert.match(String(faults[1]), /a stack/);
});

test('a process that cannot be started is told as a fault', async (t) => {
  const { ask, faults } = await makeHelper(t, new URL('no-such-helper.ts', import.meta.url));
  await assert.rejects(ask('a'), { message: 'Cannot read directory: unexpected error' });
  assert.equal(faults.length, 1);
});

test('what is asked for when it closes is refused, and that is no fault', async (t) => {
  const { ask, helper, faults } = await makeHelper(t, STAND_IN);
  await ask('a');
  const asked = ask('hang');
  helper.close();
  await assert.rejects(asked, { name: 'HostError' });
  assert.deepEqual(faults, []);
});

test('a process without tasks ends after a while, and not while it has some', async (t) => {
  const { ask, warmUp } = await makeHelper(t, STAND_IN, 3000, 1000);
  const { pid } = await warmUp();
  await assert.rejects(ask('hang'), /does not answer/);
  const { pid: second } = await warmUp();
  await eventually(async () => assert.equal(await isRunning(second), false));
  assert.notEqual(second, pid);
  assert.notEqual((await warmUp()).pid, second);
});
