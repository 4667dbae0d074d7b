/**
 * The messages of a session with their indices, as clients know them: those that pi has stored, then those that have
 * ended and that pi may not have stored yet. Pure.
 */
import type { Message } from '../protocol/agent.ts';

/** The number of stored messages among which an ended one is looked for. */
const RECENT = 32;

export interface TranscriptSource {
  /** The messages that pi has stored. */
  stored(): Message[];
  /** Called with a message that pi stored without an event: a summary, or a command run with `!` in the terminal. */
  onStored(message: Message, index: number): void;
}

export class Transcript {
  readonly #source: TranscriptSource;
  /** Messages that have ended, but that pi may not have stored yet. */
  #ended: Message[] = [];
  /** The number of messages that clients know of. */
  #told: number;

  constructor(source: TranscriptSource) {
    this.#source = source;
    this.#told = source.stored().length;
  }

  /** Oldest first. */
  get messages(): Message[] {
    const stored = this.#source.stored();
    const last = stored.slice(-RECENT);
    this.#ended = this.#ended.filter((ended) => !last.some((message) => isSame(message, ended)));
    return this.#ended.length === 0 ? stored : [...stored, ...this.#ended];
  }

  /** The number of messages that clients know of. */
  get told(): number {
    return this.#told;
  }

  /** Adds a message whose end clients are about to be told. @returns its index */
  ended(message: Message): number {
    this.tellStored();
    this.#ended.push(message);
    return this.#told++;
  }

  /** Notes that pi has stored every message that it wants to store. */
  runEnded(): void {
    this.#ended = [];
    this.tellStored();
  }

  /** Notes that pi went to another branch. */
  reset(): void {
    this.#ended = [];
    this.#told = this.#source.stored().length;
  }

  /** Looks for messages that pi stored without an event. */
  tellStored(): void {
    const { messages } = this;
    for (; this.#told < messages.length; this.#told++) {
      this.#source.onStored(messages[this.#told] as Message, this.#told);
    }
    // A message that had an event may never have been stored.
    this.#told = messages.length;
  }
}

/** Whether pi has stored this message: the same object, or a copy. */
function isSame(stored: Message, ended: Message): boolean {
  if (stored === ended) return true;
  return stored.role === ended.role && stored.timestamp === ended.timestamp && stored.toolCallId === ended.toolCallId;
}
