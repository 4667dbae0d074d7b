/** What each thing that a hub does costs among few nodes and among many. */
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
/** Of the roster, and how many seconds it takes to fill and to measure. */
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
/** Many times as many as are under way at a time: what of it fell into the window is known well enough. */
const LEAST_WORK = 50;

/** Does one thing again and again on a server of some size. Its work is in times that it was done. */
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
  description: `So many agents are connected and in the roster, held by a process of their own. Register: agents connect, register, deregister and go, ${AT_A_TIME} at a time, while ${DASHBOARDS} dashboards watch. Event: an agent registers anew, and does so again once ${DASHBOARDS} dashboards have been told. Dashboard: dashboards connect, get the roster and go, ${AT_A_TIME} at a time. Handshake: agents connect, shake hands and go, ${AT_A_TIME} at a time. Of these four a measurement lasts until ${LEAST_WORK} are done at the least. As the original, the ws registry sends the roster to whoever shakes hands, and every event to agents too; here an agent is sent a large roster only where it stays without registering. The ws registry relays nothing, so the other curves are of the daemon alone, with one more agent that is relayed to: round trips of 100 B and messages of 100 B that flood, one a write, over ${RELAYS} relays; deltas, ${STREAMS_AT_ONCE} × ${DELTAS_PER_SECOND}/s; MiB in messages of 64 KiB over ${BULK_RELAYS} relays. They are written as in the scenarios of their own, where floods go over more relays and each costs more. Of floods and MiB: ${OUTPACED}`,
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
