/** One event, many dashboards: the cost of each push, alone and in a burst. */
import { EVENT_BYTES } from '../load/driver.ts';
import { Load } from '../load/process.ts';
import { measurementOf } from '../measuring.ts';
import { shareProcessor } from '../processor.ts';
import type { Scenario, Target, Workload } from '../scenario.ts';
import { type BroadcastSubject, bunBroadcast, netBroadcast, ourBroadcast, wsBroadcast } from '../subjects/broadcast.ts';
import { YARDSTICK } from '../subjects/yardstick.ts';

const BURST = 16;
/** Before the others come: a server is compiled as it runs, and to thousands it would tell few events in that time. */
const FIRST_DASHBOARDS = 10;
const WARM_UP_EVENTS = 10_000;

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
    subjects: [ourBroadcast, wsBroadcast, bunBroadcast, netBroadcast],
    targets: isBurst ? BURST_TARGETS : SINGLE_TARGETS,
    quick,
    seconds: 4,
    async measure({ start, driver }, window) {
      const load = new Load();
      const server = await start();
      const { port } = server;
      const pids = await server.pids();
      await shareProcessor([...pids, load.pid]);
      const drive = { port, ...driver, eventsPerWrite, pids };
      await load.tell('watch', { port, connections: FIRST_DASHBOARDS });
      await load.tell('drive', { ...drive, warmUpMs: 0, warmUpWork: WARM_UP_EVENTS * FIRST_DASHBOARDS, windowMs: 0 });
      await load.tell('watch', { port, connections: dashboards - FIRST_DASHBOARDS });
      return measurementOf(server, await load.tell('drive', { ...drive, ...window }));
    },
  };
}

export const registryBroadcast: Scenario = {
  name: 'registry-broadcast',
  title: 'Broadcast',
  description: `Pushes of ${EVENT_BYTES} B to all dashboards. A driver sends one message for each event, ${BURST} in one write for a burst, and the next once every dashboard has all of them; the latency lasts until the last one has. For the daemon that message is an agent's registration, which it parses, checks, enters in the roster and encodes as a push; for the peers it is the push itself, which they pass on as it came. For the yardstick, ${YARDSTICK.name}, it is the finished frame, which it writes to each socket as it came. Load and server share one processor. The warm-up is ${WARM_UP_EVENTS.toLocaleString('en-US')} events to ${FIRST_DASHBOARDS} dashboards, before the others come.`,
  unit: 'pushes',
  baseline: wsBroadcast.name,
  workloads: [
    workload(100, 1),
    workload(100, BURST),
    workload(1000, 1),
    workload(1000, BURST, [ourBroadcast.name, wsBroadcast.name]),
    workload(5000, 1),
    workload(5000, BURST),
  ],
};
