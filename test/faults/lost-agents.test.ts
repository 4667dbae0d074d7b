/** An agent's process is killed: how soon its dashboards know. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Daemon } from '../support/daemon.ts';
import { killAgent } from './killed-agent.ts';

const ROUNDS = 4;

/** What is promised is 100 ms; the rest is room for a busy machine. */
const MAX_TOLD_MS = 2000;

test('an agent is killed: its dashboard and its relay are told at once', { timeout: 60_000 }, async (t) => {
  const daemon = await Daemon.start();
  t.after(() => daemon.stop('SIGKILL'));
  const toldMs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { dashboardMs, relayMs, closeCode } = await killAgent(daemon, `killed-${round}`);
    toldMs.push(dashboardMs, relayMs);
    assert.equal(closeCode, 1014);
  }
  t.diagnostic(`told within ${toldMs.map((ms) => ms.toFixed(1)).join(', ')} ms of the SIGKILL`);
  assert.ok(Math.max(...toldMs) < MAX_TOLD_MS, `${toldMs} ms`);
});
