/**
 * The edge of the state: the signals that the views read. What comes from the links is put together until the next frame,
 * so hundreds of changes a second cost one rendering each frame at the most.
 */
import { batch, computed, effect, signal } from '@preact/signals';
import type { Method, Node, Params, Push, RequestedPush, Result } from '../../protocol/registry.ts';
import { AgentLink } from '../link/agent-link.ts';
import { browser } from '../link/environment.ts';
import { registryAddress, relayAddress } from '../link/page-address.ts';
import { RegistryLink } from '../link/registry-link.ts';
import { clock } from '../platform/clock.ts';
import { coalesced } from '../platform/frame.ts';
import { load, save } from '../platform/storage.ts';
import { bannerIn, type Daemon, type DaemonEvent, daemonAfter, UNKNOWN_DAEMON } from './daemon.ts';
import { agentOf, hashOf, takeToken } from './place.ts';
import { closedGroups, grouping } from './prefs.ts';
import { applyPushes, type Nodes } from './roster.ts';
import { arrange, type Row } from './rows.ts';
import { needsAttention, STANDINGS, type Standing, standingOf } from './standing.ts';
import { fromStored, hear, read, toStored, type Unread } from './unread.ts';

const nowInSeconds = () => Math.floor(Date.now() / 1000);

// The daemon

export const daemon = signal<Daemon>(UNKNOWN_DAEMON);
export const live = computed(() => daemon.value.live);
/** Whether the banner is due. */
export const bannerShown = signal(false);
const clockAhead = signal(0);
/** Unix seconds by the daemon's clock. */
export const daemonNow = computed(() => clock.value + clockAhead.value);

/** @param seconds how far the daemon's clock is ahead of this machine's */
export function setClockAhead(seconds: number): void {
  clockAhead.value = seconds;
}

let cancelBanner: (() => void) | null = null;

function daemonEvent(event: DaemonEvent): void {
  daemon.value = daemonAfter(daemon.peek(), event, browser.now());
  cancelBanner?.();
  const due = bannerIn(daemon.peek(), browser.now());
  cancelBanner = due === null ? null : browser.after(due, () => (bannerShown.value = true));
  if (due === null) bannerShown.value = false;
}

// The token

const TOKEN_KEY = 'hypi.token';
export const token = signal<string | null>(readToken());

function readToken(): string | null {
  const stored = load(TOKEN_KEY);
  return typeof stored === 'string' && stored !== '' ? stored : null;
}

/** Keeps it in this browser, and tries it at once. */
export function useToken(value: string): void {
  token.value = value;
  save(TOKEN_KEY, value);
  registry.stop();
  registry.start();
}

export function forgetToken(): void {
  token.value = null;
  save(TOKEN_KEY, undefined);
}

// The roster

export const nodes = signal<Nodes>(new Map());
const KEEP_MS = 10_000;
export const unread = signal<Unread>(fromStored(load('hypi.unread'), nowInSeconds()));

export const standing = (node: Node): Standing => standingOf(node, unread.value.ids.has(node.id));

export const query = signal('');
export const shownStandings = signal<ReadonlySet<Standing>>(new Set());

/** How many stand how, of all. */
export const counts = computed(() => {
  const result = Object.fromEntries(STANDINGS.map((each) => [each, 0])) as Record<Standing, number>;
  const { ids } = unread.value;
  for (const node of nodes.value.values()) result[standingOf(node, ids.has(node.id))]++;
  return result;
});

export const attentionCount = computed(() => {
  const { question, failed, finished } = counts.value;
  return question + failed + finished;
});

/** The order of rows is worked out a few times a second, and rests while a pointer moves over them. */
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
  rows.value = arrange(nodes.peek().values(), (node) => standingOf(node, ids.has(node.id)), {
    grouping: grouping.peek(),
    query: query.peek(),
    standings: shownStandings.peek(),
    closed: new Set(closedGroups.peek()),
  });
}

// A person's own choice is obeyed at once; what agents do waits for its turn.
effect(() => {
  void [grouping.value, query.value, shownStandings.value, closedGroups.value];
  restUntil = 0;
  orderRows();
});
effect(() => {
  void [nodes.value, unread.value];
  if (cancelOrder !== null) return;
  const now = browser.now();
  const wait = Math.max(orderedAt + ORDER_MS - now, restUntil - now, 0);
  if (wait === 0) orderRows();
  else cancelOrder = browser.after(wait, orderRows);
});

const pending: (Push | RequestedPush)[] = [];
/** Twenty times a second is as often as anybody sees a number change. */
const FLUSH_GAP_MS = 50;
const flush = coalesced(() => batch(applyPending), FLUSH_GAP_MS);
/** Ids that finished, failed or began to wait while the page was open; for telling. */
type ChangeListener = (changes: { node: Node; before: Node | undefined; finished: boolean }[]) => void;
const listeners = new Set<ChangeListener>();
const spawnListeners = new Set<(push: RequestedPush & { event: 'spawn_ended' }) => void>();

export function onChanges(listener: ChangeListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function onSpawnEnded(listener: (push: RequestedPush & { event: 'spawn_ended' }) => void): () => void {
  spawnListeners.add(listener);
  return () => spawnListeners.delete(listener);
}

function applyPending(): void {
  const pushes = pending.splice(0);
  const before = nodes.peek();
  const { value: after, changed } = applyPushes(before, pushes);
  if (pushes.some(({ event }) => event === 'init')) daemonEvent({ kind: 'roster' });
  for (const push of pushes) if (push.event === 'spawn_ended') for (const tell of spawnListeners) tell(push);
  if (after === before) return;
  const known = before.size > 0 || unread.peek().returning;
  const inSight = document.visibilityState === 'visible' ? openId.peek() : null;
  const heard = hear(unread.peek(), changed, inSight, nowInSeconds());
  nodes.value = after;
  if (heard.value !== unread.peek()) unread.value = heard.value;
  if (!unread.peek().returning) unread.value = { ...unread.peek(), returning: true };
  followSuccessor(before, after);
  if (!known) return;
  const finished = new Set(heard.finished);
  const changes = changed.map((node) => ({ node, before: before.get(node.id), finished: finished.has(node.id) }));
  for (const listener of listeners) listener(changes);
}

// The agent that is open

export const openId = signal<string | null>(agentOf(location.hash));
/** What was last known of it: it outlives the agent's place in the roster, so that its transcript stays. */
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

/** Null for the roster. */
export function open(id: string | null): void {
  if (id === openId.peek()) return;
  history.pushState(null, '', location.pathname + location.search + hashOf(id));
  openId.value = id;
}

export function showPlace(): void {
  openId.value = agentOf(location.hash);
}

/** The person has its newest message in sight. */
export function markRead(id: string): void {
  unread.value = read(unread.peek(), id);
}

/** If a session was replaced by another, a person who looked at the old one now looks at the new one. */
function followSuccessor(before: Nodes, after: Nodes): void {
  const id = openId.peek();
  if (id === null || after.has(id)) return;
  const successor = before.get(id)?.successor;
  if (successor !== undefined) open(successor);
}

/** The next that waits, in the order of attention, after the one that is open. */
export function nextWaiting(): string | null {
  const waiting = rows.peek().flatMap((row) => {
    const node = row.kind === 'agent' ? nodes.peek().get(row.id) : undefined;
    return node !== undefined && needsAttention(standing(node)) ? [node.id] : [];
  });
  const at = waiting.indexOf(openId.peek() ?? '');
  return waiting[at + 1] ?? waiting[0] ?? null;
}

// The links

const registry = new RegistryLink(browser, {
  address: registryAddress,
  token: () => token.peek(),
  push(push) {
    if (push.event === 'init') pending.length = 0;
    pending.push(push);
    flush();
  },
  phase: () => {},
  lost(_, wasLive) {
    pending.length = 0;
    daemonEvent({ kind: 'lost' });
    if (!wasLive) void findObstacle();
  },
  features: (features) => daemonEvent({ kind: 'features', features }),
  deaf: () => openLink?.reconnect(),
});

export const traffic = () => registry.traffic;
export const retryNow = () => registry.retryNow();

/** @throws RequestError or UnknownOutcome, as the registry's link does */
export function request<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
  return registry.request(method, params);
}

/** A browser says nothing of why a WebSocket failed; asking for the same by HTTP does. */
async function findObstacle(): Promise<void> {
  const asked = token.peek();
  try {
    const headers = asked === null ? {} : { Authorization: `Bearer ${encodeToken(asked)}` };
    const { status } = await fetch('ws', { headers, cache: 'no-store', redirect: 'error' });
    // A proxy in between answers for a daemon that is gone.
    const obstacle = status === 401 ? 'token' : status >= 500 || status === 404 ? 'silent' : 'refused';
    if (asked === token.peek()) daemonEvent({ kind: 'obstacle', obstacle });
  } catch {
    daemonEvent({ kind: 'obstacle', obstacle: 'silent' });
  }
}

/** Field values are bytes: those of its UTF-8. */
const encodeToken = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));

let openLink: AgentLink | null = null;

/** The link to the agent that is open; it follows what the roster says of that agent. */
export function linkTo(nodeId: string): AgentLink {
  openLink = new AgentLink({
    nodeId,
    environment: browser,
    token: () => token.peek(),
    address: relayAddress,
    onSuccessor: open,
  });
  return openLink;
}

export const relayTo = { address: relayAddress, token: () => token.peek(), environment: browser };

/** Begins everything. */
export function connect(): void {
  const taken = takeToken(location.href);
  if (taken.address !== location.href) history.replaceState(null, '', taken.address);
  if (taken.token !== null) {
    token.value = taken.token;
    save(TOKEN_KEY, taken.token);
  }
  openId.value = agentOf(location.hash);
  addEventListener('popstate', showPlace);
  addEventListener('hashchange', showPlace);
  keepUnread();
  registry.start();
}

/** Written when it has changed, but not each time, and when there is nothing else to do. */
function keepUnread(): void {
  let kept = unread.peek();
  const keep = () => {
    if (kept === unread.peek() || !unread.peek().returning) return;
    kept = unread.peek();
    save('hypi.unread', toStored(kept));
  };
  setInterval(() => {
    if ('requestIdleCallback' in window) requestIdleCallback(keep);
    else keep();
  }, KEEP_MS);
  addEventListener('pagehide', keep);
  document.addEventListener('visibilitychange', keep);
}
