import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { personalEnvironment } from '../../src/host/environment.ts';
import { makeHome } from './home.ts';

/** What a person has, and agents need. */
const PERSONAL = {
  HOME: '/home/u',
  PATH: '/home/u/bin:/usr/bin:/bin',
  LANG: 'de_DE.UTF-8',
  EDITOR: 'nano',
  ANTHROPIC_API_KEY: 'secret',
  PI_SOCKET_PORT: '9000',
  NODE_EXTRA_CA_CERTS: '/etc/ca.pem',
  HTTPS_PROXY: 'http://proxy:3128',
  NODE: 'mine',
  COLOR: 'mine',
  'BASH_FUNC_module%%': '() { :; }',
};

test('what is set for the daemon alone is left out, and all else stays', () => {
  const environment = {
    ...PERSONAL,
    NODE_ENV: 'production',
    NODE_OPTIONS: '--max-old-space-size=64',
    HYPI_TOKEN: 'secret',
    HYPI_PORT: '1234',
    HYPI_SPAWN_COMMAND: 'x',
    HYPI_SPAWN_ID: 'x',
    HYPI_SOMETHING_NEW: 'x',
    NOTIFY_SOCKET: '/run/systemd/notify',
    INVOCATION_ID: 'x',
    JOURNAL_STREAM: '8:1',
    LISTEN_FDS: '1',
    WATCHDOG_USEC: '1',
    AI_AGENT: 'pi',
    PI_CODING_AGENT: 'true',
    PI_SESSION_ID: 'x',
    PI_SESSION_FILE: '/x',
    PI_MODEL: 'x',
  };
  const before = { ...environment };
  assert.deepEqual(personalEnvironment(environment), PERSONAL);
  assert.deepEqual(environment, before, 'the one given is not changed');
  assert.deepEqual(personalEnvironment({}), {});
});

test('what npm added is left out', () => {
  const { NODE: _node, COLOR: _color, ...personal } = PERSONAL;
  const bins =
    '/home/u/hypivisor/node_modules/.bin:/home/u/node_modules/.bin:/home/node_modules/.bin:/node_modules/.bin';
  const gyp = '/usr/lib/node_modules/npm/node_modules/@npmcli/run-script/lib/node-gyp-bin';
  const byNpm = {
    npm_lifecycle_event: 'start',
    npm_config_cache: '/home/u/.npm',
    npm_package_json: '/home/u/hypivisor/package.json',
    INIT_CWD: '/home/u/hypivisor',
    NODE: '/usr/bin/node',
    COLOR: '1',
  };
  const PATH = `${bins}:${gyp}:${personal.PATH}`;
  assert.deepEqual(personalEnvironment({ ...personal, ...byNpm, PATH }), personal);
});

test('of PATH only what npm put before it is left out', () => {
  const npm_lifecycle_event = 'start';
  const gyp = '/npm/node-gyp-bin';
  for (const [PATH, expected] of [
    [
      `/a/node_modules/.bin:/node_modules/.bin:${gyp}:/usr/bin:/mine/node_modules/.bin`,
      '/usr/bin:/mine/node_modules/.bin',
    ],
    [`/a/node_modules/.bin:${gyp}:/mine/node_modules/.bin:/usr/bin`, '/mine/node_modules/.bin:/usr/bin'],
    // One npm that runs another.
    [`/b/node_modules/.bin:${gyp}:/a/node_modules/.bin:${gyp}:/usr/bin`, '/usr/bin'],
    [`/a/node_modules/.bin:${gyp}`, ''],
    ['/mine/node_modules/.bin:/usr/bin', '/mine/node_modules/.bin:/usr/bin'],
    ['/mine/node_modules/.bin', '/mine/node_modules/.bin'],
    ['/a/node_modules/.binary:/usr/bin', '/a/node_modules/.binary:/usr/bin'],
    ['', ''],
  ]) {
    assert.deepEqual(personalEnvironment({ PATH, npm_lifecycle_event }), { PATH: expected }, PATH);
  }
  const PATH = `/mine/node_modules/.bin:${gyp}:/usr/bin`;
  assert.deepEqual(personalEnvironment({ PATH }), { PATH }, 'npm did not start it');
});

test('an editor that npm named is left out, one that the person chose is not', () => {
  const npm_execpath = '/usr/bin/npm';
  assert.deepEqual(personalEnvironment({ EDITOR: 'vi', npm_execpath }), {});
  assert.deepEqual(personalEnvironment({ EDITOR: 'code', VISUAL: 'code', npm_execpath }), { VISUAL: 'code' });
  assert.deepEqual(personalEnvironment({ EDITOR: 'ed', VISUAL: 'code', npm_execpath }), {
    EDITOR: 'ed',
    VISUAL: 'code',
  });
  assert.deepEqual(personalEnvironment({ EDITOR: 'vi' }), { EDITOR: 'vi' });
});

test('under a real npm the person’s environment is found again', async (t) => {
  const { base } = await makeHome(t);
  const folder = join(base, 'package');
  await mkdir(folder);
  const script = `${process.execPath} -e 'console.log(JSON.stringify(process.env))'`;
  await writeFile(join(folder, 'package.json'), JSON.stringify({ scripts: { start: script } }));
  // These tests may themselves be run by npm.
  const path = (process.env.PATH ?? '').split(':').filter((entry) => !/\/(\.bin|node-gyp-bin)$/.test(entry));
  const PATH = ['/mine/node_modules/.bin', ...path].join(':');
  const personal = { PATH, HOME: base, LANG: 'C', EDITOR: 'nano' };
  const options = { cwd: folder, env: personal };
  const { stdout } = await promisify(execFile)('npm', ['start', '--silent', '--offline'], options);
  const underNpm = JSON.parse(stdout);
  assert.ok(Object.keys(underNpm).filter((name) => name.startsWith('npm_')).length > 5);
  // The shell that npm runs scripts with.
  const { PWD: _pwd, SHLVL: _level, _: _last, OLDPWD: _old, ...found } = personalEnvironment(underNpm);
  assert.deepEqual(found, personal);
});
