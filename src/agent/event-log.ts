/**
 * The recent events with their numbers, so that a client that lost its connection can resume. The length is bounded. A
 * client that misses events older than those gets a snapshot.
 */
import type { AgentEvent } from '../protocol/agent.ts';
import type { Position } from '../protocol/subprotocol.ts';
import { encode } from './json.ts';

export class EventLog {
  /** The name of this numbering. No other log has the same name. */
  readonly epoch: string;
  readonly #maxChars: number;
  /** The encoded events. The last one has the number `seq`. */
  #events: string[] = [];
  /** The number of forgotten events at the front of `#events`. */
  #forgotten = 0;
  #chars = 0;
  #seq = 0;

  /**
   * @param epoch at most 32 letters and digits
   * @param maxChars the length of all kept events, in UTF-16 units; an event that is larger by itself is not kept
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

  /** @returns the events after the position, as JSON; null if some are forgotten, or the position is in another log */
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
