/**
 * Texts and files that no agent has taken yet. This browser keeps them for each agent over switching, reload and
 * reconnect: texts in localStorage, which can be read at once; files in IndexedDB, which has room for them.
 */
import type { Attachment } from '../../protocol/agent.ts';
import { keysBehind, load, save } from '../platform/storage.ts';
import { OWN_TAB } from '../platform/tab.ts';
import type { Prompt } from './conversation.ts';

const draftKey = (nodeId: string) => `pi-de.draft.${nodeId}`;

export function loadDraft(nodeId: string): string {
  const text = load(draftKey(nodeId));
  return typeof text === 'string' ? text : '';
}

export function saveDraft(nodeId: string, text: string): void {
  save(draftKey(nodeId), text === '' ? undefined : text);
}

/** Moves an agent's draft to the agent that takes its place, unless that has a draft. */
export function moveDraft(from: string, to: string): void {
  const text = loadDraft(from);
  if (text !== '' && loadDraft(to) === '') {
    saveDraft(to, text);
    saveDraft(from, '');
  }
}

/** A change of this key tells other tabs of new files, which IndexedDB does not. */
const filesMarkKey = (nodeId: string) => `pi-de.files.${nodeId}`;

/** Keeps the files that go with a draft, and lets other tabs know. */
export async function saveDraftFiles(nodeId: string, files: readonly Attachment[]): Promise<void> {
  await saveFiles(nodeId, files);
  save(filesMarkKey(nodeId), files.length === 0 ? undefined : Math.random());
}

/**
 * All tabs of a browser share one draft for each agent. A change in one tab shows in the others at once, so that none
 * overwrites a text that it has not shown. A frozen tab hears of no change, so it looks when it wakes.
 *
 * @returns a function that ends it
 */
export function watchDraft(nodeId: string, changed: { text(): void; files(): void }): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  addEventListener(
    'storage',
    ({ key }) => {
      // Null: the whole storage was cleared.
      if (key === draftKey(nodeId) || key === null) changed.text();
      if (key === filesMarkKey(nodeId) || key === null) changed.files();
    },
    { signal },
  );
  for (const event of ['focus', 'pageshow']) addEventListener(event, changed.text, { signal });
  document.addEventListener('visibilitychange', changed.text, { signal });
  return () => abort.abort();
}

/** A prompt as it is kept: its files are in IndexedDB, by its id. */
export interface KeptPrompt {
  readonly prompt: Prompt;
  /** How many files go with it. */
  readonly files: number;
  /** The name of the tab that sends it, and no other does. */
  readonly tab: string;
}

/** Each prompt is an entry of its own, so that no tab overwrites what another has kept. */
const promptKey = (nodeId: string, id: string) => `${promptPrefix(nodeId)}${id}`;
const promptPrefix = (nodeId: string) => `pi-de.outbox.${nodeId} `;

/** Prompts of all tabs whose outcome was not known when they were kept, the oldest first. */
export function loadOutbox(nodeId: string): KeptPrompt[] {
  return keysBehind(promptPrefix(nodeId))
    .map((id) => loadPrompt(nodeId, id))
    .filter((kept) => kept !== null)
    .sort((one, other) => one.prompt.sentAt - other.prompt.sentAt);
}

/** Null if there is none, or it is of an agent whose id begins with that of this one. */
function loadPrompt(nodeId: string, id: string): KeptPrompt | null {
  const kept = load(promptKey(nodeId, id));
  if (!isPrompt(kept) || kept.id !== id) return null;
  const { files, tab, ...prompt } = kept;
  const { status } = prompt;
  const lost = status === 'sending' || status === 'queued';
  return {
    prompt: { ...prompt, attachments: [], status: lost ? 'unknown' : status },
    files: Number(files) || 0,
    tab: String(tab),
  };
}

/** Whether another tab has taken it over: this one seemed to have ended. */
export function isTaken(nodeId: string, id: string): boolean {
  const kept = loadPrompt(nodeId, id);
  return kept !== null && kept.tab !== OWN_TAB;
}

/** @param files how many go with it, which may not have been loaded yet */
export function keepPrompt(nodeId: string, prompt: Prompt, files: number): void {
  save(promptKey(nodeId, prompt.id), { ...prompt, attachments: [], files, tab: OWN_TAB });
}

export function forgetPrompt(nodeId: string, id: string): void {
  save(promptKey(nodeId, id), undefined);
}

function isPrompt(value: unknown): value is Prompt & { files?: unknown; tab?: unknown } {
  if (typeof value !== 'object' || value === null) return false;
  const { id, text, status, sentAt } = value as Record<string, unknown>;
  return typeof id === 'string' && typeof text === 'string' && typeof status === 'string' && typeof sentAt === 'number';
}

// Files

const DATABASE = 'pi-de';
const STORE = 'files';

let opened: Promise<IDBDatabase> | null = null;

/** Opened once: opening takes a while, in which a page that is being left would lose a change. */
function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      // The browser closes it if the person deletes the data of this page, for example.
      request.result.onclose = forget;
      resolve(request.result);
    };
    request.onerror = () => {
      forget();
      reject(request.error);
    };
  });
  return opened;
}

function forget(): void {
  opened = null;
}

/** Resolves to an empty list if there are none, or the browser keeps nothing for this page. */
export async function loadFiles(nodeId: string): Promise<Attachment[]> {
  try {
    const db = await database();
    return await new Promise((resolve) => {
      const request = db.transaction(STORE).objectStore(STORE).get(nodeId);
      request.onsuccess = () => resolve(Array.isArray(request.result) ? request.result : []);
      request.onerror = () => resolve([]);
    });
  } catch {
    return [];
  }
}

/** Resolves once they are kept, or once that has failed. */
export async function saveFiles(nodeId: string, files: readonly Attachment[]): Promise<void> {
  try {
    const change = (await database()).transaction(STORE, 'readwrite');
    const store = change.objectStore(STORE);
    if (files.length === 0) store.delete(nodeId);
    else store.put([...files], nodeId);
    // At once: a page that is left before it commits loses the change.
    change.commit();
    await new Promise<void>((resolve, reject) => {
      change.oncomplete = () => resolve();
      change.onabort = () => reject(change.error);
    });
  } catch {
    // The files are not kept over a reload then.
  }
}
