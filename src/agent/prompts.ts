/**
 * The prompts that clients have sent and pi has not accepted yet. Pure: `now` comes in, orders for pi go out.
 *
 *   submit ──▶ WAITING ──(pi is free, or it steers a run)──▶ SENT ──(its message appears)──▶ delivered
 *                 │  └──(remove, abort)──▶ removed            └──(pi never accepts it)──▶ failed, or WAITING once more
 *
 * pi does not say when it loses a prompt, and it loses the second of two prompts that come while it is idle. So prompts
 * are sent one by one. The next is sent when the run of the one before has ended. A prompt counts as delivered when its
 * own message appears. Several prompts that steer may be sent during a run.
 *
 * A person who stops the agent removes the prompts that wait. The stop holds until a person wants the agent to go on,
 * because pi may repeat a run by itself.
 */
import { AGENT_LIMITS, type Delivery, type PromptOutcome, type QueueEntry } from '../protocol/agent.ts';
import type { PiContent } from './pi.ts';

/** How long pi may take to start on a prompt. Other extensions may handle it first. */
const ACCEPT_TIMEOUT_MS = 30_000;
/** How long a prompt typed in the terminal goes before those of clients. */
const YIELD_MS = 2000;
/** How long pi may take to repeat a failed run by itself. Older pis do not say that they will. */
const RETRY_MS = 30_000;
/** For how long after a stop pi may start a run by itself: the longest back-off of a provider. */
const STOP_MS = 65_000;
/** The number of outcomes kept for clients that reconnect. */
const MAX_OUTCOMES = 64;
const MAX_ATTEMPTS = 2;

export interface Prompt {
  id: string;
  text: string;
  content: PiContent;
  deliver: Delivery;
  attachments: number;
  client: string | null;
  /** Whether the prompt is a command, for which no message appears. */
  isCommand: boolean;
}

interface Entry extends Prompt {
  queuedAt: number;
  /** When the prompt was sent to pi; null while it waits. */
  sentAt: number | null;
  attempts: number;
}

export interface PromptsSink {
  /** Gives the prompt to pi at once. @throws an Error whose message says why the prompt failed */
  send(content: PiContent, deliver: Delivery, isCommand: boolean): void;
  /** Ends pi's run, if there is one. */
  abort(): void;
  /** Whether pi can accept a prompt. */
  isFree(): boolean;
  /** Whether pi holds messages that it has not started on. */
  holdsMessages(): boolean;
  onOutcome(outcome: PromptOutcome): void;
  /** Called when the queue has changed. */
  onQueue(): void;
  /** Called if prompts wait. `proceed` must be called after `delayMs` milliseconds. */
  onDue(delayMs: number): void;
}

export class Prompts {
  readonly #sink: PromptsSink;
  #entries: Entry[] = [];
  readonly #outcomes = new Map<string, PromptOutcome>();
  /** Texts that were typed in the terminal and have not appeared as messages yet. */
  #typed: string[] = [];
  #yieldUntil = 0;
  /** Until when prompts wait because pi may repeat a failed run. */
  #heldUntil = 0;
  /** A run that begins before this moment is aborted, because a person has stopped the agent. */
  #stoppedUntil = 0;

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

  /** The outcomes of recent prompts, oldest first. */
  get outcomes(): PromptOutcome[] {
    return [...this.#outcomes.values()];
  }

  /** @returns the outcome of an earlier prompt with this id, and then nothing is queued; null if the id is new */
  submit(prompt: Prompt, runs: boolean, now: number): PromptOutcome | null {
    // A person wants the agent to go on.
    this.#stoppedUntil = 0;
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
    // A person who sends a prompt now does not want to wait for a repeated run.
    this.#heldUntil = 0;
    this.proceed(runs, now);
    return null;
  }

  /** @returns a sentence that says why the prompt cannot be removed; null if it was removed */
  remove(id: string): string | null {
    const entry = this.#entries.find((entry) => entry.id === id);
    if (entry === undefined) return 'No such prompt waits';
    if (entry.sentAt !== null) return 'pi has this prompt already';
    this.#leave(entry, { id, status: 'removed' });
    return null;
  }

  /** @returns a sentence that says why the prompt cannot steer; null if it steers the run */
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

  /** Removes all waiting prompts, and aborts pi's run and the one that pi may start by itself. */
  stop(now: number): void {
    this.#stoppedUntil = now + STOP_MS;
    for (const entry of this.#entries.filter(({ sentAt }) => sentAt === null)) {
      this.#leave(entry, { id: entry.id, status: 'removed', error: 'stopped' });
    }
    this.#sink.abort();
  }

  /** Notes a prompt that was typed in the terminal. It goes before those that wait. */
  typed(text: string, now: number): void {
    this.#stoppedUntil = 0;
    this.#typed = [...this.#typed.slice(-15), text.trim()];
    this.#yieldUntil = now + YIELD_MS;
  }

  runStarted(now: number): void {
    this.#yieldUntil = 0;
    if (now < this.#stoppedUntil) this.#sink.abort();
  }

  /** @param mayRetry whether pi may repeat the run by itself, without saying so first */
  runEnded(mayRetry: boolean, now: number): void {
    this.#heldUntil = mayRetry ? now + RETRY_MS : 0;
    if (!mayRetry) this.#stoppedUntil = 0;
    if (!this.#sink.holdsMessages()) {
      for (const entry of this.#entries.filter(({ sentAt }) => sentAt !== null)) this.#tryAgain(entry);
    }
    // pi becomes free a moment after it sends this event.
    this.#sink.onDue(10);
  }

  /**
   * Notes a user's message that has appeared in the conversation.
   *
   * @returns the id of the prompt that became this message; null if it was typed in the terminal
   */
  appeared(text: string): string | null {
    const sent = this.#entries.filter(({ sentAt }) => sentAt !== null);
    const own = sent.find((entry) => text.trim().startsWith(entry.text.trim()));
    const typed = this.#typed.indexOf(text.trim());
    if (own === undefined && typed !== -1) {
      this.#typed.splice(typed, 1);
      return null;
    }
    // Other extensions, and pi's templates, may have changed the text.
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
