/** What a relay adds to the way there and back, where nothing else goes on. */
import { measurementOf } from '../measuring.ts';
import type { Scenario, Workload } from '../scenario.ts';
import { direct, nginx128KiBRelay, nginxRelay, RELAYS, type RelaySubject } from '../subjects/relay.ts';
import { openRelays, texts } from './relays.ts';

const MICROSECONDS = 1000;
const P50 = 'µs, half of them';

const workload: Workload<RelaySubject> = {
  name: '100 B, one relay',
  subjects: [...RELAYS.filter((relay) => relay !== nginx128KiBRelay), direct],
  targets: [{ peer: nginxRelay.name, figure: P50, atMostMore: 5 }],
  async measure(subject, window) {
    const message = texts(100);
    const { server, pids, clients } = await openRelays(subject, {
      relays: 1,
      client: message,
      agent: message,
      answers: true,
    });
    const counted = await clients.tell('roundTrips', { ...window, pids });
    return measurementOf(server, counted, { [P50]: (counted.p50Ms ?? Number.NaN) * MICROSECONDS });
  },
};

export const relayLatency: Scenario = {
  name: 'relay-latency',
  title: 'Relay: what it adds to a round trip',
  description:
    'One connection, one message of 100 B at a time: the client writes, the agent answers, and only then the client writes again. What a relay adds is its p50 less that of the direct connection.',
  unit: 'round trips',
  baseline: nginxRelay.name,
  headline: P50,
  workloads: [workload],
};
