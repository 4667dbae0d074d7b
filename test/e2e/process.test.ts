/** The daemon as a process: its command line, its signals, its log, and the agents it starts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import net from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from '../support/agent.ts';
import { Client, type Json } from '../support/client.ts';
import { Daemon, PROGRAM } from '../support/daemon.ts';
import { HAS_IPV6 } from '../support/ipv6.ts';
import { eventually } from '../support/measure.ts';
import { readFrames } from '../support/raw-frame.ts';
import {
  BINARY,
  CLOSE,
  clientFrame,
  RawAgent,
  RawPeer,
  serverFrame,
  upgradeRequest,
  upgradeResponse,
} from '../support/raw-peer.ts';

const PATIENCE = { timeout: 30_000 };

let home: string;
before(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'hypivisor-test-')));
});
after(() => rm(home, { recursive: true, force: true }));

interface Run {
  stdout: string;
  stderr: string;
  exitCode: number | null;
}

/** Starts the program with nothing but these arguments. */
function start(t: TestContext, args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env.PATH, HOME: home, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const run: Run = { stdout: '', stderr: '', exitCode: null };
  child.stdout.on('data', (chunk) => {
    run.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    run.stderr += chunk;
  });
  const ended = once(child, 'close').then(([exitCode]) => {
    run.exitCode = exitCode;
    return run;
  });
  const online = eventually(() => {
    assert.match(run.stderr, /Hypivisor online/);
    return run;
  });
  online.catch(() => {});
  return { child, ended, online };
}

/** Runs the program until it ends by itself. */
function run(t: TestContext, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return start(t, args, env).ended;
}

function linesOf(text: string): Json[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Can a connection be made? */
async function isOpen(host: string, port: number): Promise<boolean> {
  const socket = net.connect({ host, port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe('the command line', PATIENCE, () => {
  test('--help and --version print to stdout and exit 0', async (t) => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    assert.deepEqual(await run(t, ['--version']), { stdout: `${version}\n`, stderr: '', exitCode: 0 });
    for (const flag of ['--help', '-h']) {
      const help = await run(t, [flag]);
      assert.deepEqual([help.exitCode, help.stderr], [0, '']);
      for (const word of ['--port', '--node-ttl', '--host', '--allow-origin', '--log-format', 'HYPI_TOKEN']) {
        assert.ok(help.stdout.includes(word), word);
      }
    }
  });

  test('an unknown flag or a bad value exits 2 with one sentence', async (t) => {
    const bad: [args: string[], env?: NodeJS.ProcessEnv][] = [
      [['--unknown']],
      [['-x']],
      [['surplus']],
      [['--port']],
      [['--port', 'http']],
      [['--port', '65536']],
      [['--port', '-1']],
      [['--port', '80.5']],
      [['--port=']],
      [['--node-ttl', 'soon']],
      [['--node-ttl=-1']],
      [['--host', 'a b']],
      [['--host', 'localhost:80']],
      [['--allow-origin', 'example.org']],
      [['--allow-host', 'http://example.org']],
      [['--log-format', 'xml']],
      [['--spawn-command', '[1]']],
      [['--help=yes']],
      [[], { HYPI_PORT: 'x' }],
      [[], { HYPI_NODE_TTL: 'x' }],
      [[], { HYPI_HOST: 'a b' }],
      [[], { HYPI_ALLOW_ORIGIN: 'http://good.example,bad' }],
      [[], { HYPI_ALLOW_HOST: 'a b' }],
      [[], { HYPI_LOG_FORMAT: 'x' }],
      [[], { HYPI_SPAWN_COMMAND: '["' }],
    ];
    await Promise.all(
      bad.map(async ([args, env]) => {
        const { stdout, stderr, exitCode } = await run(t, args, env);
        const what = `${args.join(' ')} ${JSON.stringify(env)}: ${stderr}`;
        assert.equal(exitCode, 2, what);
        assert.equal(stdout, '', what);
        assert.match(stderr, /^hypivisor: [^\n]+\n$/, what);
      }),
    );
  });

  test('a port in use exits 1 with a sentence that says what to do', async (t) => {
    const taken = net.createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as net.AddressInfo;
    for (const args of [
      ['--port', String(port)],
      ['-p', String(port), '--host', '127.0.0.1'],
    ]) {
      const { stderr, exitCode } = await run(t, args);
      assert.equal(exitCode, 1);
      const [line] = linesOf(stderr);
      assert.equal(line.level, 'error');
      assert.ok(line.msg.includes(String(port)) && line.msg.includes('--port'), line.msg);
      assert.deepEqual(Object.keys(line), ['ts', 'level', 'component', 'msg'], 'no bug, and no hardening is asked for');
    }
    const text = await run(t, ['--port', String(port), '--log-format', 'text']);
    assert.match(text.stderr, new RegExp(`^\\S+ error Port ${port} is in use: [^\\n]+\\n$`));
    assert.equal(text.exitCode, 1);
  });

  test('an address that is not of this machine exits 1', async (t) => {
    const { stderr, exitCode } = await run(t, ['--port', '0', '--host', '192.0.2.1']);
    assert.equal(exitCode, 1);
    assert.match(linesOf(stderr)[0].msg, /192\.0\.2\.1.*--host/);
  });

  test('every flag has a twin in the environment, and the flag wins', async (t) => {
    const logFile = join(home, 'elsewhere', 'log.jsonl');
    const { child, online, ended } = start(t, ['--log-format', 'json'], {
      HYPI_PORT: '0',
      HYPI_HOST: '127.0.0.2',
      HYPI_NODE_TTL: '0.1',
      HYPI_ALLOW_ORIGIN: 'https://one.example, https://two.example:8443',
      HYPI_ALLOW_HOST: 'hypi.example',
      HYPI_LOG_FORMAT: 'text',
      HYPI_LOG_FILE: logFile,
      HYPI_SPAWN_COMMAND: 'no-such-program --with words',
    });
    const { port, hosts } = linesOf((await online).stderr).find(({ msg }) => msg === 'Hypivisor online');
    assert.equal(hosts, '127.0.0.2');
    const url = `ws://127.0.0.2:${port}/ws`;
    const client = await Client.open(url, [], { origin: 'https://two.example:8443' });
    await assert.rejects(Client.open(url, [], { origin: 'https://two.example' }), /403/);
    const renamed = { origin: 'http://hypi.example:99', headers: { Host: 'hypi.example' } };
    await (await Client.open(url, [], renamed)).close();
    assert.match((await client.call('spawn_agent', { path: home })).error, /^Failed to spawn: no-such-program: /);
    const uplink = await Client.open(url);
    const params = { id: 'a', machine: 'm', cwd: '/', port: 1, status: 'active' };
    await uplink.call('register', params);
    uplink.terminate();
    await client.until(({ event }) => event === 'node_removed');
    child.kill('SIGTERM');
    await ended;
    assert.ok(linesOf(await readFile(logFile, 'utf8')).some(({ msg }) => msg === 'Hypivisor online'));
  });

  test('flags alone: -p, -t, --log-file none, and text for people', async (t) => {
    const { child, online, ended } = start(t, ['-p', '0', '-t', '5', '--log-file', 'none', '--log-format', 'text']);
    assert.match((await online).stderr, /^\d\d:\d\d:\d\d info {2}Hypivisor online .*port=\d+/m);
    child.kill('SIGINT');
    assert.equal((await ended).exitCode, 0);
  });
});

describe('the addresses that it listens on', PATIENCE, () => {
  test('without a token on loopback only, one port on both addresses, with a warning', async (t) => {
    const daemon = await Daemon.start();
    t.after(() => daemon.stop());
    assert.ok(await isOpen('127.0.0.1', daemon.port));
    assert.equal(await isOpen('::1', daemon.port), HAS_IPV6);
    assert.ok(!(await isOpen('127.0.0.2', daemon.port)));
    for (const infos of Object.values(networkInterfaces())) {
      for (const { internal, family, address } of infos ?? []) {
        if (!internal && family === 'IPv4') assert.ok(!(await isOpen(address, daemon.port)), address);
      }
    }
    const warning = linesOf(daemon.stderr).find(({ level }) => level === 'warn');
    assert.match(warning.msg, /HYPI_TOKEN/);
  });

  test('with a token everywhere, without a warning', async (t) => {
    const daemon = await Daemon.start({ env: { HYPI_TOKEN: 'secret' } });
    t.after(() => daemon.stop());
    for (const host of ['127.0.0.1', '127.0.0.2']) assert.ok(await isOpen(host, daemon.port));
    assert.equal(await isOpen('::1', daemon.port), HAS_IPV6);
    assert.ok(!linesOf(daemon.stderr).some(({ level }) => level !== 'info'));
  });

  test('--host overrides, with a loud warning if it opens a daemon without a token', async (t) => {
    const one = await Daemon.start({ args: ['--host', '127.0.0.2'], host: '127.0.0.2' });
    t.after(() => one.stop());
    assert.ok(await isOpen('127.0.0.2', one.port));
    assert.ok(!(await isOpen('127.0.0.1', one.port)));
    assert.doesNotMatch(one.stderr, /DANGER/);
    const open = await Daemon.start({ args: ['--host', '0.0.0.0'] });
    t.after(() => open.stop());
    assert.ok(await isOpen('127.0.0.2', open.port));
    assert.match(open.stderr, /DANGER.*HYPI_TOKEN/);
    const guarded = await Daemon.start({ args: ['--host', 'localhost'], env: { HYPI_TOKEN: 'secret' } });
    t.after(() => guarded.stop());
    assert.ok(await isOpen('127.0.0.1', guarded.port));
    assert.ok(!(await isOpen('127.0.0.2', guarded.port)));
  });
});

describe('how it ends', PATIENCE, () => {
  /** Three seconds are what is promised; the rest is room for a busy machine. */
  const PROMPTLY_MS = 4000;

  async function end(daemon: Daemon, signal: NodeJS.Signals): Promise<number> {
    const startedAt = performance.now();
    assert.equal(await daemon.stop(signal), 0);
    return performance.now() - startedAt;
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal}: 1001 to everyone, on the registry and on both legs of a relay, and exit code 0`, async (t) => {
      const daemon = await Daemon.start();
      t.after(() => daemon.stop('SIGKILL'));
      const legs: Promise<unknown[]>[] = [];
      const agent = await Agent.serve({ onConnection: (socket) => legs.push(once(socket, 'close')) });
      t.after(() => agent.stop());
      const uplink = await agent.register(daemon.registryUrl, 'agent');
      const dashboard = await Client.open(daemon.registryUrl);
      const relay = await Client.open(daemon.relayUrl('agent'));
      assert.ok((await end(daemon, signal)) < PROMPTLY_MS);
      for (const client of [uplink, dashboard, relay]) {
        assert.deepEqual(await client.closed, { code: 1001, reason: 'hypivisor is shutting down' });
      }
      assert.equal(legs.length, 1);
      assert.equal((await (legs[0] as Promise<unknown[]>))[0], 1001);
      assert.ok(linesOf(daemon.stderr).some(({ msg }) => msg === 'Hypivisor is shutting down'));
    });
  }

  /** Clients in every state in which they never answer a close. */
  async function attachTheDeaf(t: TestContext, daemon: Daemon): Promise<RawPeer[]> {
    const agent = await RawAgent.serve(async (peer) => {
      peer.socket.write(upgradeResponse(await peer.head()));
      peer.socket.write(serverFrame(BINARY, Buffer.alloc(16 * 1024 * 1024)));
    });
    const silent = await RawAgent.serve(() => {});
    const peers: RawPeer[] = [];
    t.after(async () => {
      for (const { socket } of peers) socket.destroy();
      await Promise.all([agent.stop(), silent.stop()]);
    });
    for (const [id, port] of [
      ['pouring', agent.port],
      ['silent', silent.port],
    ] as const) {
      const uplink = await Client.open(daemon.registryUrl);
      uplink.socket.pause();
      t.after(() => uplink.terminate());
      uplink.send({ method: 'register', params: { id, machine: 'localhost', cwd: '/', port, status: 'active' } });
    }
    const connect = async (bytes: string | Buffer) => {
      const peer = await RawPeer.connect(daemon.port, { allowHalfOpen: true });
      peers.push(peer);
      peer.socket.write(bytes);
      return peer;
    };
    await connect('');
    await connect('GET /ws HT');
    const registered = await connect(upgradeRequest('/ws'));
    await registered.head();
    const halfway = await connect(upgradeRequest('/ws'));
    halfway.socket.write(clientFrame(BINARY, Buffer.alloc(1000)).subarray(0, 500));
    await connect(upgradeRequest('/ws/agent/silent'));
    const asleep = await connect(upgradeRequest('/ws/agent/pouring'));
    asleep.socket.pause();
    await eventually(() => assert.ok(agent.peers.length + silent.peers.length === 2, 'dialled'));
    return peers;
  }

  test('clients that never answer, or never read, hold nothing up; no new client is accepted meanwhile', async (t) => {
    const daemon = await Daemon.start();
    t.after(() => daemon.stop('SIGKILL'));
    const peers = await attachTheDeaf(t, daemon);
    const ended = end(daemon, 'SIGTERM');
    await eventually(async () => assert.ok(!(await isOpen('127.0.0.1', daemon.port)), 'closed to newcomers'));
    assert.equal(daemon.process.exitCode, null, 'it still waits for them');
    assert.ok((await ended) < PROMPTLY_MS);
    const last = readFrames(await (peers[2] as RawPeer).rest()).at(-1);
    assert.deepEqual([last?.opcode, last?.payload.readUInt16BE(0)], [CLOSE, 1001]);
  });

  test('a second signal exits at once', async (t) => {
    const daemon = await Daemon.start();
    t.after(() => daemon.stop('SIGKILL'));
    await attachTheDeaf(t, daemon);
    daemon.process.kill('SIGINT');
    await eventually(async () => assert.ok(!(await isOpen('127.0.0.1', daemon.port)), 'closed to newcomers'));
    await delay(100);
    assert.equal(daemon.process.exitCode, null);
    // Without it the daemon would wait for two more seconds.
    assert.ok((await end(daemon, 'SIGINT')) < 1500);
  });

  test('after a SIGKILL it starts again at once on the same port, and agents come back', async (t) => {
    const killed = await Daemon.start();
    t.after(() => killed.stop('SIGKILL'));
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    const uplink = await agent.register(killed.registryUrl, 'agent');
    const relay = await Client.open(killed.relayUrl('agent'));
    assert.equal(await killed.stop('SIGKILL'), 'SIGKILL');
    const daemon = await Daemon.start({ args: ['--port', String(killed.port)] });
    t.after(() => daemon.stop());
    assert.equal(daemon.port, killed.port);
    await Promise.all([uplink.closed, relay.closed]);
    await agent.register(daemon.registryUrl, 'agent');
    const client = await Client.open(daemon.relayUrl('agent'));
    client.socket.send('hello again');
    assert.equal((await client.next()).payload.toString(), 'hello again');
    client.terminate();
  });
});

describe('the log', PATIENCE, () => {
  test('JSON lines in the file all parts share and on stderr, and never a token', async (t) => {
    const token = 'very-secret';
    const daemon = await Daemon.start({ env: { HYPI_TOKEN: token } });
    t.after(() => daemon.stop());
    const agent = await Agent.serve();
    t.after(() => agent.stop());
    const uplink = await agent.register(`${daemon.registryUrl}?token=${token}`, 'in\u2028two lines');
    await assert.rejects(Client.open(`${daemon.registryUrl}?token=mistyped-secret`), /401/);
    await assert.rejects(
      Client.open(daemon.registryUrl, [], { headers: { Authorization: `Bearer ${token}x` } }),
      /401/,
    );
    const relay = await Client.open(daemon.relayUrl('nobody'), ['hypi.v1', 'hypi.token.dmVyeS1zZWNyZXQ']);
    await relay.closed;
    await uplink.close();

    const file = join(daemon.home, '.pi', 'logs', 'hyper-pi.jsonl');
    const text = await eventually(async () => {
      const text = await readFile(file, 'utf8');
      assert.match(text, /node offline/);
      return text;
    });
    const lines = linesOf(text);
    for (const line of lines) {
      assert.deepEqual(Object.keys(line).slice(0, 4), ['ts', 'level', 'component', 'msg']);
      assert.equal(new Date(line.ts).toISOString(), line.ts);
      assert.equal(line.component, 'hypivisor');
    }
    for (const msg of ['Hypivisor online', 'node joined', 'request refused', 'relay refused', 'node offline']) {
      assert.equal(lines.filter((line) => line.msg === msg).length > 0, true, msg);
    }
    await eventually(() => assert.equal(daemon.stderr, text));
    assert.doesNotMatch(text, /secret|dmVyeS1/);
    assert.doesNotMatch(text, /\u2028/);
  });
});
