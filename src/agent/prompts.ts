/**
 * The prompts that clients have sent and pi has not taken in yet. Pure: `now` comes in, orders for pi go out.
 *
 *   submit ──▶ WAITING ──(pi is free, or it is to steer)──▶ SENT ──(its message appears)──▶ delivered
 *                 │  └──(remove, abort)──▶ removed            └──(pi never takes it)──▶ failed, or WAITING once more
 *
 * pi tells nobody when it loses a prompt, and it loses the second of two that come while it is idle. So one is sent at a
 * time, the next only when the run of the one before has ended, and a prompt counts as delivered when its own message
 * appears. To steer, several may be sent while a run is under way.
 */
import { AGENT_LIMITS, type Delivery, type PromptOutcome, type QueueEntry } from '../protocol/agent.ts';
import type { PiContent } from './pi.ts';

/** How long pi may take to begin with a prompt: other extensions have their say before it. */
const ACCEPT_TIMEOUT_MS = 30_000;
/** How long somebody who pressed Enter in the terminal goes first. */
const YIELD_MS = 2000;
/** A run that failed may be tried again by pi itself, which older pis tell nobody. */
const RETRY_MS = 30_000;
/** Outcomes that are remembered, for clients that come back. */
const MAX_OUTCOMES = 64;
const MAX_ATTEMPTS = 2;

export interface Prompt {
  id: string;
  text: string;
  content: PiContent;
  deliver: Delivery;
  attachments: number;
  client: string | null;
  /** It is a command that makes no message of its own. */
  isCommand: boolean;
}

interface Entry extends Prompt {
  queuedAt: number;
  /** When it was sent to pi; null while it waits. */
  sentAt: number | null;
  attempts: number;
}

export interface PromptsSink {
  /** Gives the prompt to pi, now. What it throws is why it failed. */
  send(content: PiContent, deliver: Delivery, isCommand: boolean): void;
  /** pi can take a prompt. */
  isFree(): boolean;
  /** pi itself holds messages that it has not begun with. */
  holdsMessages(): boolean;
  onOutcome(outcome: PromptOutcome): void;
  /** The queue is another one. */
  onQueue(): void;
  /** Call `proceed` in so many milliseconds. */
  onDue(delayMs: number): void;
}

export class Prompts {
  readonly #sink: PromptsSink;
  #entries: Entry[] = [];
  readonly #outcomes = new Map<string, PromptOutcome>();
  /** Texts that were typed into the terminal and have not appeared as messages yet. */
  #typed: string[] = [];
  #yieldUntil = 0;
  /** What waited before a run failed goes on later. */
  #heldUntil = 0;

  constructor(sink: PromptsSink) {
    this.#sink = sink;
  }

  get queue(): QueueEntry[] {
    return this.#entries.map(({ id, text, deliver, attachments, client, queuedAt }) => {
      const entry: QueueEntry = { id, text, deliver, queuedAt };
      if (attachments > 0) entry.attachments = attachments;
      if (client !== null) entry.client = client;
      return entry;
    });
  }

  /** What became of prompts of late, the last one last. */
  get outcomes(): PromptOutcome[] {
    return [...this.#outcomes.values()];
  }

  /** @returns what became of a prompt with this id, if there was one; then nothing new is queued */
  submit(prompt: Prompt, runs: boolean, now: number): PromptOutcome | null {
    const known = this.#outcomes.get(prompt.id);
    if (known !== undefined) return known;
    if (this.#entries.some(({ id }) => id === prompt.id)) return { id: prompt.id, status: 'queued' };
    if (this.#entries.length >= AGENT_LIMITS.queueEntries) {
      this.#settle({ id: prompt.id, status: 'failed', error: `The queue is full: ${this.#entries.length} prompts` });
      return null;
    }
    this.#entries.push({ ...prompt, queuedAt: now, sentAt: null, attempts: 0 });
    this.#sink.onOutcome({ id: prompt.id, status: 'queued' });
    this.#sink.onQueue();
    // Whoever sends something now does not wait for what pi may do by itself.
    this.#heldUntil = 0;
    this.proceed(runs, now);
    return null;
  }

  /** @returns why not, as a sentence; null if it was removed */
  remove(id: string): string | null {
    const entry = this.#entries.find((entry) => entry.id === id);
    if (entry === undefined) return 'No such prompt waits';
    if (entry.sentAt !== null) return 'pi has this prompt already';
    this.#leave(entry, { id, status: 'removed' });
    return null;
  }

  /** @returns why not, as a sentence; null if the prompt steers the run */
  steer(id: string, runs: boolean, now: number): string | null {
    const entry = this.#entries.find((entry) => entry.id === id);
    if (entry === undefined) return 'No such prompt waits';
    if (entry.sentAt !== null) return 'pi has this prompt already';
    entry.deliver = 'steer';
    this.#heldUntil = 0;
    this.#sink.onQueue();
    this.proceed(runs, now);
    return null;
  }

  /** All that waits is given back. */
  stop(): void {
    for (const entry of this.#entries.filter(({ sentAt }) => sentAt === null)) {
      this.#leave(entry, { id: entry.id, status: 'removed', error: 'stopped' });
    }
  }

  /** Somebody has typed a prompt into the terminal: it goes first. */
  typed(text: string, now: number): void {
    this.#typed = [...this.#typed.slice(-15), text.trim()];
    this.#yieldUntil = now + YIELD_MS;
  }

  runStarted(): void {
    this.#yieldUntil = 0;
  }

  /** @param mayRetry pi may try again by itself, and would tell nobody before it does */
  runEnded(mayRetry: boolean, now: number): void {
    this.#heldUntil = mayRetry ? now + RETRY_MS : 0;
    if (!this.#sink.holdsMessages()) {
      for (const entry of this.#entries.filter(({ sentAt }) => sentAt !== null)) this.#tryAgain(entry);
    }
    // pi is free in a moment, and not while it says so.
    this.#sink.onDue(10);
  }

  /**
   * A user's message has appeared in the conversation.
   *
   * @returns the id of the prompt that it is; null if somebody typed it
   */
  appeared(text: string): string | null {
    const sent = this.#entries.filter(({ sentAt }) => sentAt !== null);
    const own = sent.find((entry) => text.trim().startsWith(entry.text.trim()));
    const typed = this.#typed.indexOf(text.trim());
    if (own === undefined && typed !== -1) {
      this.#typed.splice(typed, 1);
      return null;
    }
    // Other extensions, and pi's templates, may have made another text of it.
    const entry = own ?? sent[0];
    if (entry === undefined) return null;
    this.#leave(entry, { id: entry.id, status: 'delivered' });
    return entry.id;
  }

  /** Sends what may be sent now. */
  proceed(runs: boolean, now: number): void {
    const steering = this.#entries.filter(({ sentAt, deliver }) => runs && sentAt === null && deliver === 'steer');
    for (const entry of steering) this.#send(entry, now);
    const inFlight = this.#entries.find(({ sentAt }) => sentAt !== null);
    if (inFlight !== undefined) {
      if (!runs) this.#awaitAcceptance(inFlight, now);
      return;
    }
    const next = this.#entries[0];
    if (next === undefined || runs) return;
    const pauseMs = Math.max(this.#yieldUntil, this.#heldUntil) - now;
    if (pauseMs > 0) {
      this.#sink.onDue(pauseMs);
    } else if (!this.#sink.isFree()) {
      this.#sink.onDue(50);
    } else {
      this.#send(next, now);
      if (this.#entries.includes(next)) this.#sink.onDue(ACCEPT_TIMEOUT_MS);
      else if (this.#entries.length > 0) this.#sink.onDue(10);
    }
  }

  #awaitAcceptance(entry: Entry, now: number): void {
    const leftMs = (entry.sentAt as number) + ACCEPT_TIMEOUT_MS - now;
    if (leftMs > 0) this.#sink.onDue(leftMs);
    else if (!this.#sink.isFree() || this.#sink.holdsMessages()) this.#sink.onDue(1000);
    else this.#fail(entry);
  }

  #send(entry: Entry, now: number): void {
    entry.sentAt = now;
    entry.attempts++;
    try {
      this.#sink.send(entry.content, entry.deliver, entry.isCommand);
    } catch (error) {
      this.#leave(entry, {
        id: entry.id,
        status: 'failed',
        error: error instanceof Error ? error.message : 'pi failed',
      });
      return;
    }
    if (entry.isCommand) this.#leave(entry, { id: entry.id, status: 'delivered' });
  }

  #tryAgain(entry: Entry): void {
    if (entry.attempts >= MAX_ATTEMPTS) this.#fail(entry);
    else entry.sentAt = null;
  }

  #fail(entry: Entry): void {
    this.#leave(entry, {
      id: entry.id,
      status: 'failed',
      error: 'pi did not take the prompt: its terminal may say why',
    });
    this.#sink.onDue(10);
  }

  #leave(entry: Entry, outcome: PromptOutcome): void {
    this.#entries = this.#entries.filter((other) => other !== entry);
    this.#settle(outcome);
    this.#sink.onQueue();
  }

  #settle(outcome: PromptOutcome): void {
    this.#outcomes.set(outcome.id, outcome);
    for (const id of this.#outcomes.keys()) {
      if (this.#outcomes.size <= MAX_OUTCOMES) break;
      this.#outcomes.delete(id);
    }
    this.#sink.onOutcome(outcome);
  }
}
