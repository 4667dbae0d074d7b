/**
 * Connects a conversation's state to agent and views: the agent's messages come in, at most one commit a frame goes to
 * the views, and the person's actions go to the agent. It outlives the view, so that coming back resumes where it was.
 */
import { computed, type ReadonlySignal, signal } from '@preact/signals';
import type { AgentRequest, Attachment, Delivery } from '../../protocol/agent.ts';
import type { Position } from '../../protocol/subprotocol.ts';
import type { AgentLink, AgentListener, Dialect } from '../link/agent-link.ts';
import { announce } from '../platform/announce.ts';
import { OWN_TAB, takeOver } from '../platform/tab.ts';
import {
  answerFailed,
  answering,
  type Conversation,
  connectionLost,
  EMPTY,
  firstIndex,
  type MessageEntry,
  type Prompt,
  trim,
} from './conversation.ts';
import {
  forgetPrompt,
  isTaken,
  type KeptPrompt,
  keepPrompt,
  loadFiles,
  loadOutbox,
  moveDraft,
  saveFiles,
} from './drafts.ts';
import { textOf } from './message.ts';
import { addPrompt, dropPrompt, updatePrompt } from './outbox.ts';
import { receive } from './receive.ts';
import { AT_BOTTOM, type Scroll } from './scroll.ts';

const HISTORY_PAGE = 50;
/** If an agent does not answer a request for history in this time, it may be asked again. */
const HISTORY_TIMEOUT_MS = 15_000;
/** Text being written appears in steps of this. Twice as often is no easier to read, and costs half as much again. */
const COMMIT_INTERVAL_MS = 100;
const HIDDEN_INTERVAL_MS = 250;
/** If two gaps are closer than this, the network is not the cause. */
const GAP_PAUSE_MS = 5000;
/** Conversations kept while others are open. */
const MAX_SESSIONS = 12;

export class Session implements AgentListener {
  readonly nodeId: string;
  readonly conversation: ReadonlySignal<Conversation>;
  readonly loadingOlder = signal(false);
  /** The stop button was pressed, and the agent has not stopped yet. */
  readonly stopping = signal(false);
  /** Where the transcript was when it was left. */
  scroll: Scroll = AT_BOTTOM;
  readonly #committed = signal<Conversation>(EMPTY);
  #state: Conversation = EMPTY;
  #scheduled = false;
  #committedAt = 0;
  #gapAt = 0;
  #link: AgentLink | null = null;
  /** Prompts whose files are being fetched, with how many there are. */
  readonly #incomplete = new Map<string, number>();
  #acks = new Map<string, (error: string | null) => void>();
  #olderTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(nodeId: string) {
    this.nodeId = nodeId;
    this.conversation = computed(() => this.#committed.value);
    this.#take(loadOutbox(nodeId).filter(({ tab }) => tab === OWN_TAB));
  }

  /** Prompts of tabs that have ended are this one's from now on, unless another takes them. */
  #takeFromEnded(): void {
    for (const ended of new Set(loadOutbox(this.nodeId).map(({ tab }) => tab))) {
      takeOver(ended, (isSure) => {
        const left = loadOutbox(this.nodeId).filter(({ tab }) => tab === ended);
        this.#take(isSure ? left : left.map((kept) => ({ ...kept, prompt: unlessSent(kept.prompt) })));
        this.#flush();
      });
    }
  }

  #take(kept: readonly KeptPrompt[]): void {
    const here = new Set(this.#state.outbox.map(({ id }) => id));
    const added = kept.filter(({ prompt }) => !here.has(prompt.id));
    if (added.length === 0) return;
    for (const { prompt, files } of added) if (files > 0) this.#incomplete.set(prompt.id, files);
    const prompts = added.map(({ prompt }) => prompt);
    this.#change((state) => ({
      ...state,
      outbox: [...state.outbox, ...prompts].sort((one, other) => one.sentAt - other.sentAt),
    }));
    for (const { prompt, files } of added) if (files > 0) this.#fetchFiles(prompt.id, files);
  }

  /** Until its files are there again, a prompt that waits is not sent. */
  async #fetchFiles(id: string, count: number): Promise<void> {
    const attachments = await loadFiles(filesKey(this.nodeId, id));
    this.#incomplete.delete(id);
    if (attachments.length < count) {
      const error = 'Its files are gone. Discard it, and write it again.';
      this.#change((state) => updatePrompt(state, id, { status: 'failed', error }));
      return;
    }
    this.#change((state) => updatePrompt(state, id, { attachments }));
    this.#flush();
  }

  /** @returns a function that ends it */
  attach(link: AgentLink): () => void {
    this.#link = link;
    let wasLive = false;
    const detach = link.attach(this);
    const unsubscribe = link.status.subscribe(({ phase }) => {
      const live = phase === 'live';
      if (live && !wasLive) this.#flush();
      if (!live && wasLive) this.#connectionLost();
      wasLive = live;
    });
    const abort = new AbortController();
    const look = () => {
      if (document.visibilityState === 'visible') this.#takeFromEnded();
    };
    look();
    addEventListener('focus', look, { signal: abort.signal });
    document.addEventListener('visibilitychange', look, { signal: abort.signal });
    return () => {
      abort.abort();
      unsubscribe();
      detach();
      if (wasLive) this.#connectionLost();
      this.#link = null;
    };
  }

  // From the agent

  position(): Position | null {
    return this.#state.position;
  }

  message(message: { type?: unknown }, dialect: Dialect): void {
    const before = this.#state;
    let state = receive(before, message, dialect, Date.now());
    // Trimming removes the beginning, which is out of sight while the end is followed.
    if (state.entries !== before.entries && this.scroll.mode === 'following') state = trim(state);
    this.#set(state);
    if (state.gap && !before.gap) this.#askForSnapshot();
    if (message.type === 'history_page') this.#olderArrived();
    if (message.type === 'attach_file_ack') {
      const { filename, success, error } = message as { filename?: unknown; success?: unknown; error?: unknown };
      this.#acks.get(String(filename))?.(success === true ? null : String(error ?? 'The agent did not take the file.'));
    }
    this.#tell(before, state);
  }

  /** Connects without a position; waits in between if an agent's events never fit together. */
  #askForSnapshot(): void {
    const now = Date.now();
    const again = now - this.#gapAt < GAP_PAUSE_MS;
    this.#gapAt = now;
    if (again) setTimeout(() => this.#link?.reconnect(), GAP_PAUSE_MS);
    else this.#link?.reconnect();
  }

  replaced(successor: string): void {
    moveDraft(this.nodeId, successor);
  }

  #tell(before: Conversation, state: Conversation): void {
    if (state.questions.length > before.questions.length && before.dialect !== null) {
      announce(`The agent asks: ${state.questions.at(-1)?.title}`);
    }
    if (before.activity.state === 'working' && state.activity.state !== 'working') {
      this.stopping.value = false;
      const last = state.entries.findLast((entry) => entry.kind === 'message' && entry.message.role === 'assistant');
      const text = last === undefined ? '' : textOf((last as MessageEntry).message);
      if (state.activity.state === 'failed') announce(`The agent failed. ${state.activity.error ?? ''}`);
      else if (state.activity.state === 'idle') announce(`The agent has finished. ${text.slice(0, 160)}`);
    }
  }

  #connectionLost(): void {
    for (const settle of this.#acks.values()) settle('The connection was lost before the file had arrived.');
    this.#acks.clear();
    this.#olderArrived();
    this.stopping.value = false;
    this.#change(connectionLost);
  }

  // From the person

  send(text: string, attachments: readonly Attachment[], deliver: Delivery): void {
    const id = newId();
    const prompt: Prompt = { id, text, attachments, deliver, status: 'waiting', error: null, sentAt: Date.now() };
    if (attachments.length > 0) saveFiles(filesKey(this.nodeId, id), attachments);
    this.#change((state) => addPrompt(state, prompt));
    this.#deliver(prompt);
  }

  /** Repeats a prompt that failed, or whose outcome is unknown. An agent that has it already does not take it twice. */
  repeat(id: string): void {
    const prompt = this.#state.outbox.find((candidate) => candidate.id === id);
    if (prompt === undefined) return;
    // Under its old id an agent would only say again that it failed.
    const again: Prompt = { ...prompt, id: prompt.status === 'failed' ? newId() : id, status: 'waiting', error: null };
    this.#change((state) => addPrompt(dropPrompt(state, id), again));
    if (again.attachments.length > 0) saveFiles(filesKey(this.nodeId, again.id), again.attachments);
    this.#deliver(again);
  }

  discard(id: string): void {
    this.#change((state) => dropPrompt(state, id));
  }

  removeQueued(id: string): void {
    this.#request({ type: 'queue_remove', id });
  }

  steerQueued(id: string): void {
    this.#request({ type: 'queue_steer', id });
  }

  stop(): void {
    if (this.#request({ type: 'abort' })) this.stopping.value = true;
  }

  answer(id: string, value: string | boolean): void {
    this.#change((state) => answering(state, id, value));
    if (!this.#request({ type: 'answer', id, value, client: clientName() })) this.#answerFailed(id);
  }

  dismiss(id: string): void {
    this.#change((state) => answering(state, id, null));
    if (!this.#request({ type: 'dismiss', id, client: clientName() })) this.#answerFailed(id);
  }

  #answerFailed(id: string): void {
    this.#change((state) => answerFailed(state, id, 'There is no connection to the agent.'));
  }

  /** Asks for the messages before the oldest one here. */
  loadOlder(): void {
    if (this.loadingOlder.peek() || !this.#state.hasOlder) return;
    if (!this.#request({ type: 'fetch_history', before: firstIndex(this.#state), limit: HISTORY_PAGE })) return;
    this.loadingOlder.value = true;
    this.#olderTimer = setTimeout(() => this.#olderArrived(), HISTORY_TIMEOUT_MS);
  }

  #olderArrived(): void {
    clearTimeout(this.#olderTimer);
    this.loadingOlder.value = false;
  }

  loadWhole(index: number): void {
    this.#request({ type: 'fetch_message', index });
  }

  listCommands(): void {
    this.#request({ type: 'list_commands' });
  }

  listFiles(prefix: string): void {
    this.#request({ type: 'list_files', prefix });
  }

  #flush(): void {
    for (const prompt of this.#state.outbox) {
      if (prompt.status !== 'waiting') continue;
      if (isTaken(this.nodeId, prompt.id)) this.#leave(prompt.id);
      else this.#deliver(prompt);
    }
  }

  /** Another tab has it now. */
  #leave(id: string): void {
    this.#state = dropPrompt(this.#state, id);
    this.#commit();
  }

  #deliver(prompt: Prompt): void {
    if (this.#link?.status.peek().phase !== 'live' || this.#incomplete.has(prompt.id)) return;
    if (this.#link.status.peek().dialect === 'delta') {
      const { id, text, attachments, deliver } = prompt;
      const request: AgentRequest = { type: 'prompt', id, text, deliver, client: clientName() };
      if (attachments.length > 0) request.attachments = [...attachments];
      if (this.#request(request)) this.#change((state) => updatePrompt(state, id, { status: 'sending' }));
    } else {
      this.#change((state) => updatePrompt(state, prompt.id, { status: 'sending' }));
      this.#deliverClassic(prompt).catch((error: Error) => {
        this.#change((state) => updatePrompt(state, prompt.id, { status: 'failed', error: error.message }));
      });
    }
  }

  /** A classic agent takes files one by one before the text, and the text as it is. */
  async #deliverClassic({ id, text, attachments }: Prompt): Promise<void> {
    for (const { filename, data, mimeType } of attachments) {
      const error = await new Promise<string | null>((resolve) => {
        this.#acks.set(filename, resolve);
        const request: AgentRequest = { type: 'attach_file', filename, content: data };
        if (mimeType !== undefined) request.mimeType = mimeType;
        if (!this.#request(request)) resolve('There is no connection to the agent.');
      });
      this.#acks.delete(filename);
      if (error !== null) throw new Error(error);
    }
    if (!this.#link?.send(text)) throw new Error('There is no connection to the agent.');
    // While it works it queues prompts, but does not say so.
    if (this.#state.activity.state === 'working')
      this.#change((state) => updatePrompt(state, id, { status: 'queued' }));
  }

  #request(request: AgentRequest): boolean {
    return this.#link?.send(request) ?? false;
  }

  // Commits

  /** Shows a change by the person at once. */
  #change(change: (state: Conversation) => Conversation): void {
    const state = change(this.#state);
    if (state === this.#state) return;
    this.#set(state);
    this.#commit();
  }

  #set(state: Conversation): void {
    if (state === this.#state) return;
    if (state.outbox !== this.#state.outbox) this.#keepOutbox(this.#state.outbox, state.outbox);
    this.#state = state;
    if (this.#scheduled) return;
    this.#scheduled = true;
    const early = this.#committedAt + COMMIT_INTERVAL_MS - performance.now();
    // A hidden page gets no frames, and nobody sees it.
    if (document.hidden) setTimeout(() => this.#commit(), HIDDEN_INTERVAL_MS);
    else if (early <= 0) requestAnimationFrame(() => this.#commit());
    else setTimeout(() => requestAnimationFrame(() => this.#commit()), early);
  }

  #keepOutbox(before: readonly Prompt[], outbox: readonly Prompt[]): void {
    const known = new Set(before);
    for (const prompt of outbox) {
      if (known.has(prompt)) continue;
      keepPrompt(this.nodeId, prompt, this.#incomplete.get(prompt.id) ?? prompt.attachments.length);
    }
    const ids = new Set(outbox.map(({ id }) => id));
    for (const { id, attachments } of before) {
      if (ids.has(id)) continue;
      forgetPrompt(this.nodeId, id);
      if (attachments.length > 0 || this.#incomplete.has(id)) saveFiles(filesKey(this.nodeId, id), []);
    }
  }

  #commit(): void {
    this.#scheduled = false;
    this.#committedAt = performance.now();
    this.#committed.value = this.#state;
  }
}

/** A prompt of a tab that may only be asleep. That tab may still send it, so it is not sent from here by itself. */
function unlessSent(prompt: Prompt): Prompt {
  return prompt.status === 'waiting' ? { ...prompt, status: 'unknown' } : prompt;
}

const filesKey = (nodeId: string, promptId: string) => `${nodeId} ${promptId}`;

const sessions = new Map<string, Session>();

/** The conversation with an agent; the latest ones are kept. */
export function sessionOf(nodeId: string): Session {
  const session = sessions.get(nodeId) ?? new Session(nodeId);
  sessions.delete(nodeId);
  sessions.set(nodeId, session);
  for (const [id] of sessions) {
    if (sessions.size <= MAX_SESSIONS) break;
    sessions.delete(id);
  }
  return session;
}

/** Pages that are not on localhost nor behind TLS have no `randomUUID`. */
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** This page's name for others to read: "answered by Pi-DE on Linux". */
function clientName(): string {
  const agent = navigator as Navigator & { userAgentData?: { platform?: string } };
  const platform =
    agent.userAgentData?.platform || /iPhone|iPad|Android|Mac|Windows|Linux/.exec(navigator.userAgent)?.[0];
  return platform ? `Pi-DE on ${platform}` : 'Pi-DE';
}
