/** Relays over connections that the agent has opened, beside those that the daemon has dialled. */
import type { Measurement, Scenario, Window, Workload } from '../scenario.ts';
import { ourRelay, ourRelayBack, type RelaySubject } from '../subjects/relay.ts';
import { KIBIBYTE } from '../units.ts';
import { measureBulk } from './relay-bulk.ts';
import { measureFlood } from './relay-flood.ts';
import { OUTPACED } from './relays.ts';

type Measure = (subject: RelaySubject, window: Window) => Promise<Measurement>;

const MEASURES: Readonly<Record<string, Measure>> = {
  'flood, 100 B, one frame a write': (subject, window) => measureFlood(subject, window, 64, 1),
  'flood, 100 B, 20 frames a write': (subject, window) => measureFlood(subject, window, 64, 20),
  '64 KiB, down': (subject, window) => measureBulk(subject, window, 8, 64 * KIBIBYTE, 'down'),
  '64 KiB, up': (subject, window) => measureBulk(subject, window, 8, 64 * KIBIBYTE, 'up'),
};

function workload(name: string, measure: Measure): Workload<RelaySubject> {
  return {
    name,
    subjects: [ourRelayBack, ourRelay],
    targets: [{ peer: ourRelay.name, atLeast: 0.95 }],
    measure,
  };
}

export const relayBack: Scenario = {
  name: 'relay-back',
  title: 'Relay: dial-back',
  description: `The daemon asks the agent for each connection, and the agent opens it; for comparison, the other relays are dialled. Messages from flooding agents, and MiB one way, as in relay-flood and relay-bulk. ${OUTPACED}`,
  unit: 'messages or MiB',
  baseline: ourRelay.name,
  workloads: Object.entries(MEASURES).map(([name, measure]) => workload(name, measure)),
};
