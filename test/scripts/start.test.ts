/** `npm start` in a clone that was never built. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, cp, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/measure.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PATIENCE = { timeout: 120_000 };

/** A copy of what a build needs, without a build. */
async function clone(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const name of ['package.json', 'package-lock.json', 'tsconfig.json', 'scripts', 'src']) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** The processes that this one has started and that live. */
async function childrenOf(pid: number): Promise<string[]> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'utf8')));
  return lists.flatMap((list) => list.split(' ').filter(Boolean));
}

test('it builds, becomes the daemon, and leaves no compiler behind', {
  ...PATIENCE,
  skip: process.platform !== 'linux' && 'processes are looked up in /proc',
}, async (t) => {
  const folder = await clone(t);
  const child = spawn(process.execPath, ['scripts/start.mjs', '--port', '0', '--log-file', 'none'], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: join(folder, 'home') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  await eventually(() => assert.match(stderr, /Hypivisor online/), 90_000);
  await access(join(folder, 'dist', '.inputs'));
  assert.deepEqual(await childrenOf(child.pid as number), []);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('an old Node.js is told which one is needed', PATIENCE, async () => {
  const pretend = `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '18.20.8' })`;
  const { engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  for (const script of ['start', 'build', 'install']) {
    const child = spawn(process.execPath, ['--import', pretend, `scripts/${script}.mjs`], { cwd: ROOT });
    const [stderr, [exitCode]] = await Promise.all([child.stderr.toArray(), once(child, 'close')]);
    const needed = engines.node.replace('>=', '');
    assert.equal(stderr.join(''), `hypivisor needs Node.js ${needed} or later; this is Node.js 18.20.8\n`, script);
    assert.equal(exitCode, 1);
  }
});
