/** The machines whose hubs the daemon knows: its own first. Pure. */
import { HubFeature, type Machine, type MachineEvent } from '../../protocol/hub.ts';
import type { Node } from '../../protocol/registry.ts';

/** By id. */
export type Machines = ReadonlyMap<string, Machine>;

export const machinesOf = (list: readonly Machine[]): Machines => new Map(list.map((machine) => [machine.id, machine]));

/** @returns the very same map if nothing changed */
export function machinesAfter(machines: Machines, event: MachineEvent): Machines {
  if (event.event !== 'machine_left') return new Map(machines).set(event.machine.id, event.machine);
  if (!machines.has(event.id)) return machines;
  const next = new Map(machines);
  next.delete(event.id);
  return next;
}

/** In the order in which people look for them: the daemon's own, then by name. */
export const inOrder = (machines: Machines): Machine[] =>
  [...machines.values()].sort(
    (a, b) => Number(b.here ?? false) - Number(a.here ?? false) || a.name.localeCompare(b.name, undefined, NUMERIC),
  );
const NUMERIC = { numeric: true, sensitivity: 'base' } as const;

/** The machines on which callers may start agents, also those whose connection is lost. */
export const startable = (machines: Machines): Machine[] =>
  inOrder(machines).filter(({ features }) => features.includes(HubFeature.SPAWN));

/**
 * The machine to begin with: the one that was chosen last, unless it is gone or not connected.
 *
 * @param last its id; null for the daemon's own
 */
export function firstChoice(choices: readonly Machine[], last: string | null): Machine | null {
  const connected = choices.filter(({ status }) => status === 'connected');
  return connected.find(({ id }) => id === last) ?? connected[0] ?? choices[0] ?? null;
}

/** What callers may not do there, in words; empty if they may do all. */
export function withheld({ features }: Machine): string[] {
  return Object.values(HubFeature)
    .filter((feature) => !features.includes(feature))
    .map((feature) => WITHHELD[feature]);
}
const WITHHELD: Record<HubFeature, string> = {
  roster: 'show its agents',
  relay: 'let anybody talk to its agents',
  spawn: 'let agents be started',
};

/** `localhost` says nothing on another machine. */
export const isLoopback = (name: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/i.test(name);

/** The daemon's own machine: the name of its hub, and of the host, if that is another. */
export interface Here {
  name: string;
  host: string | null;
}

/**
 * The machine that an agent is on, for people: the one whose hub it registered with, or the one it named itself.
 *
 * @param here null if the daemon does not say
 */
export function machineNameOf({ hub, machine }: Node, here: Here | null): string {
  if (hub !== undefined) return hub;
  return here !== null && (isLoopback(machine) || machine === here.host) ? here.name : machine;
}

/** Whether the agent registered with the hub of one of these machines. */
export const isOnOneOf = (names: ReadonlySet<string>, { hub }: Node): boolean => hub !== undefined && names.has(hub);

/** The machine that an agent named, if it says more than that of its hub; null if not. */
export function innerMachineOf({ hub, machine }: Node): string | null {
  if (hub === undefined || isLoopback(machine)) return null;
  // Of two machines called `laptop`, the second is `laptop-2` here.
  return hub === machine || hub.replace(/-\d+$/, '') === machine ? null : machine;
}

/** The id that an agent has at its hub, if it is not the one it has here; null if it is. */
export function idAtHub({ hub, id }: Node): string | null {
  if (hub === undefined) return null;
  const at = id.lastIndexOf(`@${hub}`);
  // A number follows if even that id was taken.
  return at > 0 && /^(-\d+)?$/.test(id.slice(at + hub.length + 1)) ? id.slice(0, at) : null;
}
