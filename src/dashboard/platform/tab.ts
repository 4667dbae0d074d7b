/**
 * This tab among the others of its browser: what one of them owns in storage is taken over once it has ended, by one alone.
 *
 * A tab holds a lock of its name for as long as it lives. Browsers have no locks for pages that come neither from localhost
 * nor over TLS. There a tab is asked; one that does not answer may have ended, or sleep. Its name outlives a reload then, so
 * that it knows its own things again.
 */

const NAME_KEY = 'pi-de.tab';
/** The browser may be late to let go of the locks of a tab that has ended. */
const LOCK_PATIENCE_MS = 3000;
const ANSWER_PATIENCE_MS = 1000;

const hasLocks = 'locks' in navigator;

/** The name of this tab. */
export const OWN_TAB = hasLocks ? newName() : nameOverReload();

const lockOf = (tab: string) => `pi-de.tab.${tab}`;
const channel = hasLocks ? null : new BroadcastChannel('pi-de.tabs');
if (hasLocks) navigator.locks.request(lockOf(OWN_TAB), () => new Promise(() => {})).catch(() => {});
channel?.addEventListener('message', ({ data }) => {
  if ((data as { wanted?: unknown }).wanted === OWN_TAB) channel.postMessage({ lives: OWN_TAB });
});

/**
 * Calls `act` if that tab has ended, while no other tab does so for it. Never if it is this one.
 *
 * @param act with false if the tab may only be asleep
 */
export function takeOver(tab: string, act: (isSure: boolean) => void): void {
  if (tab === OWN_TAB) return;
  if (channel === null) {
    const signal = AbortSignal.timeout(LOCK_PATIENCE_MS);
    navigator.locks.request(lockOf(tab), { signal }, () => act(true)).catch(() => {});
    return;
  }
  const heard = ({ data }: MessageEvent) => {
    if ((data as { lives?: unknown }).lives === tab) done(false);
  };
  const timer = setTimeout(() => done(true), ANSWER_PATIENCE_MS);
  const done = (isSilent: boolean) => {
    clearTimeout(timer);
    channel.removeEventListener('message', heard);
    if (isSilent) act(false);
  };
  channel.addEventListener('message', heard);
  channel.postMessage({ wanted: tab });
}

function newName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function nameOverReload(): string {
  try {
    const name = sessionStorage.getItem(NAME_KEY) ?? newName();
    sessionStorage.setItem(NAME_KEY, name);
    return name;
  } catch {
    return newName();
  }
}
