/** The connection to the daemon: its state, the requests to the daemon, and its pushes to listeners. */
import { computed, signal } from '@preact/signals';
import type { Method, Params, Push, RequestedPush, Result } from '../../protocol/registry.ts';
import { browser } from '../link/environment.ts';
import { registryAddress } from '../link/page-address.ts';
import { RegistryLink } from '../link/registry-link.ts';
import { clock } from '../platform/clock.ts';
import { bannerIn, type Daemon, type DaemonEvent, daemonAfter, UNKNOWN_DAEMON } from './daemon.ts';
import { keepToken, token } from './token.ts';

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

export function daemonEvent(event: DaemonEvent): void {
  daemon.value = daemonAfter(daemon.peek(), event, browser.now());
  cancelBanner?.();
  const due = bannerIn(daemon.peek(), browser.now());
  cancelBanner = due === null ? null : browser.after(due, () => (bannerShown.value = true));
  if (due === null) bannerShown.value = false;
}

interface Listener {
  push(push: Push | RequestedPush): void;
  /** Pushes that are not applied yet are out of date. */
  lost(): void;
  /** The connection to the daemon was dead, and is replaced: other connections to it had better be too. */
  deaf(): void;
}
const listeners = new Set<Partial<Listener>>();

/** @returns a function that ends it */
export function listen(listener: Partial<Listener>): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const registry = new RegistryLink(browser, {
  address: registryAddress,
  token: () => token.peek(),
  push(push) {
    for (const listener of listeners) listener.push?.(push);
  },
  phase: () => {},
  lost(_, wasLive) {
    for (const listener of listeners) listener.lost?.();
    daemonEvent({ kind: 'lost' });
    if (!wasLive) void findObstacle();
  },
  features: (features) => daemonEvent({ kind: 'features', features }),
  deaf() {
    for (const listener of listeners) listener.deaf?.();
  },
});

export const traffic = () => registry.traffic;
export const retryNow = () => registry.retryNow();
export const connect = () => registry.start();

/** Keeps the token in this browser, and tries it at once. */
export function tryToken(value: string): void {
  keepToken(value);
  registry.stop();
  registry.start();
}

/** @throws RequestError or UnknownOutcome, as the registry's link does */
export function request<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
  return registry.request(method, params);
}

/** A browser does not say why a WebSocket failed; the same request by HTTP shows it. */
async function findObstacle(): Promise<void> {
  const asked = token.peek();
  try {
    const headers = asked === null ? {} : { Authorization: `Bearer ${encodeToken(asked)}` };
    const { status } = await fetch('ws', { headers, cache: 'no-store', redirect: 'error' });
    // If the daemon is gone, a proxy in between may answer for it.
    const obstacle = status === 401 ? 'token' : status >= 500 || status === 404 ? 'silent' : 'refused';
    if (asked === token.peek()) daemonEvent({ kind: 'obstacle', obstacle });
  } catch {
    daemonEvent({ kind: 'obstacle', obstacle: 'silent' });
  }
}

/** Field values are bytes: here the bytes of the UTF-8. */
const encodeToken = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
