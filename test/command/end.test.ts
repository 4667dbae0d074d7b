/** How the command ends: whatever hangs, within three seconds and with exit code 0. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from '../support/client.ts';
import { Daemon, PROGRAM } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { OnTerminal, whyNoTerminals } from '../support/terminal.ts';

const PATIENCE = { timeout: 120_000 };
/** Three seconds are promised; the rest is room for a busy machine. */
const PROMPTLY_MS = 5000;
/** Shorter than the drain, which a second signal does not wait for. */
const AT_ONCE_MS = 2000;

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('a log file that nobody reads', { ...PATIENCE, skip: process.platform === 'win32' && 'needs FIFOs' }, () => {
  test('a FIFO: it is said once, and holds nothing up', async (t) => {
    const fifo = join(await makeFolder(t), 'log');
    await promisify(execFile)('mkfifo', [fifo]);
    const daemon = await Daemon.start({ args: ['--log-file', fifo] });
    t.after(() => daemon.stop('SIGKILL'));
    const client = await Client.open(daemon.registryUrl);
    assert.equal((await client.call('ping')).result.status, 'healthy');
    await client.close();
    for (let i = 0; i < 5; i++) await assert.rejects(Client.open(`${daemon.origin}/nowhere`.replace('http', 'ws')));
    const startedAt = performance.now();
    assert.equal(await daemon.stop(), 0);
    const ms = performance.now() - startedAt;
    assert.ok(ms < PROMPTLY_MS, `${ms} ms`);
    assert.equal(daemon.stderr.match(/no program reads this pipe/g)?.length, 1, daemon.stderr);
  });
});

describe('a terminal', { ...PATIENCE, skip: await whyNoTerminals() }, () => {
  async function start(t: TestContext) {
    const home = await makeFolder(t);
    const logFile = join(home, 'log.jsonl');
    const args = ['--port', '0', '--log-file', logFile];
    const { PATH } = process.env;
    const terminal = await OnTerminal.start([process.execPath, PROGRAM, ...args], { PATH, HOME: home, TERM: 'dumb' });
    t.after(() => terminal.stop());
    const port = await eventually(async () => {
      const [, found] = /"Hypivisor online".+?"port":(\d+)/.exec(await readFile(logFile, 'utf8')) ?? [];
      assert.ok(found, 'online');
      return Number(found);
    }, 30_000);
    return { terminal, port, logFile };
  }

  /** Fills the terminal, until a thread that writes to it hangs. */
  async function fill(port: number, logFile: string): Promise<void> {
    await eventually(async () => {
      await Promise.all(Array.from({ length: 20 }, () => fetch(`http://127.0.0.1:${port}/nowhere`)));
      assert.ok((await readFile(logFile, 'utf8')).length > 40_000, 'more than a terminal holds');
    }, 30_000);
  }

  for (const [signals, boundMs] of [
    [['SIGTERM'], PROMPTLY_MS],
    [['SIGINT'], PROMPTLY_MS],
    [['SIGTERM', 'SIGTERM'], AT_ONCE_MS],
  ] as const) {
    test(`that is stopped: the daemon serves, and ${signals.join(' and again ')} ends it`, async (t) => {
      const { terminal, port, logFile } = await start(t);
      await fill(port, logFile);
      const client = await Client.open(`ws://127.0.0.1:${port}/ws`);
      client.socket.pause();
      t.after(() => client.terminate());
      const startedAt = performance.now();
      const ended = terminal.exitCode();
      for (const signal of signals) {
        process.kill(terminal.pid, signal);
        await delay(signals.length > 1 ? 200 : 0);
      }
      assert.equal(await ended, 0);
      const ms = performance.now() - startedAt;
      assert.ok(ms < boundMs, `${ms} ms`);
    });
  }

  test('that is closed: the daemon drains, as at SIGTERM', async (t) => {
    const { terminal, port } = await start(t);
    terminal.read();
    const client = await Client.open(`ws://127.0.0.1:${port}/ws`);
    terminal.hangUp();
    assert.equal((await client.closed).code, 1001);
    assert.equal(await terminal.exitCode(), 0);
  });
});

test('without a terminal, SIGHUP does not end the daemon', PATIENCE, async (t) => {
  const daemon = await Daemon.start();
  t.after(() => daemon.stop('SIGKILL'));
  daemon.process.kill('SIGHUP');
  await eventually(() => assert.match(daemon.stderr, /SIGHUP changes nothing/));
  assert.equal(await (await fetch(`${daemon.origin}/healthz`)).text(), 'ok\n');
  assert.equal(await daemon.stop(), 0);
});

describe('a name server that does not answer', {
  ...PATIENCE,
  skip: (process.platform !== 'linux' || process.getuid?.() !== 0) && 'only root puts another name server in place',
}, () => {
  /** Starts the daemon where every look-up goes unanswered, and waits until it looks one up. */
  async function nameServer(t: TestContext) {
    const socket = dgram.createSocket('udp4').bind(53, '127.77.0.53');
    await once(socket, 'listening');
    t.after(() => socket.close());
    const resolver = join(await makeFolder(t), 'resolv.conf');
    await writeFile(resolver, 'nameserver 127.77.0.53\noptions timeout:30 attempts:3\n');
    const become = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
    return { launcher: ['unshare', '--mount', 'sh', '-c', become, resolver], asked: once(socket, 'message') };
  }

  test('holds the end up no longer than a client does, while an agent is looked up', async (t) => {
    const { launcher, asked } = await nameServer(t);
    const daemon = await Daemon.start({ launcher, env: { HYPI_TOKEN: 'key' } });
    t.after(() => daemon.stop('SIGKILL'));
    const agent = await Client.open(`${daemon.registryUrl}?token=key`);
    await agent.call('register', { id: 'a', machine: 'silent.example', cwd: '/', port: 1, status: 'active' });
    Client.open(`${daemon.relayUrl('a')}?token=key`).catch(() => {});
    await asked;
    const startedAt = performance.now();
    assert.equal(await daemon.stop(), 0);
    const ms = performance.now() - startedAt;
    assert.ok(ms < PROMPTLY_MS, `${ms} ms`);
  });

  test('nor while the daemon looks up where to listen; then SIGTERM is no error', async (t) => {
    const { launcher, asked } = await nameServer(t);
    const [command = '', ...args] = [...launcher, process.execPath, PROGRAM, '--port', '0', '--host', 'silent.example'];
    const { PATH } = process.env;
    const child = spawn(command, args, {
      env: { PATH, HOME: await makeFolder(t) },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    await asked;
    const startedAt = performance.now();
    child.kill('SIGTERM');
    const [exitCode] = await once(child, 'close');
    const ms = performance.now() - startedAt;
    assert.equal(exitCode, 0);
    assert.ok(ms < PROMPTLY_MS, `${ms} ms`);
    assert.doesNotMatch(stderr, /error/);
  });
});
