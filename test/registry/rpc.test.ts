import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeError, encodeResult, parseRequest, RpcError } from '../../src/registry/rpc.ts';

describe('parseRequest', () => {
  const requests: [text: string, request: object][] = [
    ['{"method":"ping"}', { method: 'ping' }],
    ['{"id":7,"method":"ping"}', { id: 7, method: 'ping' }],
    ['{"id":"7","method":"ping","params":{}}', { id: '7', method: 'ping', params: {} }],
    ['{"id":0,"method":""}', { id: 0, method: '' }],
    ['{"id":"","method":"m"}', { id: '', method: 'm' }],
    ['{"id":-1.5,"method":"m","params":{"id":"x"}}', { id: -1.5, method: 'm', params: { id: 'x' } }],
    ['{"method":"m","params":null}', { method: 'm' }],
    [' \n{"method":"m","jsonrpc":"2.0","extra":[1]}\t', { method: 'm' }],
    ['{"method":"first","method":"last"}', { method: 'last' }],
  ];
  for (const [text, request] of requests) {
    it(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parseRequest(text), request));
  }

  const refused: [text: string, sentence: string, id?: string | number][] = [
    ['', 'Invalid request: not JSON'],
    ['hello', 'Invalid request: not JSON'],
    ['{"method":"ping"', 'Invalid request: not JSON'],
    ['\ufeff{"method":"ping"}', 'Invalid request: not JSON'],
    ['null', 'Invalid request: not an object'],
    ['7', 'Invalid request: not an object'],
    ['"ping"', 'Invalid request: not an object'],
    ['[{"method":"ping"}]', 'Invalid request: not an object'],
    ['{"id":null,"method":"ping"}', 'Invalid request: id must be a string or a number'],
    ['{"id":true,"method":"ping"}', 'Invalid request: id must be a string or a number'],
    ['{"id":{},"method":"ping"}', 'Invalid request: id must be a string or a number'],
    ['{"id":[1],"method":"ping"}', 'Invalid request: id must be a string or a number'],
    ['{"id":1e999,"method":"ping"}', 'Invalid request: id must be a string or a number'],
    ['{}', 'Invalid request: method must be a string'],
    ['{"id":3}', 'Invalid request: method must be a string', 3],
    ['{"id":"a","method":7}', 'Invalid request: method must be a string', 'a'],
    ['{"id":4,"method":"m","params":[]}', 'Invalid request: params must be an object', 4],
    ['{"id":5,"method":"m","params":"x"}', 'Invalid request: params must be an object', 5],
    ['{"method":"m","params":false}', 'Invalid request: params must be an object'],
  ];
  for (const [text, sentence, id] of refused) {
    it(`refuses ${JSON.stringify(text)}, with the id if there is one`, () => {
      assert.throws(() => parseRequest(text), { name: 'RpcError', message: sentence, id });
    });
  }

  it('keeps nothing but id, method and params, and takes no prototype from the peer', () => {
    const request = parseRequest('{"__proto__":{"method":"spawn_agent"},"constructor":1,"method":"ping"}');
    assert.deepEqual(Object.keys(request), ['method']);
    assert.equal(Object.getPrototypeOf(request), Object.prototype);
    assert.throws(() => parseRequest('{"__proto__":{"method":"ping"}}'), RpcError);
  });

  it('survives half a million levels of nesting', () => {
    assert.throws(() => parseRequest('['.repeat(500_000)), RpcError);
    const depth = 100_000;
    const request = parseRequest(`{"method":"m","params":{"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`);
    assert.equal(request.method, 'm');
  });

  it('takes any text without another error than RpcError', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => `{"id":1,"method":${json},"params":${json}}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const request = parseRequest(text);
          assert.equal(typeof request.method, 'string');
        } catch (error) {
          assert.ok(error instanceof RpcError);
        }
      }),
    );
  });
});

describe('answers', () => {
  it('echo the id unchanged, and have none if the request has none', () => {
    assert.equal(encodeResult(7, '[]'), '{"id":7,"result":[]}');
    assert.equal(encodeResult('7', 'null'), '{"id":"7","result":null}');
    assert.equal(encodeResult(0, '1'), '{"id":0,"result":1}');
    assert.equal(encodeResult('', '1'), '{"id":"","result":1}');
    assert.equal(encodeResult(undefined, '{}'), '{"result":{}}');
    assert.equal(encodeError(-1.5, 'No'), '{"id":-1.5,"error":"No"}');
    assert.equal(encodeError(undefined, 'No'), '{"error":"No"}');
  });

  it('are JSON whatever the id and the sentence', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.integer()),
        fc.string({ unit: 'binary' }),
        (id, sentence) => {
          assert.deepEqual(JSON.parse(encodeError(id, sentence)), { id, error: sentence });
        },
      ),
    );
  });

  it('bring back the id that was sent', () => {
    const ids = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    );
    fc.assert(
      fc.property(ids, (id) => {
        const sent = JSON.stringify(id);
        const request = parseRequest(`{"id":${sent},"method":"m"}`);
        assert.equal(encodeResult(request.id, '0'), `{"id":${sent},"result":0}`);
      }),
    );
  });
});

it('an integer beyond what a number holds goes back as it came', () => {
  for (const literal of ['1700000000123456789', '-9007199254740993', '9007199254740993']) {
    for (const text of [
      `{"id":${literal},"method":"ping"}`,
      `{"method":"ping", "params":{"id":"x"}, "id" : ${literal} }`,
      `{"id":${literal},"method":"ping","params":{"id":1700000000123456788,"a":["\\"id\\":1",{"id":9007199254740995}]}}`,
    ]) {
      assert.equal(encodeResult(parseRequest(text).id, '{}'), `{"id":${literal},"result":{}}`);
    }
  }
  assert.equal(encodeResult(parseRequest('{"id":1e21,"method":"ping"}').id, '{}'), '{"id":1e+21,"result":{}}');
  // Of two ids the last counts, also where its name is escaped and its digits are not looked for.
  assert.equal(parseRequest('{"id":0,"\\u0069d":9007199254740993,"method":"m"}').id, 9007199254740992);
});
