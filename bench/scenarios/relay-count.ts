/** One relay and many relays: whether each costs the same. */
import type { Measurement, Scenario, Window, Workload } from '../scenario.ts';
import { nginxRelay, ourRelay, type RelaySubject } from '../subjects/relay.ts';
import { KIBIBYTE } from '../units.ts';
import { measureBulk } from './relay-bulk.ts';
import { measureFlood } from './relay-flood.ts';
import { measurePingPong } from './relay-ping-pong.ts';
import { OUTPACED } from './relays.ts';

const COUNTS = [1, 64, 1000];

type Measure = (subject: RelaySubject, window: Window, relays: number) => Promise<Measurement>;

const MEASURES: Readonly<Record<string, Measure>> = {
  'ping-pong 100 B': measurePingPong,
  'flood 100 B': (subject, window, relays) => measureFlood(subject, window, relays, 1),
  'down 64 KiB': (subject, window, relays) => measureBulk(subject, window, relays, 64 * KIBIBYTE, 'down'),
};

function workload(kind: string, measure: Measure, relays: number): Workload<RelaySubject> {
  return {
    name: `${kind}, ${relays.toLocaleString('en-US')} ${relays === 1 ? 'relay' : 'relays'}`,
    subjects: [ourRelay, nginxRelay],
    targets: [],
    maxRounds: 1,
    measure: (subject, window) => measure(subject, window, relays),
  };
}

export const relayCount: Scenario = {
  name: 'relay-count',
  title: 'Relay: one, 64 and 1,000 relays',
  description: `Round trips, messages from flooding agents (one frame a write), and MiB from agents to clients, written as in their own scenarios. For floods and bulk: ${OUTPACED}`,
  unit: 'round trips, messages or MiB',
  baseline: nginxRelay.name,
  workloads: Object.entries(MEASURES).flatMap(([kind, measure]) =>
    COUNTS.map((relays) => workload(kind, measure, relays)),
  ),
};
