/** The rows of the roster in their order, as a person chose to see them. */
import { effect, signal } from '@preact/signals';
import { browser } from '../link/environment.ts';
import { nodes, standing, unread } from './fleet.ts';
import { isOnOneOf } from './machines.ts';
import { here, lostMachines } from './network.ts';
import { openId } from './opened.ts';
import { closedGroups, grouping } from './prefs.ts';
import { arrange, type Row } from './rows.ts';
import { needsAttention, type Standing, standingOf } from './standing.ts';

export const query = signal('');
export const shownStandings = signal<ReadonlySet<Standing>>(new Set());

/** The order of rows is computed a few times a second, and rests while a pointer moves over them. */
const ORDER_MS = 150;
const REST_MS = 1500;
export const rows = signal<readonly Row[]>([]);
let orderedAt = 0;
let restUntil = 0;
let cancelOrder: (() => void) | null = null;

/** Rows keep their places for a moment: somebody is about to click one. */
export function restOrder(): void {
  restUntil = browser.now() + REST_MS;
}

function orderRows(): void {
  cancelOrder = null;
  orderedAt = browser.now();
  const { ids } = unread.peek();
  const lost = lostMachines.peek();
  rows.value = arrange(nodes.peek().values(), (node) => standingOf(node, ids.has(node.id), isOnOneOf(lost, node)), {
    grouping: grouping.peek(),
    query: query.peek(),
    standings: shownStandings.peek(),
    closed: new Set(closedGroups.peek()),
    here: here.peek(),
  });
}

// A person's own choice takes effect at once; changes by agents wait for their turn.
effect(() => {
  void [grouping.value, query.value, shownStandings.value, closedGroups.value, here.value];
  restUntil = 0;
  orderRows();
});
effect(() => {
  void [nodes.value, unread.value, lostMachines.value];
  if (cancelOrder !== null) return;
  const now = browser.now();
  const wait = Math.max(orderedAt + ORDER_MS - now, restUntil - now, 0);
  if (wait === 0) orderRows();
  else cancelOrder = browser.after(wait, orderRows);
});

/** The next that waits, in the order of attention, after the one that is open. */
export function nextWaiting(): string | null {
  const waiting = rows.peek().flatMap((row) => {
    const node = row.kind === 'agent' ? nodes.peek().get(row.id) : undefined;
    return node !== undefined && needsAttention(standing(node)) ? [node.id] : [];
  });
  const at = waiting.indexOf(openId.peek() ?? '');
  return waiting[at + 1] ?? waiting[0] ?? null;
}
