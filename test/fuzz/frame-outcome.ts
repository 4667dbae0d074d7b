/** What a reader of frames made of its chunks, in a form that is quick to fill and to compare. */
import type { Close } from '../../src/frame/close.ts';

export const Event = { TEXT: 1, BINARY: 2, PING: 9, PONG: 10 } as const;
export type Event = (typeof Event)[keyof typeof Event];

const NAMES: Readonly<Record<number, string>> = { 1: 'text', 2: 'binary', 9: 'ping', 10: 'pong' };

/** More than any input holds, with what each event adds. */
const CAPACITY_BYTES = 2 ** 20;
const EVENT_BYTES = 5;

export class FrameOutcome {
  /** Messages, pings and pongs in their order: what, payloadLength, payload. */
  readonly #events = Buffer.allocUnsafeSlow(CAPACITY_BYTES);
  #length = 0;
  /** The close that came or the reason for failing; null while the connection goes on. */
  end: Close | null = null;

  reset(): void {
    this.#length = 0;
    this.end = null;
  }

  /** How far the events go: equal for equal outcomes. */
  get length(): number {
    return this.#length;
  }

  add(what: Event, payload: Uint8Array): void {
    const at = this.#length;
    this.#events[at] = what;
    this.#events.writeUInt32BE(payload.length, at + 1);
    this.#events.set(payload, at + EVENT_BYTES);
    this.#length = at + EVENT_BYTES + payload.length;
  }

  hasSameEvents(other: FrameOutcome): boolean {
    return this.#length === other.#length && this.startsWith(other);
  }

  /** Whether the other's events are the first of these. */
  startsWith(other: FrameOutcome): boolean {
    const length = other.#length;
    return length <= this.#length && this.#events.compare(other.#events, 0, length, 0, length) === 0;
  }

  equals(other: FrameOutcome): boolean {
    return (
      this.hasSameEvents(other) &&
      this.end?.closeCode === other.end?.closeCode &&
      this.end?.closeReason === other.end?.closeReason
    );
  }

  /** The events from there on. */
  *eventsFrom(start: number): Generator<{ what: number; payload: Buffer }> {
    for (let at = start; at < this.#length; ) {
      const payloadAt = at + EVENT_BYTES;
      const payload = this.#events.subarray(payloadAt, payloadAt + this.#events.readUInt32BE(at + 1));
      yield { what: this.#events[at] as number, payload };
      at = payloadAt + payload.length;
    }
  }

  toString(): string {
    const events = [...this.eventsFrom(0)].map(({ what, payload }) => `${NAMES[what]} ${payload.toString('hex')}`);
    const end =
      this.end === null ? 'goes on' : `ends with ${this.end.closeCode} ${JSON.stringify(this.end.closeReason)}`;
    return [...events, end].join(', ');
  }
}
