/** On which machines the agents are, as signals. */
import { computed } from '@preact/signals';
import type { Node } from '../../protocol/registry.ts';
import { nodes } from './fleet.ts';
import { innerMachineOf, machineNameOf } from './machines.ts';
import { here, isCutOff } from './network.ts';

/** Whether agents are on more than one machine, or on another than the daemon's own. */
const hasMachines = computed(() => {
  let first: string | null = null;
  const own = here.value;
  for (const node of nodes.value.values()) {
    if (node.hub !== undefined) return true;
    const name = machineNameOf(node, own);
    first ??= name;
    if (name !== first) return true;
  }
  return false;
});

/** How many agents of each machine the roster has, by its name. */
export const agentCounts = computed(() => {
  const counts = new Map<string, number>();
  const own = here.value;
  for (const node of nodes.value.values()) {
    const name = machineNameOf(node, own);
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
  const name = machineNameOf(node, here.value);
  const full = inner === null ? name : `${name} (${inner})`;
  return isCutOff(node) ? `${full} is not connected` : full;
}
