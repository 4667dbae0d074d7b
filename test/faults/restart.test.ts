/** The daemon is killed under agents and dashboards that try again, and started again: all come back, each once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { killAndRestart } from './returning.ts';

const POPULATION = { agents: 100, dashboards: 20 };

/** What is promised is six seconds; the rest is room for a busy machine. */
const PROMISED_MS = 6000;
const ROOM_MS = 6000;

describe('killed under 100 agents and 20 dashboards', { concurrency: true, timeout: 60_000 }, () => {
  for (const pauseMs of [0, 2500]) {
    test(`and started again after ${pauseMs} ms: all that retry every 5 s are back within 6 s`, async (t) => {
      const { backMs, ghosts, doubles } = await killAndRestart(POPULATION, pauseMs, PROMISED_MS + ROOM_MS);
      t.diagnostic(`all are back ${(backMs / 1000).toFixed(2)} s after the port opened`);
      assert.deepEqual(ghosts, []);
      assert.deepEqual(doubles, []);
    });
  }
});
