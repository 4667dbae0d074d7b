/** An agent's process is killed: how soon its dashboards know. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client, type Json } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';

const PROGRAM = fileURLToPath(new URL('../support/peer-process.ts', import.meta.url));
const ROUNDS = 4;

/** What is promised is 100 ms; the rest is room for a busy machine. */
const MAX_TOLD_MS = 2000;

async function ask(child: ChildProcess, command: string, params: Json): Promise<Json> {
  const answered = once(child, 'message');
  child.send({ id: 1, command, params });
  const [{ result, error }] = (await answered) as [Json];
  assert.equal(error, undefined);
  return result;
}

test('an agent is killed: its dashboard and its relay are told at once', { timeout: 60_000 }, async (t) => {
  const daemon = await Daemon.start();
  t.after(() => daemon.stop('SIGKILL'));
  const told: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const id = `killed-${round}`;
    const child = fork(PROGRAM, { execArgv: ['--import', 'tsx'] });
    t.after(() => child.kill('SIGKILL'));
    const port = await ask(child, 'serve', { says: 'hello' });
    await ask(child, 'register', { registryUrl: daemon.registryUrl, port, id, machine: '127.0.0.1' });
    const dashboard = await Client.open(daemon.registryUrl);
    const relay = await Client.open(daemon.relayUrl(id));
    relay.socket.send('are you there?');
    assert.equal(String((await relay.next()).payload), 'hello: are you there?');
    const began = performance.now();
    child.kill('SIGKILL');
    const [{ code }] = await Promise.all([
      relay.closed,
      dashboard.until((message) => message.event === 'node_offline' && message.id === id),
    ]);
    told.push(performance.now() - began);
    assert.equal(code, 1014);
    dashboard.terminate();
  }
  t.diagnostic(`told within ${told.map((ms) => ms.toFixed(1)).join(', ')} ms of the SIGKILL`);
  assert.ok(Math.max(...told) < MAX_TOLD_MS, `${told} ms`);
});
