import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vitals } from '../src/vitals.ts';

test('the vitals of this machine make sense', () => {
  const { load, cpus, memory_free, memory } = vitals();
  assert.ok(load >= 0, `load ${load}`);
  assert.ok(Number.isInteger(cpus) && cpus >= 1, `cpus ${cpus}`);
  assert.ok(memory > 0, `memory ${memory}`);
  if (memory_free !== null) assert.ok(memory_free > 0 && memory_free <= memory, `${memory_free} of ${memory}`);
});
