/** The cost of a register, with its events, while the roster grows. */
import { Load } from '../load/process.ts';
import type { Storm } from '../load/registry-commands.ts';
import { measurementOf } from '../measuring.ts';
import { number } from '../report/format.ts';
import type { Scenario, Target, Workload } from '../scenario.ts';
import { agentNodes, ourRegistry, type RegistrySubject, wsRegistry } from '../subjects/registry.ts';

const DASHBOARDS = 100;
/** The number that comes and goes before the measurement. */
const WARM_UP_AGENTS = 1000;
const AT_A_TIME = 64;
/** With the original's behaviour the cost grows with the square. */
const MAX_UNSAMPLED = 1000;
const SAMPLES = 20;

const FLATNESS = 'cost, last thousand ÷ first';
/** Without the first thousand, who get the roster when they connect, as long as it is small. */
const FLATNESS_FROM_SECOND = 'cost, last thousand ÷ second';
const BYTES_TO_AGENT = 'bytes to an agent, last thousand ÷ second';
const BYTES = 'bytes';
const SECOND_INITS = 'second inits';

const NOTHING_SKIPPED: Target = { figure: SECOND_INITS, atMost: 0 };
const FLAT: Target[] = [
  { figure: FLATNESS, atMost: 1.2 },
  { figure: FLATNESS_FROM_SECOND, atMost: 1.2 },
  { figure: BYTES_TO_AGENT, atMost: 1 },
];
const FEW_BYTES: Target = { peer: wsRegistry.name, figure: BYTES, atMost: 1 / 50 };

type Options = Pick<Workload<RegistrySubject>, 'subjects' | 'targets' | 'quick' | 'maxRounds' | 'seconds'>;

const BOTH = [ourRegistry, wsRegistry];

const LARGE = { maxRounds: 2, seconds: 10 };

function workload(agents: number, atATime: number, options: Options): Workload<RegistrySubject> {
  const curve = atATime === agents ? 'all at once' : `${atATime} at a time`;
  return {
    ...options,
    name: `${number(agents)} agents, ${curve}`,
    point: { curve, x: agents },
    async measure(subject) {
      const load = new Load();
      const server = await subject.start();
      const { port } = server;
      await load.tell('comeAndGo', { port, agents: WARM_UP_AGENTS });
      await load.tell('watch', { port, connections: DASHBOARDS });
      const pids = await server.pids();
      const nodes = agentNodes(agents);
      const isSampled = subject === wsRegistry && agents > MAX_UNSAMPLED;
      const storm = isSampled
        ? await load.tell('sampledStorm', { port, nodes, samples: SAMPLES, pids })
        : await load.tell('storm', { port, nodes, atATime, pids });
      // If all come at once, the first thousand's cost includes all handshakes.
      const flatness = atATime < agents ? flatnessOf(storm) : {};
      return measurementOf(server, storm, { ...flatness, [BYTES]: storm.bytes, [SECOND_INITS]: storm.secondInits });
    },
  };
}

/** Empty for a storm that ends before its second thousand. */
function flatnessOf({ costs, bytesToSecond, bytesToLast }: Storm): Record<string, number> {
  const [first, second] = costs;
  if (first === undefined || second === undefined) return {};
  const last = costs.at(-1) as number;
  return {
    [FLATNESS]: last / first,
    [FLATNESS_FROM_SECOND]: last / second,
    'microseconds, first thousand': first,
    'microseconds, last thousand': last,
    [BYTES_TO_AGENT]: bytesToLast / bytesToSecond,
  };
}

export const registryStorm: Scenario = {
  name: 'registry-storm',
  title: 'Register storm',
  description: `Agents connect, register and stay, while ${DASHBOARDS} dashboards watch: the given number is under way at any moment, and the next one comes once one is registered. (If all come at once, the cost of the first thousand includes the handshakes of all. So the cost of a register is judged by agents that come in turn.) The storm lasts until all dashboards have been told of all agents, and counts all bytes that the server has sent. Before it, ${number(WARM_UP_AGENTS)} agents have come and gone. The latency lasts from the first byte of a connection to the answer to its register. A client that is silent for 200 ms is sent the roster. If all agents come at once from one process, many of them register later than that, and get it. The ws registry works like the original: all connections, also those of agents, get the whole roster and every push. At 10,000 agents such a storm takes minutes, so in the middle of each thousand ${SAMPLES} registers are measured, and stand for all of them.`,
  unit: 'registers',
  baseline: wsRegistry.name,
  workloads: [
    workload(100, AT_A_TIME, { subjects: BOTH, targets: [NOTHING_SKIPPED], seconds: 3 }),
    workload(1000, AT_A_TIME, {
      subjects: BOTH,
      targets: [NOTHING_SKIPPED],
      quick: [ourRegistry.name],
      seconds: 4,
    }),
    workload(10_000, AT_A_TIME, { subjects: BOTH, targets: [...FLAT, FEW_BYTES, NOTHING_SKIPPED], ...LARGE }),
    workload(100, 100, { subjects: [ourRegistry], targets: [NOTHING_SKIPPED], seconds: 3 }),
    workload(1000, 1000, { subjects: [ourRegistry], targets: [NOTHING_SKIPPED], seconds: 4 }),
    workload(10_000, 10_000, { subjects: [ourRegistry], targets: [NOTHING_SKIPPED], ...LARGE }),
  ],
};
