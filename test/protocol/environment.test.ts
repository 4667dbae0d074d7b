import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Environment } from '../../src/protocol/environment.ts';

test('each variable is known by its own name', () => {
  assert.deepEqual(Object.keys(Environment), Object.values(Environment));
});
