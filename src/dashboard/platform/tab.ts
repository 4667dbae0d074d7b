/**
 * The name of this tab, and what happens to the things in storage that a tab of this browser owned when it has ended: one of
 * the others takes them over.
 *
 * A tab holds a lock of its name as long as it lives. Browsers give locks only to pages from localhost or over TLS. For other
 * pages the tab is asked by a message. If it does not answer, it has ended, or it is asleep. Without locks a tab keeps its
 * name over a reload, so that it finds its own things again.
 */

const NAME_KEY = 'pi-de.tab';
/** How long to wait for the lock of a tab that has just ended: browsers may free it late. */
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
 * Calls `act` if that tab has ended. Only one tab at a time does this for it, and never the tab itself.
 *
 * @param act called with false if the tab may only be asleep
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
