import assert from 'node:assert/strict';
import os from 'node:os';
import path from 'node:path';
import { describe, it, mock } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DEFAULT_LIMITS, DEFAULT_SPAWN_COMMAND, withDefaults } from '../src/options.ts';

describe('withDefaults', () => {
  it('has a default for everything', () => {
    assert.deepEqual(withDefaults({}), {
      port: 31415,
      host: null,
      token: null,
      nodeTtlMs: 30_000,
      allowOrigins: [],
      allowHosts: [],
      home: os.homedir(),
      spawnCommand: ['pi', '--mode', 'rpc'],
      maxAgents: 32,
      minFreeMemory: 256 * 1024 * 1024,
      outputDirectory: path.join(os.homedir(), '.pi', 'logs', 'agents'),
      dashboardDirectory: fileURLToPath(new URL('../dist/dashboard', import.meta.url)),
      environment: null,
      join: [],
      hubName: os.hostname(),
      hubKey: null,
      limits: DEFAULT_LIMITS,
    });
  });

  it('calls this machine as its host, as far as a machine may be called so', () => {
    const hostName = mock.method(os, 'hostname');
    try {
      for (const [called, expected] of [
        ['build-7.example', 'build-7.example'],
        [' o\u0007dd\nname\ufffd ', 'oddname'],
        ['', 'unnamed'],
        ['\n', 'unnamed'],
      ] as const) {
        hostName.mock.mockImplementation(() => called);
        assert.equal(withDefaults({}).hubName, expected);
      }
    } finally {
      hostName.mock.restore();
    }
  });

  it('keeps what is given', () => {
    const options = {
      port: 0,
      host: '::',
      token: 'key',
      nodeTtlMs: 0,
      allowOrigins: ['http://a'],
      allowHosts: ['a'],
      home: '/home/a',
      spawnCommand: ['x'],
      maxAgents: 0,
      minFreeMemory: 0,
      outputDirectory: '/var/log/agents',
      environment: { A: '1' },
      dashboardDirectory: '/dashboard',
      join: [{ url: 'ws://a/ws', token: 'b', ca: 'pem', features: ['roster' as const] }],
      hubName: 'desk',
      hubKey: '0'.repeat(32),
    };
    assert.deepEqual(withDefaults(options), { ...options, limits: DEFAULT_LIMITS });
  });

  it('serves no dashboard if there is to be none', () => {
    assert.equal(withDefaults({ dashboardDirectory: null }).dashboardDirectory, null);
  });

  it('takes an empty token for none: it would guard nothing', () => {
    assert.equal(withDefaults({ token: '' }).token, null);
  });

  it('puts the output of agents into the home folder', () => {
    assert.equal(withDefaults({ home: '/home/a' }).outputDirectory, path.join('/home/a', '.pi', 'logs', 'agents'));
  });

  it("finds a spawn command with a slash relative to the daemon's folder, never in an agent's folder", () => {
    const programOf = (spawnCommand: string[]) => withDefaults({ home: '/home/a', spawnCommand }).spawnCommand;
    assert.deepEqual(programOf(['./agent.sh', './x']), [path.resolve('agent.sh'), './x']);
    assert.deepEqual(programOf(['bin/agent.sh']), [path.resolve('bin/agent.sh')]);
    assert.deepEqual(programOf(['../agent.sh']), [path.resolve('../agent.sh')]);
    assert.deepEqual(programOf(['/opt/pi/../agent.sh']), ['/opt/agent.sh']);
    assert.deepEqual(programOf(['~/bin/agent.sh']), ['/home/a/bin/agent.sh']);
    assert.deepEqual(programOf(['agent.sh', '~/x']), ['agent.sh', '~/x']);
    assert.deepEqual(programOf([]), []);
  });

  it('takes limits one by one', () => {
    const { limits } = withDefaults({ limits: { maxNodes: 7 } });
    assert.deepEqual(limits, { ...DEFAULT_LIMITS, maxNodes: 7 });
    assert.notEqual(limits, DEFAULT_LIMITS);
  });
});

describe('the defaults', () => {
  it('are positive numbers', () => {
    for (const [name, value] of Object.entries(DEFAULT_LIMITS)) assert.ok(value > 0, name);
    assert.ok(DEFAULT_SPAWN_COMMAND.length > 0);
  });
});
