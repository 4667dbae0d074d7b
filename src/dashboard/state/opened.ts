/** The agent that is open, as the address says. */
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

/** From now on the browser's own way back is one here. */
export function followAddress(): void {
  showPlace();
  addEventListener('popstate', showPlace);
  addEventListener('hashchange', showPlace);
}
