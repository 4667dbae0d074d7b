/**
 * The numbered events of late, so that a client that lost its connection goes on where it was. Bounded in bytes; a client
 * that was away for longer than what is kept has a gap, and is told so by a snapshot.
 */
import type { AgentEvent } from '../protocol/agent.ts';
import type { Position } from '../protocol/subprotocol.ts';
import { encode } from './json.ts';

export class EventLog {
  /** Names this numbering: another log never has the same. */
  readonly epoch: string;
  readonly #maxChars: number;
  /** Encoded; the last one has the number `seq`. */
  #events: string[] = [];
  /** How many at the front of `#events` are forgotten. */
  #forgotten = 0;
  #chars = 0;
  #seq = 0;

  /**
   * @param epoch letters and digits, at most 32
   * @param maxChars what is kept, in UTF-16 units; an event that alone is larger is not kept
   */
  constructor(epoch: string, maxChars: number) {
    this.epoch = epoch;
    this.#maxChars = maxChars;
  }

  /** The number of the last event; 0 before the first. */
  get seq(): number {
    return this.#seq;
  }

  /** @returns the event with its number, as JSON */
  append({ type, ...fields }: AgentEvent): string {
    this.#seq++;
    const text = encode({ type, seq: this.#seq, ...fields });
    this.#events.push(text);
    this.#chars += text.length;
    while (this.#chars > this.#maxChars) this.#forget();
    return text;
  }

  /** @returns the events after the position, as JSON; null if they are not all here, or the position is of another log */
  since({ epoch, seq }: Position): string[] | null {
    const kept = this.#events.length - this.#forgotten;
    if (epoch !== this.epoch || seq > this.#seq || seq < this.#seq - kept) return null;
    return this.#events.slice(this.#events.length - (this.#seq - seq));
  }

  #forget(): void {
    this.#chars -= (this.#events[this.#forgotten] as string).length;
    this.#events[this.#forgotten] = '';
    this.#forgotten++;
    if (this.#forgotten * 2 < this.#events.length) return;
    this.#events = this.#events.slice(this.#forgotten);
    this.#forgotten = 0;
  }
}
