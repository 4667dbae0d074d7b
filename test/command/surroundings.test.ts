/** The command where something around it is odd: readers that are gone, no home folder, an old Node.js, being process 1. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { Daemon, PROGRAM } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';

const PATIENCE = { timeout: 60_000 };
const { PATH } = process.env;
const notRoot = (process.platform !== 'linux' || process.getuid?.() !== 0) && 'only root becomes somebody else';

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs the program to its end. */
async function run(command: string[], options: { env?: NodeJS.ProcessEnv; uid?: number } = {}) {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const [stdout, stderr, [exitCode]] = await Promise.all([
    child.stdout.toArray(),
    child.stderr.toArray(),
    once(child, 'close'),
  ]);
  return { stdout: stdout.join(''), stderr: stderr.join(''), exitCode };
}

describe('nobody reads what it prints', PATIENCE, () => {
  for (const [flag, unread, code] of [
    ['--version', 'stdout', 0],
    ['--help', 'stdout', 0],
    ['--unknown', 'stderr', 2],
  ] as const) {
    test(`${flag}: it ends as always, without a trace of its stack`, async () => {
      const child = spawn(process.execPath, [PROGRAM, flag], { stdio: ['ignore', 'pipe', 'pipe'] });
      child[unread].destroy();
      const other = unread === 'stdout' ? child.stderr : child.stdout;
      const [printed, [exitCode]] = await Promise.all([other.toArray(), once(child, 'close')]);
      assert.equal(printed.join(''), '');
      assert.equal(exitCode, code);
    });
  }

  test('the daemon whose stderr and stdout are gone goes on, and the log file says so', async (t) => {
    const daemon = await Daemon.start();
    t.after(() => daemon.stop('SIGKILL'));
    daemon.process.stderr?.destroy();
    daemon.process.stdout?.destroy();
    for (let i = 0; i < 3; i++) assert.equal((await fetch(`${daemon.origin}/nowhere`)).status, 404);
    const file = join(daemon.home, '.pi', 'logs', 'hyper-pi.jsonl');
    await eventually(async () => assert.match(await readFile(file, 'utf8'), /stderr cannot be written.+EPIPE/));
    assert.equal((await fetch(`${daemon.origin}/healthz`)).status, 200);
    assert.equal(await daemon.stop(), 0);
  });
});

describe('the home folder', PATIENCE, () => {
  test('no HOME, and a user that nobody knows: a sentence, and exit code 2', { skip: notRoot }, async () => {
    for (const env of [{ PATH }, { PATH, HOME: '' }]) {
      const { stderr, exitCode } = await run([process.execPath, PROGRAM, '--port', '0'], { env, uid: 54_321 });
      assert.match(stderr, /^hypivisor: this user has no home folder: set HOME to .+\n$/);
      assert.equal(exitCode, 2);
    }
  });

  test('a HOME that is no absolute path: a sentence, and exit code 2', async () => {
    const env = { PATH, HOME: 'here' };
    const { stderr, exitCode } = await run([process.execPath, PROGRAM, '--port', '0'], { env });
    assert.equal(stderr, 'hypivisor: HOME must be an absolute path, not "here"\n');
    assert.equal(exitCode, 2);
  });

  test('a log file that cannot be made costs the log file alone, and is told once', { skip: notRoot }, async (t) => {
    const home = await makeFolder(t);
    await chmod(home, 0o555);
    const launcher = ['setpriv', '--reuid=54321', '--clear-groups', 'env', `HOME=${home}`];
    const daemon = await Daemon.start({ launcher });
    t.after(() => daemon.stop('SIGKILL'));
    for (let i = 0; i < 5; i++) await fetch(`${daemon.origin}/nowhere`);
    assert.equal(await daemon.stop(), 0);
    assert.equal(daemon.stderr.match(/The log file .+? cannot be written.+?EACCES/g)?.length, 1, daemon.stderr);
  });
});

test('an old Node.js is told which one is needed', PATIENCE, async () => {
  const { engines } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  const needed = engines.node.replace('>=', '');
  for (const [version, exitCode] of [
    ['18.20.8', 1],
    ['20.11.1', 1],
    [`${needed}.0`, 0],
    ['21.0.0', 0],
  ] as const) {
    const pretend = `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '${version}' })`;
    const result = await run([process.execPath, '--import', pretend, PROGRAM, '--version']);
    assert.equal(result.exitCode, exitCode, version);
    const sentence = `hypivisor needs Node.js ${needed} or later; this is Node.js ${version}\n`;
    assert.equal(result.stderr, exitCode === 0 ? '' : sentence);
  }
});

const namespace = ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--mount-proc', '--kill-child'];
const isolated = promisify(execFile)(namespace[0] as string, [...namespace.slice(1), 'true']);
const whyNotFirst = await isolated.then(
  () => false as const,
  () => 'no process namespaces here',
);

test('as process 1 it says that it collects no orphans', { ...PATIENCE, skip: whyNotFirst }, async (t) => {
  const daemon = await Daemon.start({ launcher: namespace });
  t.after(() => daemon.stop('SIGKILL'));
  await eventually(() => assert.match(daemon.stderr, /process 1.+--init/));
  assert.equal((await fetch(`${daemon.origin}/healthz`)).status, 200);
});
