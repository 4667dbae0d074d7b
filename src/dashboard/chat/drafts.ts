/**
 * Texts and files that no agent has taken yet. This browser keeps them for each agent over switching, reload and
 * reconnect: texts in localStorage, which can be read at once; files in IndexedDB, which has room for them.
 */
import type { Attachment } from '../../protocol/agent.ts';
import { load, save } from '../platform/storage.ts';
import type { Prompt } from './outbox.ts';

const draftKey = (nodeId: string) => `pi-de.draft.${nodeId}`;
const outboxKey = (nodeId: string) => `pi-de.outbox.${nodeId}`;

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
}

/** Prompts whose outcome was not known when the page was left. */
export function loadOutbox(nodeId: string): KeptPrompt[] {
  const kept = load(outboxKey(nodeId));
  if (!Array.isArray(kept)) return [];
  return kept.filter(isPrompt).map(({ files, ...prompt }): KeptPrompt => {
    const { status } = prompt;
    const lost = status === 'sending' || status === 'queued';
    return { prompt: { ...prompt, attachments: [], status: lost ? 'unknown' : status }, files: Number(files) || 0 };
  });
}

export function saveOutbox(nodeId: string, outbox: readonly Prompt[]): void {
  const kept = outbox.map((prompt) => ({ ...prompt, attachments: [], files: prompt.attachments.length }));
  save(outboxKey(nodeId), kept.length === 0 ? undefined : kept);
}

function isPrompt(value: unknown): value is Prompt & { files?: unknown } {
  if (typeof value !== 'object' || value === null) return false;
  const { id, text, status } = value as Record<string, unknown>;
  return typeof id === 'string' && typeof text === 'string' && typeof status === 'string';
}

// Files

const DATABASE = 'pi-de';
const STORE = 'files';

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
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
    await new Promise<void>((resolve, reject) => {
      change.oncomplete = () => resolve();
      change.onabort = () => reject(change.error);
    });
  } catch {
    // The files are not kept over a reload then.
  }
}
