/**
 * The agents that have finished since the person last looked at them. Pure; kept in this browser.
 *
 * An agent has finished if it was working when last heard of, also before a reload, and no longer is. It has also
 * finished if a whole run took place while the page was closed: its state is then younger than the remembered one, or
 * than its registration. On the very first visit nothing is unread.
 */
import type { Node } from '../../protocol/registry.ts';

/** The last news of an agent: its state, and since when. */
interface Heard {
  state: string;
  since: number;
  /** Unix seconds when it was last in the roster, for forgetting. */
  at: number;
}

export interface Unread {
  /** Whether there has been a visit before. */
  returning: boolean;
  heard: ReadonlyMap<string, Heard>;
  /** Ids. */
  ids: ReadonlySet<string>;
}

/** Ids of agents that are gone are kept for a month. */
const MEMORY_SECONDS = 30 * 24 * 3600;
/** A state that is this much younger than the registration did not come with it. */
const REGISTRATION_SECONDS = 2;

export const FIRST_VISIT: Unread = { returning: false, heard: new Map(), ids: new Set() };

/**
 * @param changed agents that joined or changed
 * @param open the agent that is in sight, which is read as it comes; null for none
 * @param now Unix seconds
 * @returns the state, the very same if nothing changed, and which agents finished by this change
 */
export function hear(
  state: Unread,
  changed: Iterable<Node>,
  open: string | null,
  now: number,
): { value: Unread; finished: string[] } {
  let heard: Map<string, Heard> | null = null;
  let ids: Set<string> | null = null;
  const finished: string[] = [];
  for (const node of changed) {
    if (node.state === undefined) continue;
    const before = (heard ?? state.heard).get(node.id);
    const since = node.state_since ?? 0;
    if (before?.state === node.state && before.since === since) continue;
    heard ??= new Map(state.heard);
    heard.set(node.id, { state: node.state, since, at: now });
    if (node.state !== 'idle') {
      if ((ids ?? state.ids).has(node.id)) {
        ids ??= new Set(state.ids);
        ids.delete(node.id);
      }
      continue;
    }
    if (!hasRun(node, before, state.returning)) continue;
    finished.push(node.id);
    if (node.id === open) continue;
    ids ??= new Set(state.ids);
    ids.add(node.id);
  }
  if (heard === null) return { value: state, finished };
  return { value: { ...state, heard, ids: ids ?? state.ids }, finished };
}

function hasRun(node: Node, before: Heard | undefined, returning: boolean): boolean {
  if (before !== undefined) {
    if (before.state === 'working' || before.state === 'waiting') return true;
    // Both idle: it worked in between if the later idle began later. A daemon that restarted dates it anew.
    return before.state === 'idle' && began(node) > before.since + REGISTRATION_SECONDS && !registeredSince(node);
  }
  return returning && !registeredSince(node);
}

const began = (node: Node): number => node.state_since ?? 0;

/** Whether its state is as old as its registration: such a state does not prove a run. */
function registeredSince(node: Node): boolean {
  return node.last_seen === undefined || began(node) <= node.last_seen + REGISTRATION_SECONDS;
}

/** The agent was looked at. */
export function read(state: Unread, id: string): Unread {
  if (!state.ids.has(id)) return state;
  const ids = new Set(state.ids);
  ids.delete(id);
  return { ...state, ids };
}

/**
 * Agents that another tab has read are read here too.
 *
 * @param theirs as that tab has kept it; agents that it has not heard of yet stay unread here
 */
export function readElsewhere(state: Unread, theirs: Unread): Unread {
  const isRead = (id: string) =>
    !theirs.ids.has(id) && theirs.heard.get(id)?.since === state.heard.get(id)?.since && theirs.heard.has(id);
  const ids = new Set([...state.ids].filter((id) => !isRead(id)));
  return ids.size === state.ids.size ? state : { ...state, ids };
}

/** The form in which it is kept. */
export function toStored(state: Unread): unknown {
  return { heard: Object.fromEntries(state.heard), ids: [...state.ids] };
}

/** @param stored as it was kept, or whatever else was found there @param now Unix seconds */
export function fromStored(stored: unknown, now: number): Unread {
  if (typeof stored !== 'object' || stored === null) return FIRST_VISIT;
  const { heard, ids } = stored as { heard?: unknown; ids?: unknown };
  if (typeof heard !== 'object' || heard === null || !Array.isArray(ids)) return FIRST_VISIT;
  const kept = Object.entries(heard as Record<string, Partial<Heard> | null>).filter(
    ([, entry]) =>
      typeof entry?.state === 'string' &&
      typeof entry.since === 'number' &&
      typeof entry.at === 'number' &&
      now - entry.at < MEMORY_SECONDS,
  );
  return {
    returning: true,
    heard: new Map(kept as [string, Heard][]),
    ids: new Set(ids.filter((id): id is string => typeof id === 'string')),
  };
}
