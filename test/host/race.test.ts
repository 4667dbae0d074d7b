/**
 * Folders swapped for symbolic links between check and use. Another process does nothing but that:
 *
 *   home/swapped/sub/   ◀─ swap ─▶   home/swapped ─▶ outside/
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Agents } from '../../src/host/agents.ts';
import { listDirectories } from '../../src/host/directories.ts';
import { HostError } from '../../src/host/error.ts';
import { Helper } from '../../src/host/helper-process.ts';
import { Jail } from '../../src/host/jail.ts';
import { descriptorsIn, makeHome, type TestHome } from './home.ts';

const SWAPPER = `
  const { renameSync } = require('node:fs');
  process.chdir(process.argv[1]);
  const end = Date.now() + 30_000;
  let made = 0;
  const move = (from, to) => {
    while (Date.now() < end) {
      try {
        return renameSync(from, to);
      } catch {
        // Somebody makes folders while the name is free.
        try { renameSync(to, 'made-' + made++) } catch {}
      }
    }
  };
  const clock = new Int32Array(new SharedArrayBuffer(4));
  const rest = () => Atomics.wait(clock, 0, 0, Math.random() / 5);
  console.log('swapping');
  while (Date.now() < end) {
    rest();
    move('swapped', 'aside');
    move('link', 'swapped');
    rest();
    move('swapped', 'link');
    move('aside', 'swapped');
  }
`;

async function whileSwapping(
  t: TestContext,
  task: (place: TestHome, jail: Jail) => Promise<void>,
  throughDescriptors = true,
): Promise<void> {
  const place = await makeHome(t);
  await mkdir(join(place.home, 'swapped/sub/mine'), { recursive: true });
  await mkdir(join(place.outside, 'sub/secret'), { recursive: true });
  await symlink(place.outside, join(place.home, 'link'));
  const swapper = spawn(process.execPath, ['-e', SWAPPER, place.home], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(swapper, 'exit');
  try {
    await once(swapper.stdout, 'data');
    await task(place, await Jail.open(place.home, throughDescriptors));
    assert.equal(swapper.exitCode, null, 'it swapped to the end');
  } finally {
    swapper.kill('SIGKILL');
    await ended;
  }
  assert.deepEqual((await readdir(place.outside)).sort(), ['secret', 'sub']);
  assert.deepEqual(await readdir(join(place.outside, 'sub')), ['secret']);
  assert.equal(await descriptorsIn(place.base), 0);
}

/** Runs `round` `rounds` times, four at a time. A round may be refused, and then in a sentence or by the system. */
async function race(rounds: number, round: (index: number) => Promise<void>): Promise<void> {
  let index = 0;
  const lane = async () => {
    while (index < rounds) {
      await round(index++).catch((error: unknown) => {
        if (!(error instanceof HostError) && !(error instanceof Error && 'syscall' in error)) throw error;
      });
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
}

test('a folder swapped for a link is never entered', (t) =>
  whileSwapping(t, async (_place, jail) => {
    const reached = new Set<string>();
    await race(4000, async (index) => {
      const folder = await jail.enter(index % 2 === 0 ? 'swapped' : 'swapped/sub');
      try {
        for (const name of await readdir(folder.handlePath)) reached.add(name);
      } finally {
        await folder.close();
      }
    });
    assert.deepEqual([...reached].sort(), ['mine', 'sub']);
  }));

test('a folder swapped for a link is never listed', (t) =>
  whileSwapping(t, async (_place, jail) => {
    const listed = new Set<string>();
    await race(2000, async (index) => {
      const { directories } = await listDirectories(jail, index % 2 === 0 ? 'swapped' : 'swapped/sub');
      for (const name of directories) listed.add(name);
    });
    assert.deepEqual([...listed].sort(), ['mine', 'sub']);
  }));

test('nothing is made behind a folder swapped for a link', (t) =>
  whileSwapping(t, async (_place, jail) => {
    await race(2000, async (index) => {
      const folder = await jail.create('swapped', index % 2 === 0 ? `new-${index}` : `sub/new-${index}/nested`);
      await folder.close();
    });
  }));

test('no agent starts behind a folder swapped for a link', (t) =>
  whileSwapping(t, async ({ base, home }, jail) => {
    const outputDirectory = join(base, 'output');
    const program = new URL('../../src/host/helper.ts', import.meta.url);
    const helper = new Helper({ program, timeoutMs: 20_000, onFault: (error) => assert.fail(String(error)) });
    t.after(() => helper.close());
    const folders: string[] = [];
    const agents = new Agents(helper, {
      home,
      command: ['pwd', '-P'],
      outputDirectory,
      settleMs: 5000,
      admission: { maxAgents: 1_000_000, minFreeMemory: 0 },
      freeMemory: () => null,
      timeoutMs: 20_000,
      onStarted: () => {},
      onEnded: ({ outputEnd }) => folders.push(outputEnd),
    });
    await race(80, async (index) => {
      const params = index % 2 === 0 ? { path: 'swapped' } : { path: 'swapped', new_folder: `x/${index}` };
      await agents.start(params, process.env, { remoteAddress: '::1' });
    });
    assert.notEqual(folders.length, 0);
    for (const folder of folders) assert.equal(jail.contains(folder), true, folder);
  }));

test('by name a swapped folder may be entered, but no descriptor stays open', (t) =>
  whileSwapping(
    t,
    async (_place, jail) => {
      await race(2000, async () => (await jail.enter('swapped/sub')).close());
    },
    false,
  ));
