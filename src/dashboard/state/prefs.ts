/** A person's choices, kept in this browser. */
import { effect, type Signal, signal } from '@preact/signals';
import { load, save } from '../platform/storage.ts';
import type { Grouping } from './rows.ts';

/**
 * A choice that is kept.
 *
 * @param read turns the stored value, or undefined, into a valid one
 */
export function pref<T>(key: string, read: (stored: unknown) => T): Signal<T> {
  const choice = signal(read(load(`hypi.${key}`)));
  let first = true;
  effect(() => {
    const { value } = choice;
    if (!first) save(`hypi.${key}`, value);
    first = false;
  });
  return choice;
}

/** Pages of this width have room to spare. */
const WIDE_PX = 1800;

const oneOf =
  <T extends string>(...values: [T, ...T[]]) =>
  (stored: unknown): T =>
    values.find((value) => value === stored) ?? values[0];

export const scheme = pref('scheme', oneOf('system', 'dark', 'light'));
export const grouping = pref<Grouping>('grouping', oneOf<Grouping>('project', 'machine', 'none'));
/** Open from the beginning only if there is room for it. */
export const inspectorOpen = pref('inspector', (stored) =>
  typeof stored === 'boolean' ? stored : innerWidth >= WIDE_PX,
);
/** Keys of the roster's groups that are closed. */
export const closedGroups = pref<readonly string[]>('closed', (stored) =>
  Array.isArray(stored) ? stored.filter((key): key is string => typeof key === 'string') : [],
);

/** The id of the machine on which an agent was started last; null for the daemon's own. */
export const spawnMachine = pref('spawn-machine', (stored) => (typeof stored === 'string' ? stored : null));

/** The news of an agent that the person wants while looking elsewhere. */
export type Telling = 'all' | 'waits' | 'none';
export const telling = pref<Readonly<Record<string, Telling>>>('telling', (stored) =>
  typeof stored === 'object' && stored !== null ? (stored as Record<string, Telling>) : {},
);
/** Whether notifications are wanted at all on this device. */
export const tellingOn = pref('telling-on', (stored) => stored === true);
