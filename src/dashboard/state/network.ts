/** The machines as signals, fed by the connection. With an older daemon, which tells of none, there seems to be one. */
import { computed, effect, signal } from '@preact/signals';
import type { Machine } from '../../protocol/hub.ts';
import { Feature, type Node } from '../../protocol/registry.ts';
import { daemon, listen, live, request } from './connection.ts';
import { dialog } from './dialogs.ts';
import { type Here, isOnOneOf, type Machines, machinesAfter, machinesOf } from './machines.ts';
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

const hereName = computed(() => ownMachine()?.name ?? null);
const hereHost = computed(() => ownMachine()?.host ?? null);
/** The daemon's own machine; null if it does not say. The very same until its name is another. */
export const here = computed<Here | null>(() =>
  hereName.value === null ? null : { name: hereName.value, host: hereHost.value },
);

function ownMachine(): Machine | undefined {
  for (const machine of machines.value.values()) if (machine.here) return machine;
  return undefined;
}

/** By name, as nodes and groups have it. */
export const machineCalled = computed(() => new Map([...machines.value.values()].map((each) => [each.name, each])));

/** The names of those whose connection is lost. The very same set until one comes or goes. */
let lastLost: ReadonlySet<string> = new Set();
export const lostMachines = computed(() => {
  const now = new Set<string>();
  for (const { name, status } of machines.value.values()) if (status === 'lost') now.add(name);
  if (now.size !== lastLost.size || ![...now].every((name) => lastLost.has(name))) lastLost = now;
  return lastLost;
});

export const lostCount = computed(() => lostMachines.value.size);

/** Whether the agent's hub is out of reach, so that the roster has only the last known state of the agent. */
export const isCutOff = (node: Node): boolean => isOnOneOf(lostMachines.value, node);

/** Whether the agent's present standing is known. */
export const isKnown = (node: Node): boolean => live.value && !isCutOff(node);
