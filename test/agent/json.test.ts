import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode, parseObject } from '../../src/agent/json.ts';

describe('encode', () => {
  it('is JSON.stringify for what JSON can say', () => {
    for (const value of [null, 1, 'é\u2028', [1, { a: 'b' }], { a: undefined, b: [undefined] }]) {
      assert.equal(encode(value), JSON.stringify(value));
    }
  });

  it('leaves out what JSON cannot say, and keeps the rest', () => {
    const circle: Record<string, unknown> = { a: 1 };
    circle.self = circle;
    circle.list = [circle, 2];
    assert.equal(encode(circle), '{"a":1,"list":[null,2]}');
    assert.equal(encode({ a: 10n, b: 1 }), '{"a":"10","b":1}');
    const throwing = Object.defineProperty({ a: 1 }, 'b', { enumerable: true, get: () => assert.fail() });
    assert.equal(encode(throwing), '{"a":1}');
    assert.equal(encode(undefined), 'null');
    assert.equal(encode({ toJSON: () => assert.fail() }), '{}');
  });

  it('says the same object twice where it is no circle', () => {
    const shared = { a: 1 };
    assert.equal(encode({ b: shared, c: shared, d: 1n }), '{"b":{"a":1},"c":{"a":1},"d":"1"}');
  });

  it('survives any depth', () => {
    let deep: unknown = 'end';
    for (let i = 0; i < 20_000; i++) deep = { deep };
    assert.ok(encode(deep).startsWith('{"deep":{"deep":'));
  });
});

describe('parseObject', () => {
  it('is the object that a text encodes, and nothing else', () => {
    assert.deepEqual(parseObject(' \n{"a":[1]}'), { a: [1] });
    for (const text of ['', 'hello', '[{}]', 'null', '1', '"{}"', '{', '{} {}', '{a:1}']) {
      assert.equal(parseObject(text), null, text);
    }
  });
});
