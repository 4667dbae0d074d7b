/** The unit that the package has, in a real user manager of systemd. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Client } from '../support/client.ts';
import { PROGRAM } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { UserManager, whyNoUserManager } from '../support/user-manager.ts';

const UNIT = new URL('../../systemd/hypivisor.service', import.meta.url);
const TOKEN = 'from-the-file';

const skip = await whyNoUserManager();

/** Registers, comes back when the daemon does, and tells which process it is by its id. */
const AGENT = `
  import { WebSocket } from ${JSON.stringify(import.meta.resolve('ws'))};
  const id = 'agent-' + Math.random();
  function connect() {
    const { HYPIVISOR_WS, HYPI_TOKEN, FROM_PROFILE } = process.env;
    const socket = new WebSocket(HYPIVISOR_WS + '?token=' + HYPI_TOKEN);
    const params = { id, machine: 'm', cwd: FROM_PROFILE ?? '', port: 1, status: 'active' };
    socket.on('open', () => socket.send(JSON.stringify({ method: 'register', params })));
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(connect, 50));
  }
  connect();`;

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Installs the unit as its documentation says, for a user whose profile finds hypivisor and sets a variable. */
async function install(t: TestContext, dropIn?: string, spawnPrefix = '') {
  const home = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
  const port = await freePort();
  await mkdir(join(home, 'bin'));
  await mkdir(join(home, '.config'));
  await symlink(PROGRAM, join(home, 'bin', 'hypivisor'));
  await writeFile(join(home, '.profile'), `export PATH="${join(home, 'bin')}:${process.env.PATH}" FROM_PROFILE=yes\n`);
  await writeFile(join(home, 'agent.mjs'), AGENT);
  const variables = {
    HYPI_TOKEN: TOKEN,
    HYPI_PORT: port,
    HYPI_HOST: '127.0.0.1',
    HYPI_SPAWN_COMMAND: `${spawnPrefix}${process.execPath} ${join(home, 'agent.mjs')}`,
  };
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(home, '.config', 'hypivisor.env'), lines.join(''), { mode: 0o600 });
  const manager = await UserManager.start({ HOME: home, SHELL: '/bin/sh' });
  t.after(async () => {
    await manager.stop();
    await rm(home, { recursive: true });
  });
  await writeFile(join(manager.units, 'hypivisor.service'), await readFile(UNIT));
  if (dropIn !== undefined) {
    await mkdir(join(manager.units, 'hypivisor.service.d'));
    await writeFile(join(manager.units, 'hypivisor.service.d', 'override.conf'), `[Service]\n${dropIn}\n`);
  }
  await manager.systemctl('daemon-reload');
  const connect = async () => {
    const client = await eventually(() => Client.open(`ws://127.0.0.1:${port}/ws?token=${TOKEN}`), 20_000);
    t.after(() => client.terminate());
    return client;
  };
  const property = (name: string) => manager.systemctl('show', '--value', '--property', name, 'hypivisor');
  return { home, manager, connect, property };
}

/** Starts an agent through the daemon. @returns its id */
async function startAgent(client: Client): Promise<string> {
  client.send({ id: 'spawn', method: 'spawn_agent', params: { path: '~' } });
  const { node } = await client.until(({ event }) => event === 'node_joined');
  assert.equal(node.cwd, 'yes', 'it has what the profile sets');
  return node.id;
}

describe('the unit for systemd', { skip, timeout: 120_000 }, () => {
  test('a restart ends the daemon alone: its agents go on, and register with the next one', async (t) => {
    const { manager, connect, property } = await install(t);
    await manager.systemctl('start', 'hypivisor');
    const id = await startAgent(await connect());
    const before = await property('MainPID');
    await manager.systemctl('restart', 'hypivisor');
    assert.notEqual(await property('MainPID'), before);
    const client = await connect();
    await eventually(async () => {
      const { result } = await client.call('list_nodes');
      assert.deepEqual(
        result.map((node: { id: string }) => node.id),
        [id],
      );
    }, 20_000);
    await manager.systemctl('stop', 'hypivisor');
    assert.equal(await property('Result'), 'success');
    assert.equal(await property('ExecMainStatus'), '0');
    assert.equal(await property('OOMPolicy'), 'continue');
    assert.equal(await property('TasksMax'), 'infinity');
  });

  test('with the default of systemd a restart ends the agents too', async (t) => {
    const { manager, connect } = await install(t, 'KillMode=control-group');
    await manager.systemctl('start', 'hypivisor');
    await startAgent(await connect());
    await manager.systemctl('restart', 'hypivisor');
    const client = await connect();
    // The one that comes now would have come after the other.
    await startAgent(client);
    assert.equal((await client.call('list_nodes')).result.length, 1);
  });

  test('agents in scopes of their own go on whatever the unit says', async (t) => {
    const scope = 'systemd-run --user --scope --quiet --collect --property=MemoryMax=4G ';
    const { manager, connect } = await install(t, 'KillMode=control-group', scope);
    await manager.systemctl('start', 'hypivisor');
    const id = await startAgent(await connect());
    await manager.systemctl('restart', 'hypivisor');
    const client = await connect();
    await eventually(async () => {
      const [node] = (await client.call('list_nodes')).result;
      assert.equal(node?.id, id);
    }, 20_000);
  });

  test('a daemon that was killed is started again, and its agents are there', async (t) => {
    const { manager, connect } = await install(t);
    await manager.systemctl('start', 'hypivisor');
    const id = await startAgent(await connect());
    await manager.systemctl('kill', '--kill-whom=main', '--signal=SIGKILL', 'hypivisor');
    const client = await connect();
    await eventually(async () => {
      const [node] = (await client.call('list_nodes')).result;
      assert.equal(node?.id, id);
    }, 20_000);
  });
});
