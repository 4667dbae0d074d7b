/**
 * Answers given from the roster, each until the agent has confirmed it. The buttons are disabled at once, but a
 * question counts as answered only once the agent says so.
 */
import { signal } from '@preact/signals';
import { abort, answer } from '../link/errand.ts';
import { announce } from '../platform/announce.ts';
import { nodes, standing } from './fleet.ts';
import { plural } from './format.ts';
import { notify } from './notices.ts';
import { relayTo } from './relays.ts';
import { nameOf } from './rows.ts';

/** This page's name, by which agents tell others who answered. */
export const CLIENT = `dashboard-${Math.random().toString(36).slice(2, 8)}`;

export type Giving =
  | { phase: 'sending' }
  | { phase: 'failed'; why: string; value: string | boolean | null }
  /** The agent has confirmed; the roster is about to say so too. */
  | { phase: 'settled'; words: string };

/** By question id. */
export const giving = signal<ReadonlyMap<string, Giving>>(new Map());

function set(questionId: string, value: Giving | null): void {
  const next = new Map(giving.peek());
  if (value === null) next.delete(questionId);
  else next.set(questionId, value);
  giving.value = next;
}

/** @param value null to dismiss the question */
export async function give(nodeId: string, questionId: string, value: string | boolean | null): Promise<void> {
  const now = giving.peek().get(questionId);
  if (now !== undefined && now.phase !== 'failed') return;
  set(questionId, { phase: 'sending' });
  const outcome = await answer(relayTo, nodeId, questionId, value, CLIENT);
  switch (outcome.kind) {
    case 'accepted':
      set(questionId, { phase: 'settled', words: value === null ? 'Dismissed' : 'Answered' });
      announce('The agent has the answer.');
      break;
    case 'already':
      set(questionId, { phase: 'settled', words: settledInWords(outcome.settled) });
      break;
    case 'not-delivered':
      set(questionId, { phase: 'failed', why: outcome.why, value });
      announce(`Not delivered: ${outcome.why}`);
  }
}

function settledInWords(settled: { by: string; client?: string; value?: string | boolean } | null): string {
  if (settled === null) return 'Already answered';
  if (settled.by === 'timeout' || settled.by === 'gone') return 'No longer asked';
  const where = settled.by === 'terminal' ? ' in the terminal' : settled.client ? ` by ${settled.client}` : '';
  if (settled.by === 'dismissed') return `Already dismissed${where}`;
  const what =
    settled.value === undefined
      ? ''
      : `: ${settled.value === true ? 'Yes' : settled.value === false ? 'No' : settled.value}`;
  return `Already answered${where}${what}`;
}

/** Stops all agents that work, and says which did not stop. */
export async function stopAll(): Promise<void> {
  const working = [...nodes.peek().values()].filter((node) => standing(node) === 'working');
  const outcomes = await Promise.all(working.map(async (node) => ({ node, why: await abort(relayTo, node.id) })));
  const failed = outcomes.filter(({ why }) => why !== null);
  const stopped = plural(outcomes.length - failed.length, 'agent');
  if (failed.length === 0) {
    notify({ key: 'stop-all', level: 'info', text: `Stopped ${stopped}.` });
    return;
  }
  const names = failed.slice(0, 3).map(({ node, why }) => `${nameOf(node)} (${why})`);
  const more = failed.length > names.length ? ` and ${failed.length - names.length} more` : '';
  notify({
    key: 'stop-all',
    level: 'error',
    text: `Stopped ${stopped}. Not known to have stopped: ${names.join(', ')}${more}`,
  });
}
