/**
 * All agents, their standings and what is unread: the signals that the views read, fed by the connection. Changes are
 * collected until the next frame, so hundreds of them cost a few renderings a second.
 */
import { batch, computed, effect, signal } from '@preact/signals';
import type { Node, Push, RequestedPush } from '../../protocol/registry.ts';
import { coalesced } from '../platform/frame.ts';
import { load, save } from '../platform/storage.ts';
import { daemonEvent, listen } from './connection.ts';
import { isOnOneOf } from './machines.ts';
import { isCutOff, lostMachines } from './network.ts';
import { open, openId } from './opened.ts';
import { applyPushes, type Nodes } from './roster.ts';
import { STANDINGS, type Standing, standingOf } from './standing.ts';
import { fromStored, hear, read, readElsewhere, toStored, type Unread } from './unread.ts';

const UNREAD_KEY = 'hypi.unread';
/** Keeping it takes the page a while for a roster of thousands. It is also kept whenever the page is left. */
const KEEP_MS = 60_000;
const nowInSeconds = () => Math.floor(Date.now() / 1000);

export const nodes = signal<Nodes>(new Map());
export const unread = signal<Unread>(fromStored(load(UNREAD_KEY), nowInSeconds()));

export const standing = (node: Node): Standing => standingOf(node, unread.value.ids.has(node.id), isCutOff(node));

/** How many agents have each standing. */
export const counts = computed(() => {
  const result = Object.fromEntries(STANDINGS.map((each) => [each, 0])) as Record<Standing, number>;
  const { ids } = unread.value;
  const lost = lostMachines.value;
  for (const node of nodes.value.values()) result[standingOf(node, ids.has(node.id), isOnOneOf(lost, node))]++;
  return result;
});

export const attentionCount = computed(() => {
  const { question, failed, finished } = counts.value;
  return question + failed + finished;
});

const pending: (Push | RequestedPush)[] = [];
/** Twenty times a second is as often as anybody sees a number change. */
const FLUSH_GAP_MS = 50;
const flush = coalesced(() => batch(applyPending), FLUSH_GAP_MS);
/** Is told which nodes have changed, and whether they have finished by that, for notifications. */
type ChangeListener = (changes: { node: Node; before: Node | undefined; finished: boolean }[]) => void;
const listeners = new Set<ChangeListener>();

export function onChanges(listener: ChangeListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function applyPending(): void {
  const pushes = pending.splice(0);
  const before = nodes.peek();
  const { value: after, changed } = applyPushes(before, pushes);
  if (pushes.some(({ event }) => event === 'init')) daemonEvent({ kind: 'roster' });
  if (after === before) return;
  const known = before.size > 0 || unread.peek().returning;
  const inSight = document.visibilityState === 'visible' ? openId.peek() : null;
  const heard = hear(unread.peek(), changed, inSight, nowInSeconds());
  nodes.value = after;
  if (heard.value !== unread.peek()) unread.value = heard.value;
  if (!unread.peek().returning) unread.value = { ...unread.peek(), returning: true };
  followSuccessor(before, after, pushes);
  if (!known) return;
  const finished = new Set(heard.finished);
  const changes = changed.map((node) => ({ node, before: before.get(node.id), finished: finished.has(node.id) }));
  for (const listener of listeners) listener(changes);
}

/** If a session was replaced by another, a person who looked at the old one now looks at the new one. */
function followSuccessor(before: Nodes, after: Nodes, pushes: readonly (Push | RequestedPush)[]): void {
  const id = openId.peek();
  if (id === null || after.has(id)) return;
  // The agent may have named its successor and gone within the same frame.
  const said = pushes.find((push) => push.event === 'node_updated' && push.id === id && push.successor != null);
  const successor = said?.event === 'node_updated' ? said.successor : before.get(id)?.successor;
  if (successor != null) open(successor);
}

listen({
  push(push) {
    if (push.event === 'init') pending.length = 0;
    pending.push(push);
    flush();
  },
  lost() {
    pending.length = 0;
  },
});

// The agent that is open

/** The open agent as last known: kept after it has left the roster, so that its transcript stays. */
const lastKnown = signal<Node | null>(null);
effect(() => {
  const id = openId.value;
  const node = id === null ? undefined : nodes.value.get(id);
  if (node !== undefined) lastKnown.value = node;
});
export const openNode = computed<Node | null>(() => {
  const id = openId.value;
  if (id === null) return null;
  const node = nodes.value.get(id);
  if (node !== undefined) return node;
  const known = lastKnown.value;
  return known?.id === id ? { ...known, status: 'offline' } : null;
});

/** The person has its newest message in sight. */
export function markRead(id: string): void {
  const before = unread.peek();
  unread.value = read(before, id);
  // At once, so that other tabs know.
  if (unread.peek() !== before) keep();
}

let kept = unread.peek();

function keep(): void {
  if (kept === unread.peek() || !unread.peek().returning) return;
  kept = unread.peek();
  save(UNREAD_KEY, toStored(kept));
}

/** Keeps what is unread: not after every change, and if possible when there is nothing else to do. */
export function keepUnread(): void {
  setInterval(() => {
    if ('requestIdleCallback' in window) requestIdleCallback(keep);
    else keep();
  }, KEEP_MS);
  addEventListener('pagehide', keep);
  document.addEventListener('visibilitychange', keep);
  addEventListener('storage', ({ key }) => {
    if (key === UNREAD_KEY) unread.value = readElsewhere(unread.peek(), fromStored(load(UNREAD_KEY), nowInSeconds()));
  });
}
