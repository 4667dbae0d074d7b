/** Agents that write as fast as they are read. */
import { measurementOf } from '../measuring.ts';
import type { Measurement, Scenario, Target, Window, Workload } from '../scenario.ts';
import {
  haproxyRelay,
  nginxRelay,
  ourRelay,
  pipeRelay,
  RELAYS,
  type RelaySubject,
  wsRelay,
} from '../subjects/relay.ts';
import { OUTPACED, openRelays, pour, SILENT, texts } from './relays.ts';

const AGENTS = 64;

function workload(
  messagesPerWrite: number,
  subjects: readonly RelaySubject[],
  targets: readonly Target[],
  quick = false,
): Workload<RelaySubject> {
  return {
    name: `100 B, ${messagesPerWrite === 1 ? 'one frame' : `${messagesPerWrite} frames`} a write`,
    subjects,
    targets,
    quick: quick && [ourRelay.name, nginxRelay.name],
    measure: (subject, window) => measureFlood(subject, window, AGENTS, messagesPerWrite),
  };
}

export async function measureFlood(
  subject: RelaySubject,
  window: Window,
  relays: number,
  messagesPerWrite: number,
): Promise<Measurement> {
  const open = await openRelays(subject, {
    relays,
    client: SILENT,
    agent: { ...texts(100, messagesPerWrite), verbatim: true },
  });
  await pour(open, open.agent);
  return measurementOf(open.server, await open.clients.tell('count', { ...window, pids: open.pids }));
}

export const relayFlood: Scenario = {
  name: 'relay-flood',
  title: 'Relay: flood',
  description: `${AGENTS} agents write text messages to their clients in turns, up to 32 writes each, as long as the kernel takes them. What is in a write leaves in one system call, and nothing else shares it. ${OUTPACED} What arrives is compared byte by byte.`,
  unit: 'messages',
  baseline: nginxRelay.name,
  workloads: [
    workload(1, [ourRelay, nginxRelay, haproxyRelay, pipeRelay], [{ peer: nginxRelay.name, atLeast: 1 }]),
    workload(
      20,
      RELAYS,
      [
        { peer: nginxRelay.name, atLeast: 1.9 },
        { peer: wsRelay.name, atLeast: 20 },
      ],
      true,
    ),
  ],
};
