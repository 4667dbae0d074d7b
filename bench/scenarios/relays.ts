/** Common parts of the relay scenarios: clients, a relay under test, and the agent behind it. */

import type { WritePattern } from '../load/pattern.ts';
import { Load } from '../load/process.ts';
import { outpace } from '../processor.ts';
import type { Relaying } from '../subjects/hypivisor.ts';
import type { RelaySubject } from '../subjects/relay.ts';

export interface Ends {
  /** Each is a client's connection, and the relay's own to the agent. */
  relays: number;
  /** The writes of clients. */
  client: WritePattern;
  /** The writes of the agent, on each of its connections. */
  agent: WritePattern;
  /** The agent writes once a client's write has come. */
  answers?: boolean;
}

export interface OpenRelays {
  readonly server: Relaying;
  readonly pids: readonly number[];
  readonly agent: Load;
  readonly clients: Load;
}

/** The pattern of an end that is not told to write. */
export const SILENT: WritePattern = { payloadBytes: [1], messagesPerWrite: 1 };

/** Text, as agents write it. */
export function texts(payloadBytes: number, messagesPerWrite = 1): WritePattern {
  return { payloadBytes: [payloadBytes], messagesPerWrite, text: true };
}

/** @param onServer called with the server before the first client connects */
export async function openRelays(
  subject: RelaySubject,
  { relays, client, agent: ofAgent, answers = false }: Ends,
  onServer: (server: Relaying) => Promise<void> = async () => {},
): Promise<OpenRelays> {
  const [agent, clients] = [new Load(), new Load()];
  const [agentPort] = await agent.tell('serve', { agents: 1, answers, pattern: ofAgent, expect: client });
  const server = await subject.start(agentPort as number, agent);
  await onServer(server);
  const { port, paths } = server;
  await clients.tell('connect', { port, paths, connections: relays, pattern: client, expect: ofAgent });
  await agent.tell('accepted', { connections: relays });
  return { server, pids: await server.pids(), agent, clients };
}

/** Part of the description of every scenario in which one end pours. */
export const OUTPACED =
  'All processes share one processor, on which the server has the lowest priority, so that its input has piled up when it runs. No latency is measured.';

/** One end writes without end. If the relay is outpaced, it writes faster than the relay reads. */
export async function pour({ pids, agent, clients }: OpenRelays, from: Load, outpaced = true): Promise<void> {
  if (outpaced) await outpace(pids, [agent.pid, clients.pid]);
  await from.tell('pour', {});
}
