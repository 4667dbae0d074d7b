/** An agent in a process of its own, which is killed: who is told when. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Client, type Json } from '../support/client.ts';
import type { Daemon } from '../support/daemon.ts';

const PROGRAM = fileURLToPath(new URL('../support/peer-process.ts', import.meta.url));

export interface Told {
  /** After the SIGKILL, a dashboard of the roster got `node_offline`. */
  dashboardMs: number;
  /** After the SIGKILL, the client of an open relay saw its connection closed. */
  relayMs: number;
  closeCode: number;
}

/** Registers an agent, opens a relay to it, and kills it. */
export async function killAgent(daemon: Daemon, id: string): Promise<Told> {
  const child = fork(PROGRAM, { execArgv: ['--import', 'tsx'] });
  const clients: Client[] = [];
  const open = async (url: string) => {
    const client = await Client.open(url);
    clients.push(client);
    return client;
  };
  try {
    const port = await ask(child, 'serve', { says: 'hello' });
    await ask(child, 'register', { registryUrl: daemon.registryUrl, port, id, machine: '127.0.0.1' });
    const dashboard = await open(daemon.registryUrl);
    const relay = await open(daemon.relayUrl(id));
    relay.socket.send('are you there?');
    assert.equal(String((await relay.next()).payload), 'hello: are you there?');
    const began = performance.now();
    child.kill('SIGKILL');
    const [relayMs, dashboardMs] = await Promise.all([
      since(began, relay.closed),
      since(
        began,
        dashboard.until((message) => message.event === 'node_offline' && message.id === id),
      ),
    ]);
    return { dashboardMs, relayMs, closeCode: (await relay.closed).code };
  } finally {
    child.kill('SIGKILL');
    for (const client of clients) client.terminate();
  }
}

async function ask(child: ChildProcess, command: string, params: Json): Promise<Json> {
  const answered = once(child, 'message');
  child.send({ id: 1, command, params });
  const [{ result, error }] = (await answered) as [Json];
  assert.equal(error, undefined);
  return result;
}

async function since(began: number, happens: Promise<unknown>): Promise<number> {
  await happens;
  return performance.now() - began;
}
