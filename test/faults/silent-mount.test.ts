/**
 * A mount under the home folder that never answers, as a dead network mount does: what is asked about it, the daemon does not
 * wait for, and the rest of the daemon never notices.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { launch } from '../../src/host/launch.ts';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { Daemon, type DaemonOptions } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { SilentMount, whyNoSilentMount } from '../support/silent-mount.ts';

const skip = await whyNoSilentMount();

/** Five seconds are what is promised; the rest is room for a busy machine. */
const TIME_LIMIT_MS = 8000;
/** Three are promised. */
const END_MS = 5000;

const SILENT = /^(Cannot read directory|Failed to spawn|Cannot list sessions): the file system does not answer$/;

/** A daemon whose home has the folders `a`, `b` and those that are silent. */
async function startBeside(t: TestContext, silentFolders: string[], options: DaemonOptions = {}) {
  const daemon = await Daemon.start({ args: ['--spawn-command', 'sleep 60'], ...options });
  const home = await realpath(daemon.home);
  const mounts: SilentMount[] = [];
  t.after(async () => {
    for (const mount of mounts) await mount.unmount();
    await daemon.stop('SIGKILL');
  });
  for (const folder of ['a', 'b', ...silentFolders]) await mkdir(join(home, folder), { recursive: true });
  for (const folder of silentFolders) mounts.push(await SilentMount.at(join(home, folder)));
  const client = await Client.open(daemon.registryUrl);
  t.after(() => client.terminate());
  /** Asks, and sees that the answer comes in time. */
  const ask = async (method: string, params: object = {}) => {
    const startedAt = performance.now();
    const answer = await client.call(method, params as Record<string, unknown>);
    assert.ok(performance.now() - startedAt < TIME_LIMIT_MS, `${method} ${JSON.stringify(params)}`);
    return answer;
  };
  return { daemon, home, client, mounts, ask };
}

/** Not by `stop`, which would remove the home folder, and wait for the mount in it. */
async function endsPromptly({ process: child }: Daemon): Promise<void> {
  const startedAt = performance.now();
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  assert.deepEqual(await exited, [0, null]);
  assert.ok(performance.now() - startedAt < END_MS);
}

async function threadsOf(processId: number): Promise<number> {
  return (await readdir(`/proc/${processId}/task`)).length;
}

describe('a mount under home that never answers', { skip, timeout: 120_000 }, () => {
  test('is left out of the listing, is refused in a sentence, and holds up nothing else', async (t) => {
    const { daemon, home, ask } = await startBeside(t, ['silent']);
    await symlink('silent', join(home, 'link'));
    await symlink('silent/deeper', join(home, 'link-deeper'));
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    await agent.register(daemon.registryUrl, 'agent');
    const threads = await threadsOf(daemon.pid);

    for (let round = 0; round < 8; round++) {
      assert.deepEqual((await ask('list_directories')).result, { current: home, directories: ['a', 'b'] });
    }
    for (const path of ['silent', 'silent/x', 'silent/x/y', 'link', 'link-deeper']) {
      assert.match((await ask('list_directories', { path })).error, SILENT, path);
      assert.match((await ask('list_sessions', { path })).error, SILENT, path);
      assert.match((await ask('spawn_agent', { path })).error, SILENT, path);
      assert.match((await ask('spawn_agent', { path: '~', new_folder: `${path}/new` })).error, SILENT, path);
    }
    const paths = ['silent', 'a', 'silent/x', 'b', '~'];
    const clients = await Promise.all(Array.from({ length: 8 }, () => Client.open(daemon.registryUrl)));
    for (const other of clients) {
      for (const [id, path] of paths.entries()) other.send({ id, method: 'list_directories', params: { path } });
    }
    for (const other of clients) {
      for (let answered = 0; answered < paths.length; answered++) {
        const { id, error, result } = await other.until((message) => message.event === undefined);
        if (paths[id]?.startsWith('silent')) assert.match(error, SILENT);
        else assert.equal(result.current, join(home, (paths[id] as string).replace('~', '')).replace(/\/$/, ''));
      }
    }
    for (const other of clients) other.terminate();

    assert.equal((await ask('spawn_agent', { path: 'a' })).result.status, 'spawning');
    const relay = await Client.open(daemon.relayUrl('agent'));
    relay.socket.send('hello');
    assert.equal((await relay.next()).payload.toString(), 'hello');
    relay.terminate();
    await eventually(() => assert.match(daemon.stderr, /relay closed/));
    // No thread more than a look-up and the log take.
    assert.ok((await threadsOf(daemon.pid)) - threads <= 4);
    await endsPromptly(daemon);
  });

  test('is found also where nobody saw it before', async (t) => {
    const { daemon, ask } = await startBeside(t, ['silent']);
    assert.match((await ask('spawn_agent', { path: 'silent/x/y' })).error, SILENT);
    assert.match((await ask('spawn_agent', { path: '~', new_folder: 'silent/z' })).error, SILENT);
    assert.deepEqual((await ask('list_directories')).result.directories, ['a', 'b']);
    await endsPromptly(daemon);
  });

  test('may be one of many', async (t) => {
    const folders = Array.from({ length: 7 }, (_, index) => `mounts/silent-${index}`);
    const { daemon, home, ask } = await startBeside(t, folders);
    await mkdir(join(home, 'mounts', 'fine'));
    assert.deepEqual((await ask('list_directories', { path: 'mounts' })).result.directories, ['fine']);
    for (const path of folders) assert.match((await ask('list_directories', { path })).error, SILENT);
    assert.equal((await ask('spawn_agent', { path: 'mounts/fine' })).result.status, 'spawning');
    await endsPromptly(daemon);
  });

  test('is there again once it answers', async (t) => {
    const { ask, mounts, home } = await startBeside(t, ['silent']);
    assert.deepEqual((await ask('list_directories')).result.directories, ['a', 'b']);
    await mounts[0]?.unmount();
    await mkdir(join(home, 'silent', 'x'));
    await eventually(async () => {
      assert.deepEqual((await ask('list_directories')).result.directories, ['a', 'b', 'silent']);
    });
    assert.deepEqual((await ask('list_directories', { path: 'silent' })).result.directories, ['x']);
  });

  test('may be in PATH', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'hypivisor-mount-'));
    const mount = await SilentMount.at(folder);
    t.after(async () => {
      await mount.unmount();
      await rm(folder, { recursive: true });
    });
    const { daemon, ask } = await startBeside(t, [], { env: { PATH: `${folder}:${process.env.PATH}` } });
    const { result } = await ask('spawn_agent', { path: 'a' });
    // The shell that becomes the agent is not told of PATH.
    assert.equal(result.status, 'spawning');
    await endsPromptly(daemon);
  });

  test('may hold the output of agents, and the sessions of pi', async (t) => {
    // The log elsewhere: a thread that waits for this mount cannot even be killed.
    const { daemon, ask } = await startBeside(t, ['.pi'], {
      args: ['--spawn-command', 'sleep 60', '--log-file', 'none'],
    });
    assert.match((await ask('spawn_agent', { path: 'a' })).error, SILENT);
    assert.match((await ask('list_sessions', { path: 'a' })).error, SILENT);
    assert.deepEqual((await ask('list_directories')).result.directories, ['a', 'b']);
    await endsPromptly(daemon);
  });

  test('may fall silent just before an agent would enter it', async (t) => {
    const base = await realpath(await mkdtemp(join(tmpdir(), 'hypivisor-mount-')));
    const folder = join(base, 'folder');
    const outputDirectory = join(base, 'output');
    for (const path of [folder, outputDirectory]) await mkdir(path);
    const mount = await SilentMount.at(folder);
    t.after(async () => {
      await mount.unmount();
      await rm(base, { recursive: true });
    });
    const command = ['/bin/sh', '-c', 'touch ran'] as const;
    const options = { spawnId: '0', command, environment: {}, folder, outputDirectory, stdinFile: null };
    let turns = 0;
    const turning = setInterval(() => turns++, 10);
    t.after(() => clearInterval(turning));
    await assert.rejects(launch(options, 1000), { message: 'Failed to spawn: the file system does not answer' });
    assert.ok(turns > 10, 'this process goes on meanwhile');
  });
});
