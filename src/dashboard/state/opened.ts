/** The agent that is open, which the address names. */
import { signal } from '@preact/signals';
import { agentOf, hashOf } from './place.ts';

/** Null for the roster. */
export const openId = signal<string | null>(agentOf(location.hash));

/** Null for the roster. */
export function open(id: string | null): void {
  if (id === openId.peek()) return;
  history.pushState(null, '', location.pathname + location.search + hashOf(id));
  openId.value = id;
}

function showPlace(): void {
  openId.value = agentOf(location.hash);
}

/** From now on the open agent follows the address, so the browser's Back works. */
export function followAddress(): void {
  showPlace();
  addEventListener('popstate', showPlace);
  addEventListener('hashchange', showPlace);
}
