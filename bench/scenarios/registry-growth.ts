/** What each thing that a hub does costs among few nodes and among many. */
import { REGISTRY_PATH, RELAY_PATH_PREFIX } from '../../src/protocol/registry.ts';
import { Load } from '../load/process.ts';
import type { Counted, Counting } from '../load/window.ts';
import { measurementOf } from '../measuring.ts';
import { number } from '../report/format.ts';
import type { Scenario, Workload } from '../scenario.ts';
import { ourRegistry, type RegistrySubject, startWithAgents, wsRegistry } from '../subjects/registry.ts';
import { texts } from './relays.ts';

/** Of the roster, and how many seconds it takes to fill and to measure. */
const SIZES: readonly [nodes: number, seconds: number][] = [
  [100, 3],
  [1000, 3.5],
  [10_000, 10],
];
const DASHBOARDS = 100;
const AT_A_TIME = 8;
const RELAYS = 32;
/** Many times as many as are under way at a time: what of it fell into the window is known well enough. */
const LEAST_WORK = 50;

/** Does one thing again and again on a server of some size. Its work is in times that it was done. */
type Act = (load: Load, counting: Counting & { port: number }, nodes: number) => Promise<Counted>;

const register: Act = async (load, counting) => {
  await load.tell('watch', { port: counting.port, connections: DASHBOARDS });
  return load.tell('churn', { ...counting, atATime: AT_A_TIME });
};

const broadcast: Act = async (load, counting) => {
  await load.tell('watch', { port: counting.port, connections: DASHBOARDS });
  const driver = { path: REGISTRY_PATH, form: 'register', eventsPerWrite: 1 } as const;
  const leastWork = LEAST_WORK * DASHBOARDS;
  const counted = await load.tell('drive', { ...counting, leastWork, ...driver });
  return { ...counted, work: counted.work / DASHBOARDS };
};

const arrival: Act = (load, counting, nodes) => load.tell('visit', { ...counting, atATime: AT_A_TIME, nodes });

const handshake: Act = (load, counting) =>
  load.tell('shakeHands', { ...counting, path: REGISTRY_PATH, atATime: AT_A_TIME });

const roundTrip: Act = async (load, counting) => {
  const pattern = texts(100);
  const agent = new Load();
  const [agentPort] = await agent.tell('serve', { agents: 1, answers: true, pattern });
  await agent.tell('register', { port: counting.port, nodes: [{ id: 'answers', port: agentPort as number }] });
  const paths = [`${RELAY_PATH_PREFIX}answers`];
  await load.tell('connect', { port: counting.port, paths, connections: RELAYS, pattern });
  return load.tell('roundTrips', counting);
};

function workloads(curve: string, act: Act, subjects = [ourRegistry, wsRegistry]): Workload<RegistrySubject>[] {
  return SIZES.map(([nodes, seconds]) => ({
    name: `${curve}, ${number(nodes)} nodes`,
    subjects,
    targets: [],
    maxRounds: nodes > 1000 ? 1 : 2,
    seconds,
    point: { curve, x: nodes },
    async measure(subject, window) {
      const server = await startWithAgents(subject, nodes);
      const { port } = server;
      const counted = await act(
        new Load(),
        { port, pids: await server.pids(), leastWork: LEAST_WORK, ...window },
        nodes,
      );
      return measurementOf(server, counted);
    },
  }));
}

export const registryGrowth: Scenario = {
  name: 'registry-growth',
  title: 'Growth',
  description: `So many agents are connected and in the roster; each measurement lasts until ${LEAST_WORK} times are done. Register: agents connect, register, deregister and go, ${AT_A_TIME} at a time, while ${DASHBOARDS} dashboards watch. Event: an agent registers anew, and does so again once ${DASHBOARDS} dashboards have been told. Dashboard: dashboards connect, get the roster and go, ${AT_A_TIME} at a time. Handshake: agents connect, shake hands and go, ${AT_A_TIME} at a time. Round trip: a message of 100 B to an agent and its answer, ${RELAYS} relays at a time; the ws registry relays nothing. As the original, it sends the roster to whoever shakes hands, and every event to agents too; here an agent is sent a large roster only where it stays without registering.`,
  unit: 'times',
  baseline: wsRegistry.name,
  workloads: [
    ...workloads('register', register),
    ...workloads('event', broadcast),
    ...workloads('dashboard', arrival),
    ...workloads('handshake', handshake),
    ...workloads('round trip', roundTrip, [ourRegistry]),
  ],
};
