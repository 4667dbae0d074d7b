/**
 * Who is told what, and when. Pure.
 *
 * Three kinds are worth a notification: an agent waits, failed, or is done. Never one for each message. One per device:
 * of several tabs only the leader tells. Nobody is told of what is open in a tab that is visible to somebody who did
 * something in the last three minutes; that must be proven, so what is not known means: tell.
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

/** What a change is to people; null for nothing. */
export function kindOf({ node, before, finished }: Change): Kind | null {
  const now = standingOf(node, false);
  const was = before === undefined ? null : standingOf(before, false);
  if (now === 'question') {
    const isNew = was !== 'question' || (node.question !== undefined && node.question.id !== before?.question?.id);
    return isNew ? 'waits' : null;
  }
  // What one sees first in a roster may be long ago.
  if (before === undefined) return null;
  if (now === 'failed') return was === 'failed' ? null : 'failed';
  return finished && before.state !== undefined ? 'done' : null;
}

export function isWanted(kind: Kind, telling: Telling): boolean {
  return telling === 'all' || (telling === 'waits' && kind === 'waits');
}

/** Whether somebody demonstrably has the agent before their eyes, in any tab. */
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
