/** One event, many dashboards: the cost of each push, alone and in a burst. */
import { EVENT_BYTES } from '../load/driver.ts';
import { Load } from '../load/process.ts';
import { measurementOf } from '../measuring.ts';
import type { Scenario, Target, Workload } from '../scenario.ts';
import { type BroadcastSubject, bunBroadcast, netBroadcast, ourBroadcast, wsBroadcast } from '../subjects/broadcast.ts';
import { YARDSTICK } from '../subjects/yardstick.ts';

const BURST = 16;
/** Where the yardstick is shown. */
const YARDSTICK_AT = 1000;

const SINGLE_TARGETS: Target[] = [{ peer: wsBroadcast.name, atLeast: 1.2 }];
const BURST_TARGETS: Target[] = [
  { peer: wsBroadcast.name, atLeast: 15 },
  { peer: bunBroadcast.name, atLeast: 0.95 },
];

function workload(
  dashboards: number,
  eventsPerWrite: number,
  quick: readonly string[] | false = false,
): Workload<BroadcastSubject> {
  const isBurst = eventsPerWrite > 1;
  return {
    name: `${dashboards.toLocaleString('en-US')} dashboards, ${isBurst ? `bursts of ${eventsPerWrite}` : 'single'}`,
    subjects: [ourBroadcast, wsBroadcast, bunBroadcast, ...(dashboards === YARDSTICK_AT ? [netBroadcast] : [])],
    targets: isBurst ? BURST_TARGETS : SINGLE_TARGETS,
    quick,
    async measure({ start, driver }, window) {
      const load = new Load();
      const server = await start();
      const { port } = server;
      await load.tell('watch', { port, connections: dashboards });
      const pids = await server.pids();
      return measurementOf(server, await load.tell('drive', { port, ...driver, eventsPerWrite, pids, ...window }));
    },
  };
}

export const registryBroadcast: Scenario = {
  name: 'registry-broadcast',
  title: 'Broadcast',
  description: `Pushes of ${EVENT_BYTES} B to all dashboards. A driver sends one message for each event, ${BURST} in one write for a burst, and the next once every dashboard has all of them; the latency is that until the last one has. Here its message is an agent's registration, parsed, checked, entered in the roster and encoded as a push; at the peers it is the push itself, handed on as it came. At ${YARDSTICK.name}, the yardstick, it is the very frame, written to each socket as it came.`,
  unit: 'pushes',
  baseline: wsBroadcast.name,
  workloads: [
    workload(100, 1),
    workload(100, BURST),
    workload(1000, 1, [ourBroadcast.name, wsBroadcast.name]),
    workload(1000, BURST, [ourBroadcast.name, wsBroadcast.name, bunBroadcast.name]),
    workload(5000, 1),
    workload(5000, BURST),
  ],
};
