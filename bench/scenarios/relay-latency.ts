/** The time that a relay adds to a round trip, without other traffic. */
import { measurementOf } from '../measuring.ts';
import type { Measurement, Scenario, Window, Workload } from '../scenario.ts';
import { direct, nginx128KiBRelay, nginxRelay, RELAYS, type RelaySubject } from '../subjects/relay.ts';
import { openRelays, texts } from './relays.ts';

const MICROSECONDS = 1000;
export const P50_MICROSECONDS = 'µs, half of them';

const workload: Workload<RelaySubject> = {
  name: '100 B, one relay',
  subjects: [...RELAYS.filter((relay) => relay !== nginx128KiBRelay), direct],
  targets: [{ peer: nginxRelay.name, figure: P50_MICROSECONDS, atMostMore: 5 }],
  measure: measureRoundTrips,
};

export async function measureRoundTrips(subject: RelaySubject, window: Window): Promise<Measurement> {
  const message = texts(100);
  const ends = { relays: 1, client: message, agent: message, answers: true };
  const { server, pids, clients } = await openRelays(subject, ends);
  const counted = await clients.tell('roundTrips', { ...window, pids });
  return measurementOf(server, counted, { [P50_MICROSECONDS]: (counted.p50Ms ?? Number.NaN) * MICROSECONDS });
}

export const relayLatency: Scenario = {
  name: 'relay-latency',
  title: 'Relay: time added to a round trip',
  description:
    'One connection, one message of 100 B at a time: the client writes, the agent answers, and only then does the client write again. A relay adds its p50 minus that of the direct connection.',
  unit: 'round trips',
  baseline: nginxRelay.name,
  headline: P50_MICROSECONDS,
  workloads: [workload],
};
