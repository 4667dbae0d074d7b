/** Notifications of the browser, by the service worker: phones throw on `new Notification`. */
import { signal } from '@preact/signals';
import { visible } from '../chat/visible.ts';
import { announce } from '../platform/announce.ts';
import { onChanges } from '../state/fleet.ts';
import { isCutOff, machines } from '../state/network.ts';
import { open } from '../state/opened.ts';
import { agentOf, hashOf } from '../state/place.ts';
import { telling, tellingOn } from '../state/prefs.ts';
import { nameOf } from '../state/rows.ts';
import { isLeader, presences, watchTabs } from './tabs.ts';
import { type Change, isSeen, isWanted, kindOf, words } from './telling.ts';

/** What the browser allows; `unavailable` off localhost without TLS. */
export const permission = signal<NotificationPermission | 'unavailable'>(
  isSecureContext && 'Notification' in window ? Notification.permission : 'unavailable',
);

let registration: Promise<ServiceWorkerRegistration | null> | null = null;

/** @returns whether notifications are allowed now */
export async function turnOn(): Promise<boolean> {
  if (permission.peek() === 'unavailable') return false;
  permission.value = await Notification.requestPermission();
  tellingOn.value = permission.peek() === 'granted';
  return tellingOn.peek();
}

export function beginTelling(): void {
  watchTabs();
  registration = registerWorker();
  /** Which machines are connected is known a moment after who is there. */
  let held: Change[] = [];
  onChanges((changes) => {
    const isEarly = ({ node }: Change) => node.hub !== undefined && machines.peek().size === 0;
    held.push(...changes.filter(isEarly));
    tellOf(changes.filter((change) => !isEarly(change)));
  });
  machines.subscribe(({ size }) => {
    if (size === 0 || held.length === 0) return;
    const known = held;
    held = [];
    tellOf(known);
  });
}

function tellOf(changes: readonly Change[]): void {
  for (const change of changes) {
    const { node } = change;
    // Nobody could answer it, nor knows whether it is still so.
    if (isCutOff(node)) continue;
    const kind = kindOf(change);
    if (kind === null) continue;
    const name = visible(nameOf(node));
    const { title, body } = words(kind, name, node);
    if (kind === 'waits') announce(title);
    if (!tellingOn.peek() || permission.peek() !== 'granted' || !isLeader()) continue;
    if (!isWanted(kind, telling.peek()[node.id] ?? 'all')) continue;
    if (isSeen(node.id, presences(), Date.now())) continue;
    void tell(title, { body: visible(body), tag: `hypi:${node.id}`, data: hashOf(node.id), icon: 'icon.svg' });
  }
}

async function tell(title: string, options: NotificationOptions): Promise<void> {
  const worker = await registration;
  try {
    if (worker !== null) await worker.showNotification(title, options);
    else new Notification(title, options);
  } catch {
    // The permission has been withdrawn, which the settings show.
    permission.value = Notification.permission;
  }
}

/** Null if the browser has none for this page. */
async function registerWorker(): Promise<ServiceWorkerRegistration | null> {
  if (!('serviceWorker' in navigator)) return null;
  navigator.serviceWorker.addEventListener('message', ({ data }) => {
    const hash = (data as { open?: unknown } | null)?.open;
    if (typeof hash !== 'string') return;
    open(agentOf(hash));
  });
  try {
    await navigator.serviceWorker.register(workerUrl());
    return await navigator.serviceWorker.ready;
  } catch {
    return null;
  }
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(): string }): { createScriptURL(input: string): string };
}

/** The only script URL that this page makes, a constant. The page's policy demands a trusted type for it. */
function workerUrl(): string {
  const { trustedTypes } = window as { trustedTypes?: TrustedTypes };
  return trustedTypes?.createPolicy('hypivisor', { createScriptURL: () => 'sw.js' }).createScriptURL('') ?? 'sw.js';
}
