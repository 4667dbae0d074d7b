import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Doubles } from '../../src/registry/doubles.ts';

const SPOTS = ['1 10.0.0.1', '2 10.0.0.1'];
const IDS = ['a', 'b', 'c', 'd'];

test('agents come and go in any order: each has a double if another is in its spot', () => {
  const step = fc.record({ enters: fc.boolean(), spot: fc.constantFrom(...SPOTS), id: fc.constantFrom(...IDS) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const doubles = new Doubles();
      const present = new Set<string>();
      for (const { enters, spot, id } of steps) {
        if (enters) {
          doubles.enter(spot, id);
          present.add(`${spot} ${id}`);
        } else {
          doubles.leave(spot, id);
          present.delete(`${spot} ${id}`);
        }
        for (const where of SPOTS) {
          for (const who of IDS) {
            const isThere = IDS.some((other) => other !== who && present.has(`${where} ${other}`));
            assert.equal(doubles.has(where, who), isThere, `${where} ${who}`);
          }
        }
      }
    }),
  );
});
