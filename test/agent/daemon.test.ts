import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { cleanEnvironment, Daemon } from '../../src/agent/daemon.ts';

/** Listens where it is told, as the daemon would, and ends when it is told. */
const PROGRAM = `
import net from 'node:net';
import { appendFileSync } from 'node:fs';
appendFileSync(process.env.STARTS, process.pid + '\\n');
const server = net.createServer().listen(Number(process.env.TEST_PORT), '127.0.0.1');
server.on('error', () => process.exit(1));
process.on('SIGTERM', () => process.exit(0));
`;

describe('Daemon', () => {
  let folder = '';
  let port = 0;
  let environment: NodeJS.ProcessEnv = {};
  const started = async () =>
    (await readFile(path.join(folder, 'starts'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
  const create = (program = path.join(folder, 'program.mjs')) =>
    new Daemon({ folder: path.join(folder, 'state'), program, environment, port });

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'hypivisor-daemon-'));
    const probe = net.createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    port = (probe.address() as net.AddressInfo).port;
    probe.close();
    await writeFile(path.join(folder, 'program.mjs'), PROGRAM);
    environment = { PATH: process.env.PATH, STARTS: path.join(folder, 'starts'), TEST_PORT: String(port) };
  });
  afterEach(async () => {
    for (const pid of await started()) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
    await rm(folder, { recursive: true });
  });

  it('is started once, however many start it at once, and ended when somebody says so', async () => {
    assert.equal(await create().presence(), 'absent');
    const problems = await Promise.all(Array.from({ length: 10 }, () => create().start()));
    assert.deepEqual(problems, Array(10).fill(null));
    assert.equal((await started()).length, 1);
    assert.equal(await create().presence(), 'there');
    assert.equal(await create().start(), null);
    assert.equal((await started()).length, 1);
    assert.equal(await create().stop(), 'hypivisor has ended');
    assert.equal(await create().stop(), 'There is no hypivisor on this machine');
    assert.equal(await create().start(), null);
    assert.equal((await started()).length, 2);
  });

  it('of somebody else is never started twice, and never ended', async () => {
    const other = net.createServer((socket) => socket.on('error', () => {})).listen(port, '127.0.0.1');
    await once(other, 'listening');
    assert.equal(await create().start(), null);
    assert.match(await create().stop(), /was not started from pi/);
    // A pid is given to others in time.
    await mkdir(path.join(folder, 'state'), { recursive: true });
    const record = { pid: process.pid, program: path.join(folder, 'program.mjs') };
    await writeFile(path.join(folder, 'state', 'daemon.json'), JSON.stringify(record));
    if (process.platform === 'linux') assert.match(await create().stop(), /was not started from pi/);
    await writeFile(path.join(folder, 'state', 'daemon.json'), 'nonsense');
    assert.match(await create().stop(), /was not started from pi/);
    assert.deepEqual(await started(), []);
    other.close();
  });

  it('that cannot be started says why', async () => {
    await writeFile(path.join(folder, 'program.mjs'), 'process.exit(3);');
    assert.match((await create().start()) ?? '', /ended at once \(3\)/);
    assert.match((await create(path.join(folder, 'missing.mjs')).start()) ?? '', /ended at once/);
  });

  it('is started past a lock that nobody lives to remove', async () => {
    await mkdir(path.join(folder, 'state'), { recursive: true });
    const lock = path.join(folder, 'state', 'start.lock');
    await writeFile(lock, '');
    const old = new Date(Date.now() - 60_000);
    await utimes(lock, old, old);
    assert.equal(await create().start(), null);
    assert.equal((await started()).length, 1);
  });
});

describe('cleanEnvironment', () => {
  it('leaves behind what belongs to pi, npm and Node', () => {
    const kept = {
      PATH: '/bin',
      HOME: '/h',
      LANG: 'C',
      HYPI_TOKEN: 't',
      HYPI_PORT: '1',
      HTTPS_PROXY: 'p',
      SSH_AUTH_SOCK: 's',
      NODE_EXTRA_CA_CERTS: 'c',
      PI_CODING_AGENT_DIR: 'd',
      PI_SOCKET_PORT: '1',
    };
    const dropped = {
      NODE_OPTIONS: 'x',
      NODE_ENV: 'x',
      npm_config_x: 'x',
      npm_lifecycle_event: 'x',
      INIT_CWD: 'x',
      PI_CODING_AGENT: 'true',
      PI_SESSION_ID: 'x',
      PI_MODEL: 'x',
      AI_AGENT: 'x',
      HYPI_SPAWN_ID: 'x',
      PWD: 'x',
      OLDPWD: 'x',
      SHLVL: '1',
      _: 'x',
    };
    assert.deepEqual(cleanEnvironment({ ...kept, ...dropped }), kept);
  });
});
