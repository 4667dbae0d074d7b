/** A message there, a message back: the cost of a message that comes alone. */
import { measurementOf } from '../measuring.ts';
import type { Measurement, Scenario, Window, Workload } from '../scenario.ts';
import {
  httpProxyRelay,
  nginx128KiBRelay,
  nginxRelay,
  ourRelay,
  RELAYS,
  type RelaySubject,
  wsRelay,
} from '../subjects/relay.ts';
import { openRelays, texts } from './relays.ts';

const workload: Workload<RelaySubject> = {
  name: '100 B, 32 relays',
  subjects: RELAYS.filter((relay) => relay !== nginx128KiBRelay),
  targets: [
    { peer: nginxRelay.name, atLeast: 0.75 },
    { peer: httpProxyRelay.name, atLeast: 1.05 },
    { peer: wsRelay.name, atLeast: 1.25 },
  ],
  quick: [ourRelay, nginxRelay, httpProxyRelay].map(({ name }) => name),
  measure: (subject, window) => measurePingPong(subject, window, 32),
};

export async function measurePingPong(subject: RelaySubject, window: Window, relays: number): Promise<Measurement> {
  const message = texts(100);
  const { server, pids, clients } = await openRelays(subject, {
    relays,
    client: message,
    agent: message,
    answers: true,
  });
  return measurementOf(server, await clients.tell('roundTrips', { ...window, pids }));
}

export const relayPingPong: Scenario = {
  name: 'relay-ping-pong',
  title: 'Relay: ping-pong',
  description:
    'Text messages, each as one frame and one write. Each client writes one, the agent answers with one, and only then does the client write again.',
  unit: 'round trips',
  baseline: nginxRelay.name,
  workloads: [workload],
};
