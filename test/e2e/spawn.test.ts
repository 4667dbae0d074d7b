/** Agents that the built daemon starts: what they get, what is told of them, and what becomes of them. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';

const PATIENCE = { timeout: 60_000 };

/** The lines of the daemon's log with that message. */
function linesOf({ stderr }: Daemon, msg: string): Json[] {
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line)).filter((line) => line.msg === msg);
}

/** What the log says of the agent that was started. */
function startedIn(daemon: Daemon): Promise<Json> {
  return eventually(() => {
    const [line] = linesOf(daemon, 'agent started');
    assert.ok(line !== undefined, 'logged');
    return line;
  });
}

async function startWith(t: TestContext, command: string | string[], env: NodeJS.ProcessEnv = {}) {
  const spawnCommand = typeof command === 'string' ? command : JSON.stringify(command);
  const daemon = await Daemon.start({ args: ['--spawn-command', spawnCommand, '--log-format', 'json'], env });
  const client = await Client.open(daemon.registryUrl);
  t.after(async () => {
    client.terminate();
    for (const { pid } of linesOf(daemon, 'agent started')) {
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It has ended already.
      }
    }
    await daemon.stop();
  });
  return { daemon, client, home: await realpath(daemon.home) };
}

describe('the environment of agents', PATIENCE, () => {
  test('the environment of the person who started the daemon, under npm too', async (t) => {
    const person = {
      LANG: 'C.UTF-8',
      EDITOR: 'nano',
      PI_SOCKET_PORT: '9000',
      API_KEY: 'x',
      'BASH_FUNC_f%%': '() { :; }',
    };
    const byNpm = {
      npm_lifecycle_event: 'start',
      npm_config_cache: '/x',
      npm_package_json: '/x/package.json',
      INIT_CWD: '/x',
      NODE: '/x/node',
      COLOR: '0',
    };
    const byTheDaemon = {
      NODE_ENV: 'production',
      NODE_OPTIONS: '--no-warnings',
      HYPI_NODE_TTL: '7',
      HYPI_SPAWN_ID: 'x',
    };
    const PATH = '/mine/node_modules/.bin:/usr/bin:/bin';
    const bins = '/x/node_modules/.bin:/node_modules/.bin:/x/node_modules/@npmcli/run-script/lib/node-gyp-bin';
    const env = { ...person, ...byNpm, ...byTheDaemon, PATH: `${bins}:${PATH}` };
    const { daemon, client, home } = await startWith(t, 'sleep 60', env);
    const { result } = await client.call('spawn_agent', { path: home });
    const { pid } = await startedIn(daemon);
    const environment = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').filter(Boolean);
    const expected = {
      ...person,
      PATH,
      HOME: daemon.home,
      PWD: home,
      HYPIVISOR_WS: `ws://localhost:${daemon.port}/ws`,
      HYPI_SPAWN_ID: result.spawn_id,
    };
    assert.deepEqual(
      // What some shells set for the programs they start.
      environment.filter((variable) => !/^(_|SHLVL)=/.test(variable)).sort(),
      Object.entries(expected)
        .map(([name, value]) => `${name}=${value}`)
        .sort(),
    );
  });

  test("a command with a slash is the one in the daemon's folder, never one in the agent's folder", async (t) => {
    const here = await realpath(await mkdtemp(join(tmpdir(), 'hypivisor-test-')));
    t.after(() => rm(here, { recursive: true }));
    await writeFile(join(here, 'agent.sh'), '#!/bin/sh\necho mine; exec sleep 60\n', { mode: 0o755 });
    const before = process.cwd();
    process.chdir(here);
    const started = startWith(t, './agent.sh').finally(() => process.chdir(before));
    const { daemon, client, home } = await started;
    const clone = join(home, 'clone');
    await mkdir(clone);
    await writeFile(join(clone, 'agent.sh'), '#!/bin/sh\necho "the clone\'s"; touch ran; exec sleep 60\n', {
      mode: 0o755,
    });
    assert.equal((await client.call('spawn_agent', { path: clone })).result.status, 'spawning');
    const { output } = await startedIn(daemon);
    await eventually(async () => assert.equal(await readFile(output, 'utf8'), 'mine\n'));
    assert.deepEqual(await readdir(clone), ['agent.sh']);
  });

  test('start and end are in the log: the caller, the command, the folder, the process, its output; and the way it ended', async (t) => {
    const { daemon, client, home } = await startWith(t, ['sh', '-c', 'echo secret words; sleep 4; exit 7']);
    const { result } = await client.call('spawn_agent', { path: '~', new_folder: 'x', prompt: 'a secret prompt' });
    assert.deepEqual(result, { status: 'spawning', path: join(home, 'x'), spawn_id: result.spawn_id });
    const { ts: _ts, pid, output, ...start } = await startedIn(daemon);
    assert.deepEqual(start, {
      level: 'info',
      component: 'hypivisor',
      msg: 'agent started',
      remoteAddress: '127.0.0.1',
      command: 'sh -c echo secret words; sleep 4; exit 7',
      folder: join(home, 'x'),
    });
    assert.equal(output, join(daemon.home, '.pi/logs/agents', `agent-${pid}-${result.spawn_id}.log`));
    const { seconds, ...end } = await eventually(() => {
      const [end] = linesOf(daemon, 'agent ended');
      assert.ok(end !== undefined, 'logged');
      return end;
    });
    assert.ok(seconds >= 4 && seconds < 60, String(seconds));
    assert.deepEqual([end.level, end.pid, end.exitCode], ['info', pid, 7]);
    assert.doesNotMatch(daemon.stderr, /secret prompt/);
  });

  test('a command that ends at once is an error, with the end of its output', async (t) => {
    const { daemon, client } = await startWith(t, ['sh', '-c', 'echo "No API key found" >&2; exit 1']);
    for (let i = 0; i < 2; i++) {
      const { error } = await client.call('spawn_agent', { path: '~' });
      assert.equal(error, 'Failed to spawn: sh ended at once with exit code 1: No API key found');
    }
    await eventually(() => {
      assert.deepEqual(
        linesOf(daemon, 'agent ended').map(({ exitCode }) => exitCode),
        [1, 1],
      );
    });
  });

  test('no TMPDIR is needed', async (t) => {
    const { client } = await startWith(t, ['cat'], { TMPDIR: '/no/such/folder' });
    assert.equal((await client.call('spawn_agent', { path: '~' })).result.status, 'spawning');
  });

  test('folders as people type them are meant, or refused in words; none is called ~', async (t) => {
    const { client, home } = await startWith(t, 'cat');
    await mkdir(join(home, 'a b'));
    for (const path of ['~/a b', '$HOME/a b', `file://${encodeURI(home)}/a%20b`]) {
      assert.equal((await client.call('list_directories', { path })).result.current, join(home, 'a b'));
    }
    for (const [params, error] of [
      [{ path: '~', new_folder: '~/x' }, 'Failed to spawn: new_folder is the name of a folder in path, not "~/x"'],
      [{ path: '~', new_folder: 'x/~' }, 'Failed to spawn: no folder is made with the name ~'],
      [{ path: '~', new_folder: 'a\nb' }, 'Failed to spawn: control character in path'],
    ] as const) {
      assert.equal((await client.call('spawn_agent', params)).error, error);
    }
    assert.deepEqual((await client.call('list_directories')).result.directories, ['a b']);
  });

  test('from a folder that can be listed and made an agent can register', async (t) => {
    const { client, home } = await startWith(t, 'cat');
    const names = ['é 🎉', '"quoted" \\', `${'x'.repeat(255)}/`.repeat(15)];
    for (const new_folder of names) {
      const { result } = await client.call('spawn_agent', { path: '~', new_folder });
      const params = { id: new_folder.slice(0, 9), machine: 'm', cwd: result.path, port: 1, status: 'active' };
      assert.deepEqual((await client.call('register', params)).result, { status: 'registered' });
    }
    // Characters that a registration cannot carry.
    for (const name of ['a\tb', '\u001b[2J', '\u0085']) {
      await mkdir(join(home, name));
      assert.match((await client.call('spawn_agent', { path: name })).error, /control character/);
    }
    const { directories } = (await client.call('list_directories')).result;
    assert.deepEqual(directories, ['"quoted" \\', 'x'.repeat(255), 'é 🎉']);
  });
});

describe('the process that works on the disk', PATIENCE, () => {
  const skip = process.platform === 'linux' ? false : 'processes are found by /proc';

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`ends with the daemon, ended by ${signal}`, { skip }, async (t) => {
      const { daemon, client } = await startWith(t, 'cat');
      const childrenOf = `/proc/${daemon.pid}/task/${daemon.pid}/children`;
      assert.equal(await readFile(childrenOf, 'latin1'), '', 'it is there only if somebody asks');
      await client.call('list_directories');
      const [helper = '', ...others] = (await readFile(childrenOf, 'latin1')).trim().split(' ');
      assert.deepEqual(others, []);
      assert.match(await readFile(`/proc/${helper}/cmdline`, 'latin1'), /helper\.js/);
      await daemon.stop(signal);
      await eventually(() => assert.rejects(readFile(`/proc/${helper}/cmdline`), { code: 'ENOENT' }));
    });
  }

  test('is replaced if somebody ends it', { skip }, async (t) => {
    const { daemon, client, home } = await startWith(t, 'cat');
    for (let round = 0; round < 3; round++) {
      await client.call('list_directories');
      const helper = await readFile(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'latin1');
      process.kill(Number(helper), 'SIGKILL');
      await eventually(async () => assert.equal((await client.call('list_directories')).result?.current, home));
    }
  });
});

describe('following an agent that was started', PATIENCE, () => {
  /** Registers with its spawn id, says what it was told, and ends once a file `end` is in its folder. */
  const AGENT = `
    import { existsSync } from 'node:fs';
    import { WebSocket } from ${JSON.stringify(import.meta.resolve('ws'))};
    const socket = new WebSocket(process.env.HYPIVISOR_WS);
    const params = {
      id: 'spawned', machine: 'localhost', cwd: process.cwd(), port: 1, status: 'active', spawn_id: process.env.HYPI_SPAWN_ID,
    };
    socket.on('open', () => socket.send(JSON.stringify({ method: 'register', params })));
    process.stdin.on('data', (data) => console.log(String(data)));
    setInterval(() => {
      if (!existsSync('end')) return;
      console.log('the end');
      process.exit(3);
    }, 20);
    setTimeout(() => process.exit(), 60_000);`;
  const command = [process.execPath, '--input-type=module', '-e', AGENT, '--'];

  test('until it registers, and until it ends', async (t) => {
    const { daemon, client, home } = await startWith(t, command);
    assert.deepEqual((await client.call('subscribe', { features: ['spawns'] })).result, { features: ['spawns'] });
    client.send({ id: 's', method: 'spawn_agent', params: { path: '~', new_folder: 'x', prompt: 'Hi', model: 'm' } });
    // In either order.
    const isEither = ({ event, id }: Json) => event === 'node_joined' || id === 's';
    const told = [await client.until(isEither), await client.until(isEither)];
    const { spawn_id } = told.find(({ id }) => id === 's').result;
    assert.equal(told.find(({ event }) => event === 'node_joined').node.spawn_id, spawn_id);
    assert.deepEqual((await client.call('spawn_status', { spawn_id })).result, {
      status: 'registered',
      node: 'spawned',
    });
    const { output, pid } = await startedIn(daemon);
    assert.match(await readFile(`/proc/${pid}/cmdline`, 'utf8'), /\0--model\0m\0$/);
    await eventually(async () => {
      assert.deepEqual(JSON.parse(await readFile(output, 'utf8')), { type: 'prompt', message: 'Hi' });
    });
    await writeFile(join(home, 'x', 'end'), '');
    const { event, ...ended } = await client.until(({ event }) => event === 'spawn_ended');
    assert.deepEqual(ended, { spawn_id, exit_code: 3, signal: null, output: ended.output });
    assert.match(ended.output, /^\{"type":"prompt","message":"Hi"\}\s+the end$/);
    const { spawn_id: _, ...end } = ended;
    assert.deepEqual((await client.call('spawn_status', { spawn_id })).result, {
      status: 'ended',
      node: 'spawned',
      ...end,
    });
    assert.equal((await client.call('spawn_status', { spawn_id: 'x' })).error, 'No such spawn');
  });

  test('its status can be requested, and its end is pushed to subscribers, with the end of its output', async (t) => {
    const program = 'setTimeout(() => { console.log("out of credit"); process.exit(3) }, 4000)';
    const { client, home, daemon } = await startWith(t, [process.execPath, '-e', program]);
    const other = await Client.open(daemon.registryUrl);
    t.after(() => other.terminate());
    const granted = await client.call('subscribe', { features: ['spawns'] });
    assert.deepEqual(granted.result, { features: ['spawns'] });
    const { result } = await client.call('spawn_agent', { path: home });
    assert.deepEqual(result, { status: 'spawning', path: home, spawn_id: result.spawn_id });
    const { spawn_id } = result;
    for (const asker of [client, other]) {
      assert.deepEqual((await asker.call('spawn_status', { spawn_id })).result, { status: 'starting' });
    }
    assert.deepEqual(await client.until(({ event }) => event === 'spawn_ended'), {
      event: 'spawn_ended',
      spawn_id,
      exit_code: 3,
      signal: null,
      output: 'out of credit',
    });
    assert.deepEqual((await other.call('spawn_status', { spawn_id })).result, {
      status: 'ended',
      exit_code: 3,
      signal: null,
      output: 'out of credit',
    });
    assert.equal((await other.call('spawn_status', { spawn_id: 'x' })).error, 'No such spawn');
    assert.ok(!other.pending.some(({ payload }) => payload.includes('spawn_ended')));
  });

  test('past sessions of a folder are listed, and one goes on', async (t) => {
    const { client, home, daemon } = await startWith(t, ['sh', '-c', 'sleep 60', 'pi']);
    const folder = join(home, 'project');
    const sessions = join(home, '.pi/agent/sessions', `--${folder.slice(1).replaceAll('/', '-')}--`);
    await mkdir(folder);
    await mkdir(sessions, { recursive: true });
    const file = join(sessions, '2026-11-29T10-39-50-457Z_abc.jsonl');
    const lines = [
      { type: 'session', version: 3, id: 'abc', timestamp: '2026-11-29T10:39:50.457Z', cwd: folder },
      { type: 'message', message: { role: 'user', content: 'Fix it' } },
    ];
    await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const { result } = await client.call('list_sessions', { path: 'project' });
    assert.deepEqual(result, {
      path: folder,
      sessions: [{ session: 'abc', first: 'Fix it', modified: result.sessions[0].modified }],
    });
    assert.deepEqual((await client.call('list_sessions')).result, { path: home, sessions: [] });
    assert.equal((await client.call('list_sessions', { path: '/etc' })).error, 'Path resolves outside home directory');
    assert.equal((await client.call('spawn_agent', { path: folder, session: 'abc' })).result.status, 'spawning');
    assert.ok((await startedIn(daemon)).command.endsWith(`--session ${file}`));
  });
});

describe('agents that live', PATIENCE, () => {
  /** An agent that lives as long as its stdin, serves, registers where it is told, and comes back when that is gone; but no longer than a minute. */
  const AGENT = `
    import { WebSocket, WebSocketServer } from ${JSON.stringify(import.meta.resolve('ws'))};
    const cwd = process.cwd();
    process.stdin.on('end', () => process.exit()).resume();
    setTimeout(() => process.exit(), 60_000);
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    server.on('connection', (socket) => socket.send(JSON.stringify({ argv: process.argv.slice(1), env: process.env })));
    function connect() {
      const { HYPIVISOR_WS, HYPI_TOKEN } = process.env;
      const socket = new WebSocket(HYPIVISOR_WS + '?token=' + encodeURIComponent(HYPI_TOKEN));
      const { port } = server.address();
      const params = { id: 'spawned', machine: 'localhost', cwd, port, status: 'active', pid: process.pid };
      socket.on('open', () => socket.send(JSON.stringify({ method: 'register', params })));
      socket.on('error', () => {});
      socket.on('close', () => setTimeout(connect, 50));
    }
    server.on('listening', connect);`;
  const command = JSON.stringify([process.execPath, '--input-type=module', '-e', AGENT, '--', 'argument with spaces']);
  const TOKEN = 'a token+%';

  /** The process is there and no zombie. */
  async function isRunning(pid: number): Promise<boolean> {
    try {
      process.kill(pid, 0);
    } catch {
      return false;
    }
    if (process.platform !== 'linux') return true;
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ') X');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  }

  test('an agent started through the daemon registers with it, and outlives its SIGKILL', async (t) => {
    const env = { HYPI_TOKEN: TOKEN };
    const spawner = await Daemon.start({ args: ['--spawn-command', command], env });
    t.after(() => spawner.stop('SIGKILL'));
    const query = `?token=${encodeURIComponent(TOKEN)}`;
    const dashboard = await Client.open(spawner.registryUrl + query);
    const folder = join(await realpath(spawner.home), 'work', 'deeper');
    await mkdir(join(spawner.home, 'work'));
    dashboard.send({
      id: 1,
      method: 'spawn_agent',
      params: { path: join(spawner.home, 'work'), new_folder: ' deeper ' },
    });
    const { node } = await dashboard.until(({ event }) => event === 'node_joined');
    t.after(() => {
      try {
        process.kill(node.pid, 'SIGKILL');
      } catch {
        // It has ended already.
      }
    });
    assert.equal(node.cwd, folder);
    const relay = await Client.open(spawner.relayUrl('spawned') + query);
    const { argv, env: environment } = await relay.nextJson();
    assert.deepEqual(argv, ['argument with spaces']);
    assert.equal(environment.HYPIVISOR_WS, `ws://localhost:${spawner.port}/ws`);
    assert.equal(environment.HYPI_TOKEN, TOKEN);
    assert.equal(environment.PWD, folder);
    relay.terminate();

    await spawner.stop('SIGKILL');
    assert.ok(await isRunning(node.pid));
    const daemon = await Daemon.start({ args: ['--port', String(spawner.port)], env });
    t.after(() => daemon.stop());
    const later = await Client.open(daemon.registryUrl + query);
    const isBack = ({ event, nodes, node }: Json) => (event === 'node_joined' ? node : nodes?.length > 0);
    await later.until(isBack);
    assert.ok(await isRunning(node.pid));
    later.terminate();
  });

  test('the answer names the folder; an agent that ends leaves no zombie', async (t) => {
    const script = JSON.stringify(['sleep', '3.5']);
    const daemon = await Daemon.start({ args: ['--spawn-command', script] });
    t.after(() => daemon.stop());
    const client = await Client.open(daemon.registryUrl);
    const canonical = await realpath(daemon.home);
    const { result } = await client.call('spawn_agent', { path: `${daemon.home}/.`, new_folder: 'a/b' });
    assert.deepEqual(result, { status: 'spawning', path: join(canonical, 'a', 'b'), spawn_id: result.spawn_id });
    if (process.platform === 'linux') {
      await eventually(async () => {
        const children = await readFile(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'latin1');
        // But for the process that works on the disk.
        assert.ok(children.trim().split(' ').length <= 1, children);
      });
    }
    client.terminate();
  });

  test('a command that cannot be started is told, and nothing else stops', async (t) => {
    const daemon = await Daemon.start({ args: ['--spawn-command', 'no-such-program'] });
    t.after(() => daemon.stop());
    const client = await Client.open(daemon.registryUrl);
    for (let i = 0; i < 3; i++) {
      const { error } = await client.call('spawn_agent', { path: daemon.home });
      assert.equal(error, 'Failed to spawn: no-such-program: command not found');
    }
    assert.equal((await client.call('ping')).result.status, 'healthy');
    client.terminate();
  });
});
