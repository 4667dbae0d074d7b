/** Keys → actions. */
import { ACTIONS, type Action, isTyping } from './actions.ts';
import { dialog } from './state/dialogs.ts';

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/** A key as the list of actions has it. */
function nameOf(event: KeyboardEvent): string | null {
  const mod = isMac ? event.metaKey : event.ctrlKey;
  const other = isMac ? event.ctrlKey : event.metaKey;
  if (other || event.altKey) return null;
  return mod ? `Mod+${event.key.toLowerCase()}` : event.key;
}

/** Keys that a control in focus uses itself. */
const isItsOwn = (key: string, element: Element | null): boolean =>
  key === 'Enter' && element instanceof HTMLElement && element.matches('button, a[href], summary, [role="button"]');

export function listenToKeys(): void {
  document.addEventListener('keydown', (event) => {
    // Another listener has handled it, or it composes a character.
    if (event.defaultPrevented || event.isComposing) return;
    const key = nameOf(event);
    if (key === null) return;
    const action = ACTIONS.find(({ keys }) => keys.includes(key));
    if (action === undefined || !isFree(action, key)) return;
    event.preventDefault();
    action.run();
  });
}

function isFree(action: Action, key: string): boolean {
  const { activeElement } = document;
  if (!action.everywhere && (isTyping(activeElement) || dialog.peek() !== null || isItsOwn(key, activeElement)))
    return false;
  if (action.id === 'back' && dialog.peek() !== null) return false;
  return action.available?.() ?? true;
}

/** `Mod+k` → `⌘K` or `Ctrl K`, for reading. */
export function keyInWords(key: string): string {
  if (key === 'Escape') return 'Esc';
  if (!key.startsWith('Mod+')) return key;
  const letter = key.slice('Mod+'.length).toUpperCase();
  return isMac ? `⌘${letter}` : `Ctrl ${letter}`;
}
