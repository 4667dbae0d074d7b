/** The machines as signals, fed by the connection. With an older daemon, which tells of none, there seems to be one. */
import { computed, effect, signal } from '@preact/signals';
import { Feature, type Node } from '../../protocol/registry.ts';
import { daemon, listen, live, request } from './connection.ts';
import { dialog } from './dialogs.ts';
import { nodes } from './fleet.ts';
import { innerMachineOf, type Machines, machineNameOf, machinesAfter, machinesOf } from './machines.ts';
import { grouping } from './prefs.ts';

/** None if the daemon tells of none. */
export const machines = signal<Machines>(new Map());

const granted = computed(() => daemon.value.features.includes(Feature.MACHINES));
/** Whether the daemon has named its features, without this one. */
const refused = computed(() => daemon.value.features.length > 0 && !granted.value);

function ask(): void {
  request('list_machines', {}).then(
    (list) => {
      machines.value = machinesOf(list);
    },
    () => {},
  );
}

effect(() => {
  if (refused.value) machines.value = new Map();
  if (granted.value) ask();
});

/** The daemon pushes the load of other machines, not its own: that is asked for while somebody sees it. */
const ASK_MS = 10_000;
const seesLoad = computed(
  () => grouping.value === 'machine' || dialog.value === 'machines' || dialog.value === 'spawn',
);
effect(() => {
  if (!granted.value || !seesLoad.value) return;
  ask();
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') ask();
  }, ASK_MS);
  return () => clearInterval(timer);
});

listen({
  push(push) {
    switch (push.event) {
      case 'machine_joined':
      case 'machine_updated':
      case 'machine_left':
        machines.value = machinesAfter(machines.peek(), push);
    }
  },
});

/** The name of the daemon's own machine; null if it does not say. */
export const hereName = computed(() => {
  for (const { here, name } of machines.value.values()) if (here) return name;
  return null;
});

/** By name, as nodes and groups have it. */
export const machineCalled = computed(() => new Map([...machines.value.values()].map((each) => [each.name, each])));

/** The names of those whose connection is lost. The very same set until one comes or goes. */
let lastLost: ReadonlySet<string> = new Set();
const lost = computed(() => {
  const now = new Set<string>();
  for (const { name, status } of machines.value.values()) if (status === 'lost') now.add(name);
  if (now.size !== lastLost.size || ![...now].every((name) => lastLost.has(name))) lastLost = now;
  return lastLost;
});

export const lostCount = computed(() => lost.value.size);

/** Whether the agent's hub is out of reach, so that the roster has only the last known state of the agent. */
export const isCutOff = (node: Node): boolean => node.hub !== undefined && lost.value.has(node.hub);

/** Whether the agent's present standing is known. */
export const isKnown = (node: Node): boolean => live.value && !isCutOff(node);

/** Whether agents are on more than one machine, or on another than the daemon's own. */
const hasMachines = computed(() => {
  let first: string | null = null;
  const here = hereName.value;
  for (const node of nodes.value.values()) {
    if (node.hub !== undefined) return true;
    const name = machineNameOf(node, here);
    first ??= name;
    if (name !== first) return true;
  }
  return false;
});

/** How many agents of each machine the roster has, by its name. */
export const agentCounts = computed(() => {
  const counts = new Map<string, number>();
  const here = hereName.value;
  for (const node of nodes.value.values()) {
    const name = machineNameOf(node, here);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
});

/**
 * The machine to show beside an agent, in words; null for none.
 *
 * @param isGrouped whether its group names the machine already
 */
export function machineShownOf(node: Node, isGrouped: boolean): string | null {
  const inner = innerMachineOf(node);
  if (isGrouped) return inner;
  if (!hasMachines.value) return null;
  const name = machineNameOf(node, hereName.value);
  const full = inner === null ? name : `${name} (${inner})`;
  return isCutOff(node) ? `${full} is not connected` : full;
}
