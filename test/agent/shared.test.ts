import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chosen, shared } from '../../src/agent/shared.ts';

const copy = (path: string, version: string) => ({ path, version });

describe('two copies', () => {
  it('the newer one serves, and of two alike the first', () => {
    assert.equal(chosen([]), null);
    const cases: [versions: string[], index: number][] = [
      [['1.0.0'], 0],
      [['1.0.0', '1.0.0'], 0],
      [['1.0.0', '1.0.1'], 1],
      [['0.9.0', '0.10.0'], 1],
      [['2.0.0', '1.9.9', '2.0.1'], 2],
      [['1.0.0', 'nonsense'], 0],
    ];
    for (const [versions, index] of cases) {
      const copies = versions.map((version, i) => copy(`${i}`, version));
      assert.equal(chosen(copies), copies[index], versions.join());
    }
  });

  it('meet in one place, also where the module is evaluated anew', async () => {
    const again = (await import(
      `../../src/agent/shared.ts?${Math.random()}`
    )) as typeof import('../../src/agent/shared.ts');
    assert.equal(again.shared(), shared());
    assert.match(shared().dialKey, /^[A-Za-z0-9_-]{1,128}$/);
  });
});
