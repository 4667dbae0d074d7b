/**
 * Which changes become notifications. Pure.
 *
 * Three kinds are worth a notification: an agent waits, failed, or is done. Messages are not. There is one per device:
 * of several tabs only the leader tells. An agent causes none if it is open in a visible tab in which somebody did
 * something in the last three minutes. If that is not certain, it does cause one.
 */
import type { Node } from '../../protocol/registry.ts';
import type { Telling } from '../state/prefs.ts';
import { standingOf } from '../state/standing.ts';

export const PRESENCE_MS = 3 * 60_000;

export type Kind = 'waits' | 'done' | 'failed';

/** What a tab says of itself. Times are in milliseconds. */
export interface Presence {
  open: string | null;
  visible: boolean;
  /** When somebody last did something there. */
  actedAt: number;
}

export interface Change {
  node: Node;
  before: Node | undefined;
  finished: boolean;
}

/** The kind of news that a change is; null for none. */
export function kindOf({ node, before, finished }: Change): Kind | null {
  const now = standingOf(node, false, false);
  const was = before === undefined ? null : standingOf(before, false, false);
  if (now === 'question') {
    const isNew = was !== 'question' || (node.question !== undefined && node.question.id !== before?.question?.id);
    return isNew ? 'waits' : null;
  }
  // An agent that is new here may have changed long ago.
  if (before === undefined) return null;
  if (now === 'failed') return was === 'failed' ? null : 'failed';
  return finished && before.state !== undefined ? 'done' : null;
}

export function isWanted(kind: Kind, telling: Telling): boolean {
  return telling === 'all' || (telling === 'waits' && kind === 'waits');
}

/** Whether somebody certainly has the agent in sight, in any tab. */
export function isSeen(agent: string, tabs: Iterable<Presence>, now: number): boolean {
  for (const { open, visible, actedAt } of tabs) {
    if (open === agent && visible && now - actedAt < PRESENCE_MS) return true;
  }
  return false;
}

/** @returns the words of the notification */
export function words(kind: Kind, name: string, node: Node): { title: string; body: string } {
  switch (kind) {
    case 'waits':
      return { title: `${name} waits for you`, body: node.question?.title ?? '' };
    case 'failed':
      return { title: `${name} failed`, body: '' };
    case 'done':
      return { title: `${name} has finished`, body: '' };
  }
}
