/** The daemon is killed and started again, and everyone comes back. */

import { Load } from '../load/process.ts';
import { measurementOf } from '../measuring.ts';
import { number } from '../report/format.ts';
import type { Scenario, Workload } from '../scenario.ts';
import { agentNodes, ourRegistry, type RegistrySubject, wsRegistry } from '../subjects/registry.ts';
import { killServer } from '../subjects/server.ts';

const DASHBOARDS = 100;

function workload(agents: number, subjects: RegistrySubject[], seconds: number): Workload<RegistrySubject> {
  return {
    name: `${number(agents)} agents`,
    subjects,
    targets: [{ figure: 'second inits', atMost: 0 }],
    maxRounds: 2,
    point: { curve: 'come back', x: agents },
    seconds,
    async measure(subject) {
      const load = new Load();
      const before = await subject.start();
      const { port } = before;
      const nodes = agentNodes(agents);
      await load.tell('register', { port, nodes });
      await load.tell('watch', { port, connections: DASHBOARDS });
      await load.tell('letEnd', undefined);
      await killServer(before);
      const server = await subject.start(port);
      const pids = await server.pids();
      const everyone = agents + DASHBOARDS;
      const storm = await load.tell('storm', { port, nodes, dashboards: DASHBOARDS, atATime: everyone, pids });
      return measurementOf(server, storm, { bytes: storm.bytes, 'second inits': storm.secondInits });
    },
  };
}

export const registryRestart: Scenario = {
  name: 'registry-restart',
  title: 'Everyone comes back',
  description: `A server with agents and ${DASHBOARDS} dashboards is killed (SIGKILL) and started again on the same port. Then all of them connect at the same moment, the dashboards spread evenly among the agents. The measurement lasts until every dashboard knows every agent. All dashboards read all of their rosters and pushes. An agent's latency lasts from that moment until it is registered. A client that is silent for 200 ms is sent the roster. All agents come from one process, so many of them register later than that, and get it.`,
  unit: 'registers',
  baseline: wsRegistry.name,
  workloads: [
    workload(100, [ourRegistry, wsRegistry], 4),
    workload(1000, [ourRegistry, wsRegistry], 6),
    workload(10_000, [ourRegistry], 15),
  ],
};
