import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HUB_LIMITS } from '../../src/protocol/hub.ts';
import {
  hubIdOf,
  isHubRequestMethod,
  paramsFor,
  readAnswer,
  readJoin,
  readMachines,
  readResponse,
  readShare,
  readSharedNode,
  type ShareReader,
} from '../../src/registry/hub-params.ts';

type Json = Record<string, unknown>;

const id = (name: string) => hubIdOf(name);
const LAP = id('lap');
const reader: ShareReader = { hubId: LAP, ownId: id('own'), offset: 100, nameOf: (it) => `name of ${it.slice(0, 4)}` };
const error = (message: string) => ({ name: 'RpcError', message });

describe('the id of a hub', () => {
  it('is made of its key, as anybody can who has SHA-256', () => {
    // printf %s 'a secret' | sha256sum
    assert.equal(hubIdOf('a secret'), '984ca5162200734c592148f1820b7105');
  });
});

describe('readJoin', () => {
  const join: Json = { id: LAP, key: 'lap', name: 'lap', version: '1', features: ['spawn', 'x'], below: [], now: 5 };

  it('reads what a hub says of itself', () => {
    assert.deepEqual(readJoin({ ...join, more: 1 }), {
      id: LAP,
      isProven: true,
      name: 'lap',
      version: '1',
      features: ['spawn'],
      below: [],
      now: 5,
    });
    for (const key of [undefined, null]) assert.equal(readJoin({ ...join, key }).isProven, false);
    assert.deepEqual(readJoin({ ...join, below: [id('a'), id('b')] }).below, [id('a'), id('b')]);
  });

  it('names the field that is wrong', () => {
    const wrong: [string, unknown[]][] = [
      ['id', [undefined, 7, '', 'x', LAP.toUpperCase(), `${LAP}0`]],
      ['key', ['', 'x', 7, 'x'.repeat(HUB_LIMITS.token + 1)]],
      ['name', [undefined, '', ' \t', 'a\u0000', 'x'.repeat(HUB_LIMITS.name + 1)]],
      ['version', [undefined, 1, 'x'.repeat(HUB_LIMITS.version + 1)]],
      ['features', [undefined, 'roster', {}]],
      ['below', [undefined, {}, ['x'], Array.from({ length: HUB_LIMITS.below + 1 }, () => LAP)]],
      ['now', [undefined, '5', -1, 1.5, 1e300]],
    ];
    for (const [field, values] of wrong) {
      for (const value of values) {
        assert.throws(
          () => readJoin({ ...join, [field]: value }),
          error(`Invalid join: ${field}`),
          `${field}: ${value}`,
        );
      }
    }
  });
});

describe('readShare', () => {
  const share: Json = { epoch: 'e', seq: 0, now: 5 };

  it('reads what there is', () => {
    const nothing = { epoch: 'e', seq: 0, now: 5, all: false, more: false, put: [], gone: [], machines: null };
    assert.deepEqual(readShare(share), nothing);
    assert.deepEqual(readShare({ ...share, all: null, more: false, machines: null }), nothing);
    const all = { ...share, all: true, more: true, put: [1], gone: ['a'], machines: [2] };
    assert.deepEqual(readShare(all), all);
  });

  it('names the field that is wrong', () => {
    const wrong: [string, unknown[]][] = [
      ['epoch', [undefined, '', 7, 'x'.repeat(HUB_LIMITS.token + 1)]],
      ['seq', [undefined, -1, 0.5, '1']],
      ['now', [undefined, -1, 'x']],
      ['all', [1, 'true', {}]],
      ['more', [0]],
      ['put', [{}, 'x', null]],
      ['gone', [{}, [7], null, ['a', null]]],
      ['machines', [{}, 'x', 1]],
    ];
    for (const [field, values] of wrong) {
      for (const value of values) {
        assert.throws(
          () => readShare({ ...share, [field]: value }),
          error(`Invalid share: ${field}`),
          `${field}: ${value}`,
        );
      }
    }
  });
});

describe('readSharedNode', () => {
  const node: Json = { id: 'a', machine: 'm', cwd: '/', port: 1, status: 'active', path: [LAP] };

  it('reads a node, with its times on our clock and our name of its machine', () => {
    const whole = {
      ...node,
      status: 'offline',
      pid: 3,
      spawn_id: 's',
      reach: 'direct',
      reach_since: 1,
      reach_error: 'e',
      offline_since: 2,
      last_seen: 3,
      state_since: 4,
      tool_since: 5,
      name: 'n',
      hub: 'theirs',
      path: [id('deep'), LAP],
    };
    const { path: _, ...rest } = whole;
    assert.deepEqual(readSharedNode(whole, reader), {
      node: {
        ...rest,
        reach_since: 101,
        offline_since: 102,
        last_seen: 103,
        state_since: 104,
        tool_since: 105,
        hub: `name of ${id('deep').slice(0, 4)}`,
      },
      path: [id('deep'), LAP],
    });
    assert.equal(readSharedNode({ ...node, last_seen: 5 }, { ...reader, offset: -100 })?.node.last_seen, 0);
  });

  it('leaves out fields that it cannot read', () => {
    const { path, ...plain } = node;
    const odd = {
      pid: 'x',
      spawn_id: 7,
      reach: 'odd',
      reach_error: 7,
      last_seen: 'x',
      name: 7,
      state: null,
      model: 'm',
    };
    const hub = `name of ${LAP.slice(0, 4)}`;
    assert.deepEqual(readSharedNode({ ...node, ...odd }, reader), { node: { ...plain, model: 'm', hub }, path });
  });

  it('takes no node without what a node must have, nor by a path that it may not take', () => {
    for (const value of [null, 7, 'a', [], {}]) assert.equal(readSharedNode(value, reader), null);
    const wrong: [string, unknown[]][] = [
      ['id', [undefined, '', 7, 'x'.repeat(HUB_LIMITS.nodeId + 1)]],
      ['machine', [undefined, 7]],
      ['cwd', [undefined, 'a\n']],
      ['port', [0, 65536, '1']],
      ['status', ['asleep', undefined]],
      ['path', [undefined, {}, [], [7], ['x'], [id('x')], [LAP, id('x')], [id('own'), LAP], [LAP, LAP]]],
      ['path', [Array.from({ length: HUB_LIMITS.path }, (_, i) => id(String(i))).concat(LAP)]],
    ];
    for (const [field, values] of wrong) {
      for (const value of values) assert.equal(readSharedNode({ ...node, [field]: value }, reader), null, field);
    }
  });

  it('never throws, and never lets more through than a node has', () => {
    const KNOWN = new Set(
      'id machine cwd port status offline_since last_seen pid state_since tool_since spawn_id reach reach_since reach_error hub name session model state tool context cost question questions successor'.split(
        ' ',
      ),
    );
    const wild = fc.record({
      ...Object.fromEntries(
        [...KNOWN, 'path', 'extra', '__proto__'].map((field) => [field, fc.option(fc.jsonValue())]),
      ),
    });
    fc.assert(
      fc.property(wild, (fields) => {
        const read = readSharedNode({ ...node, ...fields, id: 'a', path: [LAP] }, reader);
        if (read === null) return;
        for (const field of Object.keys(read.node)) assert.ok(KNOWN.has(field), field);
      }),
    );
  });
});

describe('readMachines', () => {
  const machine: Json = { id: LAP, name: 'lap', version: '1', since: 5, nodes: 2, features: ['relay'], path: [LAP] };

  it('reads machines, of two with one id the first', () => {
    const numbers = { load: 0.5, cpus: 2, memory_free: 3, memory: 4, lost: true };
    const deep = { ...machine, ...numbers, id: id('deep'), path: [id('deep'), LAP] };
    assert.deepEqual(readMachines([machine, { ...machine, name: 'again' }, { ...deep, more: 1 }], reader), [
      { ...machine, since: 105 },
      { ...deep, since: 105 },
    ]);
  });

  it('leaves out what it cannot read', () => {
    const odd = { version: 7, since: 'x', nodes: -1, features: 'x', load: 'x', cpus: 0, memory_free: -1, memory: null };
    assert.deepEqual(readMachines([{ ...machine, ...odd, lost: 'x' }], reader), [
      { id: LAP, name: 'lap', version: '', since: 0, nodes: 0, features: [], path: [LAP] },
    ]);
    const none = [null, {}, { ...machine, id: 'x' }, { ...machine, path: [] }, { ...machine, name: ' ' }];
    assert.deepEqual(readMachines([...none, { ...machine, name: 7 }], reader), []);
    const many = Array.from({ length: 2 * HUB_LIMITS.below }, (_, i) => ({
      ...machine,
      id: id(String(i)),
      path: [id(String(i)), LAP],
    }));
    assert.equal(readMachines(many, reader).length, HUB_LIMITS.below + 1);
  });
});

describe('what another machine is asked, and answers', () => {
  it('is asked for what it may be, with the params that there are', () => {
    assert.deepEqual(['spawn_agent', 'register', 'toString', 'list_directories'].map(isHubRequestMethod), [
      true,
      false,
      false,
      true,
    ]);
    const params = { path: '/', prompt: '', session: null, machine: 'x', spawn_id: 's', extra: 1 };
    assert.deepEqual(paramsFor('spawn_agent', params), { path: '/', prompt: '', session: null });
    assert.deepEqual(paramsFor('list_directories', params), { path: '/' });
    assert.deepEqual(paramsFor('list_sessions', {}), {});
    assert.deepEqual(paramsFor('spawn_status', params), { spawn_id: 's' });
  });

  it('answers what was asked, or nothing', () => {
    const cases: [Parameters<typeof readAnswer>[0], unknown, unknown][] = [
      ['list_directories', { current: '/', directories: ['a'], x: 1 }, { current: '/', directories: ['a'] }],
      ['list_directories', { current: '/', directories: ['a', 7] }, null],
      ['list_directories', { current: 7, directories: [] }, null],
      ['list_directories', null, null],
      ['list_sessions', { path: '/', sessions: [] }, { path: '/', sessions: [] }],
      [
        'list_sessions',
        { path: '/', sessions: [{ session: 's', modified: 1, name: 'n', first: 'f', x: 1 }] },
        { path: '/', sessions: [{ session: 's', name: 'n', modified: 1, first: 'f' }] },
      ],
      [
        'list_sessions',
        { path: '/', sessions: [{ session: 's', modified: 1, name: 7, first: null }] },
        { path: '/', sessions: [{ session: 's', modified: 1 }] },
      ],
      ['list_sessions', { path: '/', sessions: [{ session: 's', modified: '1' }] }, null],
      ['list_sessions', { path: '/', sessions: [{ session: 7, modified: 1 }] }, null],
      ['list_sessions', { path: '/', sessions: {} }, null],
      ['list_sessions', { path: 7, sessions: [] }, null],
      [
        'spawn_agent',
        { status: 'spawning', path: '/', spawn_id: 's', x: 1 },
        { status: 'spawning', path: '/', spawn_id: 's' },
      ],
      ['spawn_agent', { status: 'spawning', path: '/', spawn_id: 7 }, { status: 'spawning', path: '/' }],
      ['spawn_agent', { status: 'spawned', path: '/' }, null],
      ['spawn_agent', { status: 'spawning' }, null],
      ['spawn_status', { status: 'starting', x: 1 }, { status: 'starting' }],
      ['spawn_status', { status: 'registered', node: 'a', exit_code: 1 }, { status: 'registered', node: 'a' }],
      ['spawn_status', { status: 'gone' }, null],
      [
        'spawn_status',
        { status: 'ended', node: 7, exit_code: 1, signal: null, output: 'o' },
        { status: 'ended', exit_code: 1, signal: null, output: 'o' },
      ],
      [
        'spawn_status',
        { status: 'ended', exit_code: 'x', signal: 'SIGTERM', output: 7 },
        { status: 'ended', exit_code: null, signal: 'SIGTERM' },
      ],
    ];
    for (const [method, value, read] of cases) assert.deepEqual(readAnswer(method, value), read, JSON.stringify(value));
  });

  it('responds with a result, an error or a push', () => {
    const request_id = '1';
    assert.deepEqual(readResponse({ request_id, result: { a: 1 } }), { request_id, result: { a: 1 } });
    assert.deepEqual(readResponse({ request_id }), { request_id, result: undefined });
    assert.deepEqual(readResponse({ request_id, error: 'no', result: 1 }), { request_id, error: 'no' });
    for (const odd of [7, {}, 'a\n', 'x'.repeat(HUB_LIMITS.error + 1)]) {
      assert.deepEqual(readResponse({ request_id, error: odd }), {
        request_id,
        error: 'An error that cannot be shown',
      });
    }
    const push = { event: 'spawn_ended', spawn_id: 's', exit_code: 0, signal: null, output: 'o' };
    assert.deepEqual(readResponse({ request_id, error: null, push: { ...push, x: 1 } }), { request_id, push });
    assert.deepEqual(readResponse({ request_id, push: { ...push, output: 7 } }), {
      request_id,
      push: { ...push, output: '' },
    });
    assert.deepEqual(readResponse({ request_id, push: null, result: 1 }), { request_id, result: 1 });
    for (const odd of [7, { ...push, event: 'x' }, { ...push, spawn_id: 7 }]) {
      assert.throws(() => readResponse({ request_id, push: odd }), error('Invalid response: push'));
    }
    for (const odd of [undefined, '', 7, 'x'.repeat(HUB_LIMITS.token + 1)]) {
      assert.throws(() => readResponse({ request_id: odd }), error('Invalid response: request_id'));
    }
  });
});
