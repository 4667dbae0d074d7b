import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createBoundary } from '../../src/agent/boundary.ts';

describe('a boundary', () => {
  const setUp = () => {
    const faults: [error: unknown, boundary: string][] = [];
    return { faults, boundary: createBoundary({ fault: (error, boundary) => faults.push([error, boundary]) }) };
  };

  it('passes arguments in and nothing out', () => {
    const { faults, boundary } = setUp();
    const seen: unknown[] = [];
    assert.equal(boundary('b', (...args: number[]) => seen.push(...args))(1, 2), undefined);
    assert.deepEqual([seen, faults], [[1, 2], []]);
  });

  it('logs what is thrown, whatever it is, and throws nothing', () => {
    const { faults, boundary } = setUp();
    const error = new Error('x');
    for (const thrown of [error, 'text', undefined, null]) {
      boundary('b', () => {
        throw thrown;
      })();
    }
    assert.deepEqual(faults, [
      [error, 'b'],
      ['text', 'b'],
      [undefined, 'b'],
      [null, 'b'],
    ]);
  });

  it('logs a rejection, and gives a promise that never rejects', async () => {
    const { faults, boundary } = setUp();
    assert.equal(await boundary('b', async () => Promise.reject(new Error('late')))(), undefined);
    assert.equal(await boundary('b', async () => 7)(), undefined);
    assert.equal(faults.length, 1);
  });
});
