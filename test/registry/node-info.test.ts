import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readNodeInfo } from '../../src/registry/node-info.ts';
import { RpcError } from '../../src/registry/rpc.ts';

const INFO = { id: 'a', machine: 'laptop', cwd: '/work', port: 8080 };

const read = (fields: Record<string, unknown>) => readNodeInfo({ ...INFO, status: 'active', ...fields });

function refuses(fields: Record<string, unknown>): void {
  assert.throws(() => read(fields), { name: 'RpcError', message: 'Invalid node info' }, JSON.stringify(fields));
}

describe('readNodeInfo', () => {
  it('copies the fields it knows, and no other', () => {
    assert.deepEqual(read({}), INFO);
    assert.deepEqual(read({ pid: 7, dialKey: 'k-_9', extra: {}, offline_since: 1 }), {
      ...INFO,
      pid: 7,
      dialKey: 'k-_9',
    });
  });

  it('reads what an agent says of itself beside that, and the id that the daemon gave it', () => {
    const { details, ...info } = read({ name: 'a name', state: 'idle', state_age: 3, spawn_id: 'sp-1', tool: null });
    assert.deepEqual(info, { ...INFO, spawnId: 'sp-1' });
    assert.deepEqual(details, { fields: { name: 'a name', state: 'idle', tool: null }, stateAge: 3, toolAge: null });
    assert.deepEqual(read({ spawn_id: null }), INFO);
  });

  it('knows an agent that opens connections for the daemon', () => {
    assert.deepEqual(read({ dial_back: true }), { ...INFO, dialBack: true });
    for (const none of [false, null, undefined]) assert.deepEqual(read({ dial_back: none }), INFO);
  });

  it('names an optional field that is not what it must be', () => {
    for (const [field, value] of [
      ['name', 7],
      ['state', 'busy'],
      ['question', {}],
      ['spawn_id', 'x'.repeat(65)],
      ['spawn_id', 7],
      ['dial_back', 1],
      ['dial_back', 'true'],
    ] as const) {
      assert.throws(() => read({ [field]: value }), { name: 'RpcError', message: `Invalid node info: ${field}` });
    }
    assert.equal(read({ spawn_id: 'x'.repeat(64) }).spawnId?.length, 64);
  });

  it('takes either status, and stores none', () => {
    assert.deepEqual(read({ status: 'offline' }), INFO);
    for (const status of [undefined, null, 'gone', 'Active', '', 1]) refuses({ status });
  });

  it('needs params', () => {
    assert.throws(() => readNodeInfo(undefined), { name: 'RpcError', message: 'Missing params' });
    assert.throws(() => readNodeInfo({}), { name: 'RpcError', message: 'Invalid node info' });
  });

  it('refuses a field that is missing or of a wrong type', () => {
    for (const name of ['id', 'machine', 'cwd', 'port']) {
      for (const value of [undefined, null, true, {}, [], ['a']]) refuses({ [name]: value });
    }
    for (const name of ['id', 'machine', 'cwd']) refuses({ [name]: 7 });
    for (const name of ['port', 'pid']) refuses({ [name]: '8080' });
  });

  const bounds = { id: 256, machine: 253, cwd: 4096 };
  for (const [name, bytes] of Object.entries(bounds)) {
    it(`bounds ${name}: ${bytes} bytes, counted in UTF-8`, () => {
      for (const text of ['x'.repeat(bytes), `${'é'.repeat(bytes >> 1)}${'x'.repeat(bytes & 1)}`]) {
        assert.equal(read({ [name]: text })[name as 'id'], text);
        refuses({ [name]: `${text}x` });
      }
      refuses({ [name]: 'é'.repeat(bytes) });
      refuses({ [name]: 'x'.repeat(1024 * 1024) });
    });
  }

  it('demands an id, but neither a machine nor a folder', () => {
    refuses({ id: '' });
    assert.deepEqual(read({ machine: '', cwd: '' }), { ...INFO, machine: '', cwd: '' });
  });

  it('takes ports from 1 to 65535', () => {
    for (const port of [1, 80, 31415, 65535]) assert.equal(read({ port }).port, port);
    for (const port of [0, -1, 65536, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32 + 80]) refuses({ port });
  });

  it('takes a pid that is a whole number, or none', () => {
    for (const pid of [0, 1, 2 ** 32]) assert.equal(read({ pid }).pid, pid);
    for (const pid of [undefined, null]) assert.deepEqual(read({ pid }), INFO);
    for (const pid of [-1, 0.5, 2 ** 53, true]) refuses({ pid });
  });

  it('takes a dialKey of 1 to 128 characters of base64url, or none', () => {
    for (const dialKey of ['a', 'AZaz09-_', 'k'.repeat(128)]) assert.equal(read({ dialKey }).dialKey, dialKey);
    for (const dialKey of [undefined, null]) assert.deepEqual(read({ dialKey }), INFO);
    for (const dialKey of ['', 'k'.repeat(129), 'a b', 'a\r\nX: y', 'a\n', 'a+b', 'a/b', 'é', 7, ['a']])
      refuses({ dialKey });
  });

  it('refuses control characters and lone surrogates', () => {
    for (const character of [
      '\0',
      '\n',
      '\r',
      '\t',
      '\x1b',
      '\x7f',
      '\x80',
      '\x9f',
      '\ud800',
      '\udc00',
      '\udc00\ud800',
    ]) {
      for (const name of ['id', 'machine', 'cwd']) refuses({ [name]: `a${character}b` });
    }
  });

  it('takes any other character', () => {
    const any = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter((text) => !/\p{Cc}/u.test(text));
    fc.assert(fc.property(any, (text) => assert.equal(read({ id: text }).id, text)));
    for (const id of ['a/b', '..', '%2e', '<img src=x>', '__proto__', '😀', '\u202e', '\u2028', ' ', 'a b']) {
      assert.equal(read({ id }).id, id);
    }
  });

  it('throws nothing but RpcError, whatever the params', () => {
    const params = fc.record(
      {
        id: fc.anything(),
        machine: fc.anything(),
        cwd: fc.anything(),
        port: fc.anything(),
        status: fc.constant('active'),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(params, (wild) => {
        try {
          readNodeInfo(wild);
        } catch (error) {
          assert.ok(error instanceof RpcError);
        }
      }),
    );
  });
});
