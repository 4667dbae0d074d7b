/** The cost of a large roster for dashboards that connect at once. */
import { Load } from '../load/process.ts';
import { measurementOf } from '../measuring.ts';
import { number } from '../report/format.ts';
import type { Scenario, Workload } from '../scenario.ts';
import { ourRegistry, type RegistrySubject, startWithAgents, wsRegistry } from '../subjects/registry.ts';

const DASHBOARDS = 1000;

function workload(agents: number, atLeast: number | null, seconds: number, quick = false): Workload<RegistrySubject> {
  return {
    name: `${number(DASHBOARDS)} dashboards, ${number(agents)} nodes`,
    subjects: [ourRegistry, wsRegistry],
    targets: atLeast === null ? [] : [{ peer: wsRegistry.name, atLeast }],
    quick,
    maxRounds: 2,
    seconds,
    async measure(subject) {
      const server = await startWithAgents(subject, agents);
      const load = new Load();
      const { port } = server;
      const pids = await server.pids();
      const counted = await load.tell('arrive', { port, connections: DASHBOARDS, nodes: agents, pids });
      await load.tell('settle', { activeNodes: agents });
      return measurementOf(server, counted, { bytes: counted.bytes });
    },
  };
}

export const registryDashboards: Scenario = {
  name: 'registry-dashboards',
  title: 'Dashboards arrive',
  description: `${number(DASHBOARDS)} dashboards connect at the same moment to a server with the given number of agents, connected and in its roster, and each gets the whole roster. The latency lasts from a dashboard's first byte to the last of its roster.`,
  unit: 'dashboards',
  baseline: wsRegistry.name,
  workloads: [workload(1000, null, 4, true), workload(10_000, 20, 11)],
};
