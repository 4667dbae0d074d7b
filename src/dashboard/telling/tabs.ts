/** All tabs of this page: which agent each one shows, and which tab sends the notifications. */
import { effect } from '@preact/signals';
import { openId } from '../state/opened.ts';
import type { Presence } from './telling.ts';

const SAY_MS = 20_000;
const FORGET_MS = 60_000;

/** By tab; this one is in it. */
const tabs = new Map<string, Presence & { at: number }>();
const OWN = Math.random().toString(36).slice(2);

export function presences(): Iterable<Presence> {
  const now = Date.now();
  for (const [id, { at }] of tabs) if (id !== OWN && now - at > FORGET_MS) tabs.delete(id);
  return tabs.values();
}

let leads = false;
export const isLeader = () => leads;

export function watchTabs(): void {
  const channel = 'BroadcastChannel' in window ? new BroadcastChannel('hypi.tabs') : null;
  const own: Presence & { at: number } = { open: null, visible: false, actedAt: 0, at: 0 };
  const say = () => {
    own.open = openId.peek();
    own.visible = document.visibilityState === 'visible' && document.hasFocus();
    own.at = Date.now();
    tabs.set(OWN, { ...own });
    channel?.postMessage({ id: OWN, ...own });
  };
  channel?.addEventListener('message', ({ data }) => {
    const { id, gone, ...presence } = data as Presence & { at: number; id: string; gone?: boolean };
    if (gone) tabs.delete(id);
    else tabs.set(id, presence);
  });
  let saidAt = 0;
  const acted = () => {
    own.actedAt = Date.now();
    if (own.actedAt - saidAt < 1000) return;
    saidAt = own.actedAt;
    say();
  };
  for (const name of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart']) {
    addEventListener(name, acted, { passive: true, capture: true });
  }
  for (const name of ['focus', 'blur', 'pageshow']) addEventListener(name, say);
  document.addEventListener('visibilitychange', say);
  addEventListener('pagehide', () => channel?.postMessage({ id: OWN, gone: true }));
  effect(() => {
    void openId.value;
    say();
  });
  setInterval(say, SAY_MS);
  lead();
}

/** The tab that holds the lock leads, until it goes. Without locks (no TLS, no localhost) there are no notifications. */
function lead(): void {
  if (!('locks' in navigator)) {
    leads = true;
    return;
  }
  void navigator.locks.request('hypi.telling', () => {
    leads = true;
    return new Promise(() => {});
  });
}
