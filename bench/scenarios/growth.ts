/** The cost of each task of a hub, among few nodes and among many. */
import { REGISTRY_PATH } from '../../src/protocol/registry.ts';
import { Load } from '../load/process.ts';
import type { Counted, Counting } from '../load/window.ts';
import { measurementOf } from '../measuring.ts';
import { number } from '../report/format.ts';
import type { Measurement, Scenario, Window, Workload } from '../scenario.ts';
import { ourRegistry, type RegistrySubject, startWithAgents, wsRegistry } from '../subjects/registry.ts';
import { ourRelayAmong, type RelaySubject } from '../subjects/relay.ts';
import { KIBIBYTE } from '../units.ts';
import { measureBulk } from './relay-bulk.ts';
import { measureFlood } from './relay-flood.ts';
import { measurePingPong } from './relay-ping-pong.ts';
import { measureStream, STREAMS_AT_ONCE } from './relay-stream.ts';
import { OUTPACED } from './relays.ts';

const MANY = 10_000;
/** The size of a roster, and the seconds that it takes to fill and to measure. */
type Size = readonly [nodes: number, seconds: number];
const SIZES: readonly Size[] = [
  [100, 3],
  [1000, 3.5],
  [MANY, 10],
];
const DASHBOARDS = 100;
const AT_A_TIME = 8;
const RELAYS = 32;
const BULK_RELAYS = 8;
const DELTAS_PER_SECOND = 200;
/** Many times as many as are under way at a time, so that the part in the window is known well enough. */
const LEAST_WORK = 50;

/** Does one task again and again on a server of some size. Its work is the number of times. */
type Act = (load: Load, counting: Counting & { port: number }, nodes: number) => Promise<Counted>;

const register: Act = async (load, counting) => {
  await load.tell('watch', { port: counting.port, connections: DASHBOARDS });
  return load.tell('churn', { ...counting, atATime: AT_A_TIME });
};

const event: Act = async (load, counting) => {
  await load.tell('watch', { port: counting.port, connections: DASHBOARDS });
  const driver = { path: REGISTRY_PATH, form: 'register', eventsPerWrite: 1 } as const;
  const leastWork = LEAST_WORK * DASHBOARDS;
  const counted = await load.tell('drive', { ...counting, leastWork, ...driver });
  return { ...counted, work: counted.work / DASHBOARDS };
};

const arrival: Act = (load, counting, nodes) => load.tell('visit', { ...counting, atATime: AT_A_TIME, nodes });

const handshake: Act = (load, counting) =>
  load.tell('shakeHands', { ...counting, path: REGISTRY_PATH, atATime: AT_A_TIME });

function workload(curve: string, [nodes, seconds]: Size): Omit<Workload, 'subjects' | 'measure'> {
  return {
    name: `${curve}, ${number(nodes)} nodes`,
    targets: [],
    maxRounds: nodes < MANY ? 2 : 1,
    seconds,
    point: { curve, x: nodes },
  };
}

function acts(curve: string, act: Act, quick = false): Workload<RegistrySubject>[] {
  return SIZES.map((size) => ({
    ...workload(curve, size),
    subjects: [ourRegistry, wsRegistry],
    quick: quick && size[0] < MANY && [ourRegistry.name],
    async measure(subject, window) {
      const [nodes] = size;
      const server = await startWithAgents(subject, nodes);
      const { port } = server;
      const counting = { port, pids: await server.pids(), leastWork: LEAST_WORK, ...window };
      return measurementOf(server, await act(new Load(), counting, nodes));
    },
  }));
}

type Relay = (subject: RelaySubject, window: Window) => Promise<Measurement>;

function relays(curve: string, relay: Relay): Workload<RelaySubject>[] {
  return SIZES.map((size) => ({
    ...workload(curve, size),
    subjects: [ourRelayAmong(size[0])],
    measure: relay,
  }));
}

export const growth: Scenario = {
  name: 'growth',
  title: 'Growth',
  description: `The given number of agents is connected and in the roster, held by a separate process. Register: agents connect, register, deregister and go, ${AT_A_TIME} at a time, while ${DASHBOARDS} dashboards watch. Event: an agent registers anew, and again once all ${DASHBOARDS} dashboards have been told. Dashboard: dashboards connect, get the roster and go, ${AT_A_TIME} at a time. Handshake: agents connect, shake hands and go, ${AT_A_TIME} at a time. A measurement of these four lasts until at least ${LEAST_WORK} are done. Like the original, the ws registry sends the roster to every client that shakes hands, and every event to agents too; the daemon sends an agent a large roster only if the agent stays without registering. The ws registry relays nothing, so the other curves show the daemon alone, with one more agent for the relays: round trips of 100 B and floods of 100 B messages, one a write, over ${RELAYS} relays; deltas, ${STREAMS_AT_ONCE} × ${DELTAS_PER_SECOND}/s; MiB in messages of 64 KiB over ${BULK_RELAYS} relays. They are written as in their own scenarios, where floods use more relays and each message costs more. For floods and MiB: ${OUTPACED}`,
  unit: 'times',
  baseline: wsRegistry.name,
  workloads: [
    ...acts('register', register, true),
    ...acts('event', event, true),
    ...acts('dashboard', arrival),
    ...acts('handshake', handshake),
    ...relays('round trip', (subject, window) => measurePingPong(subject, window, RELAYS)),
    ...relays('delta', (subject, window) => measureStream(subject, window, [100], DELTAS_PER_SECOND)),
    ...relays('message of a flood', (subject, window) => measureFlood(subject, window, RELAYS, 1)),
    ...relays('MiB down', (subject, window) => measureBulk(subject, window, BULK_RELAYS, 64 * KIBIBYTE, 'down')),
    ...relays('MiB up', (subject, window) => measureBulk(subject, window, BULK_RELAYS, 64 * KIBIBYTE, 'up')),
  ],
};
