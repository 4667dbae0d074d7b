/**
 * Everything that a key does. This list feeds the keys, the palette and the help alike.
 *
 * The browser's own keys (Mod+T, W, N, 1–9) are left to it. While somebody types, only Mod+K and Esc work.
 */
import { effect } from '@preact/signals';
import { type ChatCommands, chatCommands } from './chat/contract.ts';
import { closeTopLayer } from './platform/layers.ts';
import { give } from './state/answers.ts';
import { live, retryNow } from './state/connection.ts';
import { dialog, show } from './state/dialogs.ts';
import { counts, nodes } from './state/fleet.ts';
import { machines } from './state/network.ts';
import { open, openId } from './state/opened.ts';
import { nextWaiting } from './state/order.ts';
import { inspectorOpen } from './state/prefs.ts';
import { cursor, moveCursor } from './view/roster.tsx';
import { focusSearch } from './view/roster-pane.tsx';

export interface Action {
  id: string;
  label: string;
  /** As `KeyboardEvent.key` has it; `Mod+` is Ctrl, or ⌘ on a Mac. */
  keys: readonly string[];
  group: 'Moving' | 'Agent' | 'Page';
  /** Works also while somebody types. */
  everywhere?: boolean;
  /** Not in the palette: it makes sense only as a key. */
  keyOnly?: boolean;
  /** Whether it would do something now. */
  available?(): boolean;
  run(): void;
}

/** The chat of an agent that has just been opened may still be loading: commands to it wait for at most this long. */
const CHAT_PATIENCE_MS = 3000;

function chat(command: (commands: ChatCommands) => void): void {
  let isOver = false;
  const stop = effect(() => {
    if (isOver || chatCommands.value === null) return;
    isOver = true;
    command(chatCommands.value);
  });
  if (isOver) stop();
  else setTimeout(stop, CHAT_PATIENCE_MS);
}

const isOpen = () => openId.value !== null;
const confirmOf = () => {
  const node = nodes.value.get(cursor.value ?? openId.value ?? '');
  return node?.question?.kind === 'confirm' ? { id: node.id, question: node.question } : null;
};

/** The open chat answers the question that it shows; the roster's row answers any other. */
function answer(yes: boolean): void {
  const asked = confirmOf();
  if (asked !== null && asked.id !== openId.peek()) void give(asked.id, asked.question.id, yes);
  else chat((commands) => commands.answer(yes));
}

export const ACTIONS: readonly Action[] = [
  {
    id: 'down',
    label: 'Next agent in the roster',
    keys: ['j'],
    group: 'Moving',
    keyOnly: true,
    run: () => moveCursor(1),
  },
  {
    id: 'up',
    label: 'Previous agent in the roster',
    keys: ['k'],
    group: 'Moving',
    keyOnly: true,
    run: () => moveCursor(-1),
  },
  {
    id: 'open',
    label: 'Open it',
    keys: ['Enter'],
    group: 'Moving',
    keyOnly: true,
    available: () => cursor.value !== null,
    run: () => open(cursor.peek()),
  },
  {
    id: 'next',
    label: 'Next that waits, failed or finished',
    keys: ['n'],
    group: 'Moving',
    available: () => nextWaiting() !== null,
    run: () => {
      const id = nextWaiting();
      if (id !== null) open(id);
    },
  },
  { id: 'search', label: 'Search agents', keys: ['/'], group: 'Moving', run: focusSearch },
  {
    id: 'back',
    label: 'Back: close what is open, or to the roster',
    keys: ['Escape'],
    group: 'Moving',
    everywhere: true,
    keyOnly: true,
    run: back,
  },
  {
    id: 'compose',
    label: 'Write to the agent',
    keys: ['c'],
    group: 'Agent',
    available: isOpen,
    run: () => chat((commands) => commands.compose()),
  },
  {
    id: 'stop',
    label: 'Stop the agent',
    keys: ['s'],
    group: 'Agent',
    available: isOpen,
    run: () => chat((commands) => commands.stop()),
  },
  {
    id: 'yes',
    label: 'Answer yes',
    keys: ['y'],
    group: 'Agent',
    available: () => isOpen() || confirmOf() !== null,
    run: () => answer(true),
  },
  {
    id: 'no',
    label: 'Answer no',
    keys: ['N'],
    group: 'Agent',
    available: () => isOpen() || confirmOf() !== null,
    run: () => answer(false),
  },
  {
    id: 'bottom',
    label: 'To the newest message',
    keys: ['.'],
    group: 'Agent',
    available: isOpen,
    run: () => chat((commands) => commands.toBottom()),
  },
  {
    id: 'inspector',
    label: 'Show or hide the inspector',
    keys: ['i'],
    group: 'Agent',
    available: isOpen,
    run: () => (inspectorOpen.value = !inspectorOpen.peek()),
  },
  {
    id: 'palette',
    label: 'Command palette',
    keys: ['Mod+k'],
    group: 'Page',
    everywhere: true,
    run: () => show('palette'),
  },
  {
    id: 'spawn',
    label: 'Start an agent',
    keys: ['a'],
    group: 'Page',
    available: () => live.value,
    run: () => show('spawn'),
  },
  {
    id: 'stop-all',
    label: 'Stop all that work',
    keys: [],
    group: 'Page',
    available: () => live.value && counts.value.working > 0,
    run: () => show('stop-all'),
  },
  {
    id: 'machines',
    label: 'Machines',
    keys: ['m'],
    group: 'Page',
    available: () => machines.value.size > 0,
    run: () => show('machines'),
  },
  { id: 'share', label: 'Open on a phone: address and QR code', keys: [], group: 'Page', run: () => show('share') },
  { id: 'settings', label: 'Settings', keys: [], group: 'Page', run: () => show('settings') },
  { id: 'retry', label: 'Connect now', keys: [], group: 'Page', available: () => !live.value, run: retryNow },
  { id: 'help', label: 'All keys', keys: ['?'], group: 'Page', run: () => show('help') },
];

function back(): void {
  // A dialog is closed by the browser itself.
  if (dialog.peek() !== null || closeTopLayer()) return;
  const { activeElement } = document;
  if (isTyping(activeElement)) {
    (activeElement as HTMLElement).blur();
    return;
  }
  if (cursor.peek() !== null) cursor.value = null;
  else if (openId.peek() !== null) open(null);
}

export const isTyping = (element: Element | null): boolean =>
  element instanceof HTMLElement &&
  (element.isContentEditable ||
    element.matches('textarea, select, input:not([type="checkbox"], [type="radio"], [type="button"], [type="range"])'));
