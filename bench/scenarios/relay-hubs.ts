/** Relays through two hubs, one of which has joined the other, beside one hub and beside nginx before nginx. */
import type { Measurement, Scenario, Target, Window, Workload } from '../scenario.ts';
import { nginxRelay, ourRelay, ourTwoHubs, type RelaySubject, twoNginxRelay } from '../subjects/relay.ts';
import { KIBIBYTE } from '../units.ts';
import { measureBulk } from './relay-bulk.ts';
import { measureFlood } from './relay-flood.ts';
import { measureRoundTrips, P50_MICROSECONDS } from './relay-latency.ts';
import { KIB_PER_RELAY, measureIdle, secondsOfIdle } from './relay-memory.ts';
import { OUTPACED } from './relays.ts';

const SUBJECTS = [ourTwoHubs, ourRelay, nginxRelay, twoNginxRelay];
const IDLE_RELAYS = 1000;

const WAY =
  'Two hypivisors: the client connects to one, and the agent has registered with the other, which has joined the first. Two nginx: one in front of the other. The work of both is counted.';

type Measure = (subject: RelaySubject, window: Window) => Promise<Measurement>;

/** Two hubs can do at most half of the work of one, because each splices every byte. */
const TARGETS: readonly Target[] = [
  { peer: ourRelay.name, atLeast: 0.45 },
  { peer: twoNginxRelay.name, atLeast: 1 },
];

function workload(name: string, measure: Measure): Workload<RelaySubject> {
  return { name, subjects: SUBJECTS, targets: TARGETS, measure };
}

export const relayHubsThroughput: Scenario = {
  name: 'relay-hubs-throughput',
  title: 'Relay: through two hubs',
  description: `${WAY} Messages from flooding agents, and MiB one way, as in relay-flood and relay-bulk. ${OUTPACED}`,
  unit: 'messages or MiB',
  baseline: twoNginxRelay.name,
  workloads: [
    workload('flood, 100 B, one frame a write', (subject, window) => measureFlood(subject, window, 64, 1)),
    workload('flood, 100 B, 20 frames a write', (subject, window) => measureFlood(subject, window, 64, 20)),
    workload('64 KiB, down', (subject, window) => measureBulk(subject, window, 8, 64 * KIBIBYTE, 'down')),
    workload('64 KiB, up', (subject, window) => measureBulk(subject, window, 8, 64 * KIBIBYTE, 'up')),
  ],
};

export const relayHubsLatency: Scenario = {
  name: 'relay-hubs-latency',
  title: 'Relay: time that two hubs add to a round trip',
  description: `${WAY} One connection, one message of 100 B at a time, as in relay-latency.`,
  unit: 'round trips',
  baseline: twoNginxRelay.name,
  headline: P50_MICROSECONDS,
  workloads: [
    {
      name: '100 B, one relay',
      subjects: SUBJECTS,
      targets: [{ peer: twoNginxRelay.name, figure: P50_MICROSECONDS, atMostMore: 10 }],
      measure: measureRoundTrips,
    } satisfies Workload<RelaySubject>,
  ],
};

export const relayHubsMemory: Scenario = {
  name: 'relay-hubs-memory',
  title: 'Relay: memory of idle relays through two hubs',
  description: `${WAY} Measured as in relay-memory: the growth of both, for each relay.`,
  unit: 'relays',
  baseline: twoNginxRelay.name,
  headline: KIB_PER_RELAY,
  workloads: [
    {
      name: `${IDLE_RELAYS} relays`,
      subjects: [ourTwoHubs, twoNginxRelay],
      targets: [{ peer: twoNginxRelay.name, figure: KIB_PER_RELAY, atMost: 1 }],
      maxRounds: 1,
      dropsFirst: false,
      seconds: secondsOfIdle(IDLE_RELAYS),
      measure: (subject) => measureIdle(subject, IDLE_RELAYS),
    } satisfies Workload<RelaySubject>,
  ],
};
