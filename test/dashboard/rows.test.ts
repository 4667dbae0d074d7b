import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Arrangement, arrange, nameOf, type Row, shortIdOf, splitPath } from '../../src/dashboard/state/rows.ts';
import { type Standing, standingOf } from '../../src/dashboard/state/standing.ts';
import { offsetsOf, rowAt, rowsInSight, scrollTo } from '../../src/dashboard/state/window.ts';
import type { Node } from '../../src/protocol/registry.ts';

const node = (id: string, fields: Partial<Node> = {}): Node => ({
  id,
  machine: 'desk',
  cwd: '/home/me/api',
  port: 1,
  status: 'active',
  ...fields,
});
const ALL: Arrangement = { grouping: 'project', query: '', standings: new Set(), closed: new Set(), here: null };
const shown = (nodes: Node[], how: Partial<Arrangement> = {}, unread: string[] = []) =>
  arrange(nodes, (each) => standingOf(each, unread.includes(each.id), each.hub === 'lost'), { ...ALL, ...how }).map(
    (row: Row) => (row.kind === 'header' ? `# ${row.title} ${row.count}` : row.id),
  );

describe('the standing of an agent', () => {
  it('puts agents first that need somebody', () => {
    const cases: [Partial<Node>, boolean, Standing][] = [
      [{ status: 'offline', state: 'waiting' }, true, 'offline'],
      [{ state: 'waiting' }, true, 'question'],
      [{ state: 'working', questions: 1 }, false, 'question'],
      [{ state: 'failed' }, true, 'failed'],
      [{ state: 'working' }, true, 'working'],
      [{ state: 'idle' }, true, 'finished'],
      [{ state: 'idle' }, false, 'idle'],
      [{}, false, 'online'],
    ];
    for (const [fields, unread, standing] of cases)
      assert.equal(standingOf(node('a', fields), unread, false), standing);
    assert.equal(standingOf(node('a', { state: 'waiting' }), true, true), 'lost');
  });
});

describe('the rows of the roster', () => {
  const nodes = [
    node('idle', { state: 'idle' }),
    node('working', { state: 'working', cwd: '/home/me/www' }),
    node('failed', { state: 'failed', state_since: 5 }),
    node('late', { state: 'waiting', state_since: 9 }),
    node('early', { state: 'waiting', state_since: 3 }),
    node('done', { state: 'idle', state_since: 4 }),
    node('gone', { status: 'offline' }),
  ];

  it('keep agents among the others whose machine is not connected', () => {
    const asking = node('asking', { state: 'waiting', hub: 'lost' });
    assert.deepEqual(shown([asking, node('gone', { status: 'offline' }), node('idle', { state: 'idle' })]), [
      '# api 3',
      'idle',
      'asking',
      'gone',
    ]);
  });

  it('are grouped by the hub an agent came through, else by its machine; the daemon’s own has one group', () => {
    const all = [
      node('a', { hub: 'rack', machine: 'ip-10-0-0-1' }),
      node('b', { hub: 'rack', machine: 'vm' }),
      node('c', { machine: 'localhost' }),
      node('d', { machine: 'desk.local' }),
      node('e', { machine: 'far' }),
    ];
    const here = { name: 'office', host: 'desk.local' };
    assert.deepEqual(shown(all, { grouping: 'machine', here }), [
      '# far 1',
      'e',
      '# office 2',
      'c',
      'd',
      '# rack 2',
      'a',
      'b',
    ]);
    assert.deepEqual(shown(all, { query: 'office', here }).slice(1), ['c', 'd']);
  });

  it('begin with agents that need somebody: question, failed, finished; the longest waiting first', () => {
    const rows = shown(nodes, {}, ['done']);
    assert.deepEqual(rows, [
      '# Needs you 4',
      'early',
      'late',
      'failed',
      'done',
      '# api 2',
      'idle',
      'gone',
      '# www 1',
      'working',
    ]);
  });

  it('are grouped by machine, or not at all', () => {
    const two = [node('a', { machine: 'x10' }), node('b', { machine: 'x9' })];
    assert.deepEqual(shown(two, { grouping: 'machine' }), ['# x9 1', 'b', '# x10 1', 'a']);
    assert.deepEqual(shown(two, { grouping: 'none' }), ['a', 'b']);
    assert.deepEqual(shown(nodes.slice(0, 3), { grouping: 'none' }), [
      '# Needs you 1',
      'failed',
      '# Everyone else 2',
      'working',
      'idle',
    ]);
  });

  it('are grouped by the machine of their hub, if there is one, and found by it', () => {
    const three = [
      node('a', { machine: '127.0.0.1' }),
      node('b', { hub: 'lap', machine: 'vm' }),
      node('c', { hub: 'lap' }),
    ];
    assert.deepEqual(shown(three, { grouping: 'machine', here: { name: 'desk', host: null } }), [
      '# desk 1',
      'a',
      '# lap 2',
      'b',
      'c',
    ]);
    for (const query of ['lap', 'vm lap'])
      assert.equal(shown(three, { query, here: { name: 'desk', host: null } }).at(1), 'b');
  });

  it('are in the order of names, also after one was renamed, moved, came or went', () => {
    const first = [node('c'), node('a'), node('b')];
    const renamed = [node('c', { name: 'aa' }), node('a'), node('b')];
    assert.deepEqual(shown(first), ['# api 3', 'a', 'b', 'c']);
    assert.deepEqual(shown(first), ['# api 3', 'a', 'b', 'c']);
    assert.deepEqual(shown(renamed), ['# api 3', 'a', 'c', 'b']);
    assert.deepEqual(shown([...renamed, node('a10')]), ['# api 4', 'a', 'a10', 'c', 'b']);
    assert.deepEqual(shown(first.slice(1)), ['# api 2', 'a', 'b']);
    assert.deepEqual(shown([node('d'), node('b')]), ['# api 2', 'b', 'd']);
    assert.deepEqual(shown([node('b', { state: 'working' }), node('a')]), ['# api 2', 'b', 'a'], 'rank before name');
  });

  it('keep folders of the same name apart', () => {
    const rows = arrange([node('a', { cwd: '/x/api' }), node('b', { cwd: '/y/api' })], () => 'idle', ALL);
    assert.deepEqual(
      rows.flatMap((row) => (row.kind === 'header' ? [[row.title, row.detail]] : [])),
      [
        ['api', '/x'],
        ['api', '/y'],
      ],
    );
  });

  it('leave out the agents of a closed group, but count them', () => {
    assert.deepEqual(shown(nodes.slice(0, 2), { closed: new Set(['project:/home/me/api']) }), [
      '# api 1',
      '# www 1',
      'working',
    ]);
  });

  it('are those that have all words in any place, and a chosen standing', () => {
    const named = [node('a', { name: 'Fix the Parser', model: 'm1' }), node('b', { name: 'parser docs' })];
    assert.deepEqual(shown(named, { query: ' PARSER fix ' }), ['# api 1', 'a']);
    assert.deepEqual(shown(named, { query: 'parser m1' }), ['# api 1', 'a']);
    assert.deepEqual(shown(named, { query: 'nothing' }), []);
    assert.deepEqual(shown(nodes, { standings: new Set<Standing>(['working', 'offline']) }), [
      '# api 1',
      'gone',
      '# www 1',
      'working',
    ]);
  });

  it('have one for each of 5,000', () => {
    const many = Array.from({ length: 5000 }, (_, i) => node(`n${i}`, { cwd: `/p/${i % 50}` }));
    assert.equal(shown(many).length, 5050);
  });
});

describe('names', () => {
  it('are the session’s, an id that somebody chose, or the folder', () => {
    const machineMade = 'f3a9c2d1-7b1e-4b1a-9b1e-0c8f1f2a3b4c';
    assert.deepEqual([nameOf(node('ada')), shortIdOf(node('ada'))], ['ada', null]);
    assert.deepEqual([nameOf(node(machineMade)), shortIdOf(node(machineMade))], ['api', 'f3a9c2d1']);
    assert.deepEqual([nameOf(node(machineMade, { cwd: '/' })), nameOf(node('x', { name: 'n' }))], ['/', 'n']);
  });

  it('are split from their folders', () => {
    const cases: [string, string, string][] = [
      ['/home/me/api', 'api', '/home/me'],
      ['/home/me/api/', 'api', '/home/me'],
      ['/api', 'api', '/'],
      ['/', '/', ''],
      ['C:\\work\\api', 'api', 'C:\\work'],
      ['api', 'api', ''],
    ];
    for (const [path, folder, parent] of cases) assert.deepEqual(splitPath(path), { folder, parent }, path);
  });
});

describe('the window over the rows', () => {
  const offsets = offsetsOf([36, 54, 120, 54], (height) => height);

  it('finds the row at a place', () => {
    const at = [0, 35, 36, 89, 90, 209, 210, 263, 999].map((y) => rowAt(offsets, y));
    assert.deepEqual(at, [0, 0, 1, 1, 2, 2, 3, 3, 3]);
  });

  it('has the rows in sight and a few more', () => {
    assert.deepEqual(rowsInSight(offsets, 0, 30, 0), { start: 0, end: 1 });
    assert.deepEqual(rowsInSight(offsets, 40, 60, 0), { start: 1, end: 3 });
    assert.deepEqual(rowsInSight(offsets, 40, 60, 200), { start: 0, end: 4 });
    assert.deepEqual(
      rowsInSight(
        offsetsOf([], () => 1),
        0,
        500,
        100,
      ),
      { start: 0, end: 0 },
    );
  });

  it('scrolls no further than it must', () => {
    assert.equal(scrollTo(offsets, 1, 0, 200, 10), 0);
    assert.equal(scrollTo(offsets, 3, 0, 200, 10), 74);
    assert.equal(scrollTo(offsets, 1, 150, 200, 10), 26);
    assert.equal(scrollTo(offsets, 0, 150, 200, 10), 0);
  });
});
