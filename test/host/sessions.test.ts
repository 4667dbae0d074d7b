import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { Jail } from '../../src/host/jail.ts';
import { findSession, listSessions, type PastSession, sessionDirectory } from '../../src/host/sessions.ts';
import { descriptorsIn, makeHome } from './home.ts';

/** The lines of a session as pi 0.73.1 writes them. */
function linesOf(id: string, cwd: string, ...prompts: string[]): object[] {
  return [
    { type: 'session', version: 3, id, timestamp: '2026-11-29T10:39:50.457Z', cwd },
    { type: 'model_change', id: '34477361', parentId: null, provider: 'mock', modelId: 'mock-2' },
    // Newer ones write these before the first prompt.
    {
      type: 'message',
      id: '5ea7a8ef',
      parentId: '34477361',
      message: { role: 'system', content: 'You are "user" friendly' },
    },
    ...prompts.flatMap((text) => [
      { type: 'message', id: '2e926083', message: { role: 'user', content: [{ type: 'text', text }], timestamp: 1 } },
      { type: 'message', id: '1351c849', message: { role: 'assistant', content: [{ type: 'text', text: 'Hello' }] } },
    ]),
  ];
}

async function makeProject(t: TestContext, environment: NodeJS.ProcessEnv = {}) {
  const { home, outside } = await makeHome(t);
  const folder = join(home, 'project');
  await mkdir(folder);
  const jail = await Jail.open(home);
  const directory = sessionDirectory(folder, environment, home);
  const write = async (id: string, lines: (object | string)[], time = 1000): Promise<string> => {
    const path = join(directory, `2026-11-29T10-39-50-457Z_${id}.jsonl`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));
    await utimes(path, time, time);
    return path;
  };
  const list = async (): Promise<PastSession[]> => (await listSessions(jail, environment, folder)).sessions;
  return { home, outside, folder, jail, directory, write, list };
}

test("pi's environment decides the folder of its sessions", () => {
  const cwd = '/home/u/a-b/c:d';
  assert.equal(sessionDirectory(cwd, {}, '/home/u'), '/home/u/.pi/agent/sessions/--home-u-a-b-c-d--');
  assert.equal(sessionDirectory('/', {}, '/home/u'), '/home/u/.pi/agent/sessions/----');
  for (const [PI_CODING_AGENT_DIR, expected] of [
    ['/data/pi', '/data/pi/sessions/--home-u-a-b-c-d--'],
    ['~/pi', '/home/u/pi/sessions/--home-u-a-b-c-d--'],
    ['', '/home/u/.pi/agent/sessions/--home-u-a-b-c-d--'],
  ]) {
    assert.equal(sessionDirectory(cwd, { PI_CODING_AGENT_DIR }, '/home/u'), expected);
  }
  const environment = { PI_CODING_AGENT_DIR: '/data/pi', PI_CODING_AGENT_SESSION_DIR: '/data/sessions' };
  assert.equal(sessionDirectory(cwd, environment, '/home/u'), '/data/sessions');
});

test('sessions have their id, name, time and first words, the newest first', async (t) => {
  const { folder, jail, write, list } = await makeProject(t);
  const name = (name?: string) => ({ type: 'session_info', id: 'k1l2m3n4', parentId: null, name });
  await write('a', linesOf('a', folder, 'Fix the\n  bug', 'and more'), 1000);
  await write('b', [...linesOf('b', folder, 'Hello'), name('First'), name(' Refactor\tauth ')], 3000);
  await write('c', [...linesOf('c', folder), name('Gone'), name()], 2000);
  await write('d', linesOf('d', folder, '', ' \n'), 500.75);
  assert.deepEqual(await listSessions(jail, {}, folder), {
    path: folder,
    sessions: [
      { session: 'b', modified: 3000, name: 'Refactor auth', first: 'Hello' },
      { session: 'c', modified: 2000 },
      { session: 'a', modified: 1000, first: 'Fix the bug' },
      { session: 'd', modified: 500 },
    ],
  });
  assert.equal((await list()).length, 4);
  assert.equal(await descriptorsIn(folder), 0);
});

test('the first words may be text or blocks, and are cut', async (t) => {
  const { folder, write, list } = await makeProject(t);
  const [header] = linesOf('a', folder);
  for (const [content, first] of [
    ['plain', 'plain'],
    [
      [
        { type: 'image', data: 'x' },
        { type: 'text', text: 'one' },
        { type: 'text', text: 'two' },
      ],
      'one two',
    ],
    ['x'.repeat(200), 'x'.repeat(200)],
    ['x'.repeat(201), 'x'.repeat(200)],
    ['🎉'.repeat(300), '🎉'.repeat(200)],
    ['\u001b[31mred\u0007', '[31mred'],
    [`a\ud800b`, 'a b'],
    [7, undefined],
    [null, undefined],
    [[null, { type: 'text' }], undefined],
  ] as const) {
    await write('a', [header as object, { type: 'message', message: { role: 'user', content } }]);
    assert.equal((await list())[0]?.first, first, JSON.stringify(content));
  }
});

test('what is no session of that folder is passed over', async (t) => {
  const { directory, folder, home, outside, write, list } = await makeProject(t);
  await write('good', linesOf('good', folder, 'Hi'));
  await write('elsewhere', linesOf('elsewhere', home, 'Hi'));
  await write('no-header', linesOf('no-header', folder, 'Hi').slice(1));
  await write('empty', []);
  await write('garbage', ['{"type":"session"', '\u0000\u0001', '']);
  await write('array', ['[]', 'null', '7']);
  for (const id of ['', '.', '..', 'a/b', '-a', 'a-', 'x'.repeat(129), 7, null]) {
    await write(`id-${String(id).length}-${typeof id}`, [{ type: 'session', id, cwd: folder }]);
  }
  const secret = join(outside, 'secret.jsonl');
  await writeFile(
    secret,
    `${linesOf('secret', folder, 'secret')
      .map((line) => JSON.stringify(line))
      .join('\n')}\n`,
  );
  await symlink(secret, join(directory, '2027_secret.jsonl'));
  await mkdir(join(directory, '2028_folder.jsonl'));
  await promisify(execFile)('mkfifo', [join(directory, '2029_fifo.jsonl')]);
  assert.deepEqual(
    (await list()).map(({ session }) => session),
    ['good'],
  );
});

test('broken lines and long ones hide nothing behind them', async (t) => {
  const { folder, write, list } = await makeProject(t);
  const [header, ...rest] = linesOf('a', folder, 'Hello');
  const image = {
    type: 'message',
    message: { role: 'user', content: [{ type: 'image', data: 'x'.repeat(3_000_000) }] },
  };
  await write('a', [
    header as object,
    '{"type":"session_info"',
    image,
    '',
    ...rest,
    image,
    { type: 'session_info', name: 'N' },
  ]);
  assert.deepEqual(await list(), [{ session: 'a', modified: 1000, first: 'Hello', name: 'N' }]);
});

test('lines are read however chunks cut them', async (t) => {
  const { folder, write, list } = await makeProject(t);
  const [header, ...rest] = linesOf('a', folder, 'Grüße 🎉');
  const chunk = 256 * 1024;
  const begun = JSON.stringify(header).length + 1;
  for (const offset of [-400, -300, -200, -1, 0, 1]) {
    const padding = JSON.stringify({ type: 'custom', data: '' });
    const filler = JSON.stringify({ type: 'custom', data: 'x'.repeat(chunk - begun - padding.length - 1 + offset) });
    await write('a', [header as object, filler, ...rest]);
    assert.deepEqual((await list())[0]?.first, 'Grüße 🎉', String(offset));
  }
});

test('the newest hundred are listed', async (t) => {
  const { folder, write, list } = await makeProject(t);
  for (let index = 0; index < 105; index++) await write(`s${index}`, linesOf(`s${index}`, folder), 1000 + index);
  const sessions = await list();
  assert.equal(sessions.length, 100);
  assert.deepEqual([sessions[0]?.session, sessions[99]?.session], ['s104', 's5']);
});

test('a folder without sessions has none; one outside is refused', async (t) => {
  const { home, jail, outside } = await makeProject(t);
  assert.deepEqual(await listSessions(jail, {}), { path: home, sessions: [] });
  assert.deepEqual(await listSessions(jail, {}, null), { path: home, sessions: [] });
  for (const [path, message] of [
    [outside, 'Path resolves outside home directory'],
    ['..', 'Path resolves outside home directory'],
    ['missing', 'Cannot list sessions: no such file or directory'],
    [7, 'Invalid path: not a string'],
  ] as const) {
    await assert.rejects(listSessions(jail, {}, path), { name: 'HostError', message });
  }
});

test('a flat folder of sessions is asked for those of one folder', async (t) => {
  const { folder, home, jail, list, write } = await makeProject(t, { PI_CODING_AGENT_SESSION_DIR: '~/sessions' });
  await write('a', linesOf('a', folder, 'Here'));
  await write('b', linesOf('b', home, 'There'));
  assert.deepEqual(
    (await list()).map(({ session }) => session),
    ['a'],
  );
  const environment = { PI_CODING_AGENT_SESSION_DIR: '~/sessions' };
  assert.equal((await listSessions(jail, environment, home)).sessions[0]?.session, 'b');
  const path = await findSession(folder, environment, home, 'a');
  assert.match(path, /\/home\/sessions\/.*_a\.jsonl$/);
  await assert.rejects(findSession(folder, environment, home, 'b'), { message: /no such session/ });
});
