/** An agent's standing, for people: whether it waits for somebody, or can wait. Pure. */
import type { Node } from '../../protocol/registry.ts';

/**
 * In the order of attention. `finished` is idle with something unread; `online` is an older agent, which does not say
 * what it is doing; `lost` is one whose machine is not connected, so what it is doing is not known.
 */
export const STANDINGS = ['question', 'failed', 'finished', 'working', 'idle', 'online', 'lost', 'offline'] as const;
export type Standing = (typeof STANDINGS)[number];

const RANKS: Record<Standing, number> = {
  question: 0,
  failed: 1,
  finished: 2,
  working: 3,
  idle: 4,
  online: 4,
  lost: 5,
  offline: 6,
};

export const rankOf = (standing: Standing): number => RANKS[standing];

/** Whether somebody should look at it. */
export const needsAttention = (standing: Standing): boolean => RANKS[standing] <= RANKS.finished;

export const STANDING_WORDS: Record<Standing, string> = {
  question: 'waits for you',
  failed: 'failed',
  finished: 'finished',
  working: 'working',
  idle: 'idle',
  online: 'online',
  lost: 'not connected',
  offline: 'offline',
};

/** @param isCutOff whether its machine is not connected */
export function standingOf(node: Node, unread: boolean, isCutOff: boolean): Standing {
  if (isCutOff) return 'lost';
  if (node.status === 'offline') return 'offline';
  if (node.state === 'waiting' || (node.questions ?? 0) > 0 || node.question !== undefined) return 'question';
  switch (node.state) {
    case 'failed':
      return 'failed';
    case 'working':
      return 'working';
    case 'idle':
      return unread ? 'finished' : 'idle';
    default:
      return unread ? 'finished' : 'online';
  }
}

/** Since when it has this standing, in Unix seconds on the daemon's clock; null if that is not known. */
export function standingSince(node: Node): number | null {
  if (node.status === 'offline') return node.offline_since ?? null;
  return node.state_since ?? null;
}
