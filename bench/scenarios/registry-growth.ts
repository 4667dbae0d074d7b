/** What a register, an event and a dashboard cost among few nodes and among many. */
import { REGISTRY_PATH } from '../../src/protocol/registry.ts';
import { Load } from '../load/process.ts';
import type { Counted, Counting } from '../load/window.ts';
import { measurementOf } from '../measuring.ts';
import { number } from '../report/format.ts';
import type { Scenario, Workload } from '../scenario.ts';
import { ourRegistry, type RegistrySubject, startWithAgents, wsRegistry } from '../subjects/registry.ts';

/** Of the roster, and how many seconds it takes to fill and to measure. */
const SIZES: readonly [nodes: number, seconds: number][] = [
  [100, 3],
  [1000, 3.5],
  [10_000, 10],
];
const DASHBOARDS = 100;
const AT_A_TIME = 8;

/** Does one thing again and again on a server of some size. Its work is in times that it was done. */
type Act = (load: Load, counting: Counting & { port: number }) => Promise<Counted>;

const register: Act = async (load, counting) => {
  await load.tell('watch', { port: counting.port, connections: DASHBOARDS });
  return load.tell('churn', { ...counting, atATime: AT_A_TIME });
};

const broadcast: Act = async (load, counting) => {
  await load.tell('watch', { port: counting.port, connections: DASHBOARDS });
  const driver = { path: REGISTRY_PATH, form: 'register', eventsPerWrite: 1 } as const;
  const counted = await load.tell('drive', { ...counting, ...driver });
  return { ...counted, work: counted.work / DASHBOARDS };
};

const arrival: Act = (load, counting) => load.tell('visit', { ...counting, atATime: AT_A_TIME });

function workloads(curve: string, act: Act): Workload<RegistrySubject>[] {
  return SIZES.map(([nodes, seconds]) => ({
    name: `${curve}, ${number(nodes)} nodes`,
    subjects: [ourRegistry, wsRegistry],
    targets: [],
    maxRounds: nodes > 1000 ? 1 : 2,
    seconds,
    point: { curve, x: nodes },
    async measure(subject, window) {
      const server = await startWithAgents(subject, nodes);
      const { port } = server;
      const counted = await act(new Load(), { port, pids: await server.pids(), ...window });
      return measurementOf(server, counted);
    },
  }));
}

export const registryGrowth: Scenario = {
  name: 'registry-growth',
  title: 'Growth',
  description: `So many agents are connected and in the roster. Register: agents connect, register, deregister and go, ${AT_A_TIME} at a time, while ${DASHBOARDS} dashboards watch. Event: an agent registers anew, and does so again once ${DASHBOARDS} dashboards have been told. Dashboard: dashboards connect, get the roster and go, ${AT_A_TIME} at a time.`,
  unit: 'times',
  baseline: wsRegistry.name,
  workloads: [...workloads('register', register), ...workloads('event', broadcast), ...workloads('dashboard', arrival)],
};
