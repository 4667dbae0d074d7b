/**
 * The clients of a session, and what they are told: the protocol's events with their numbers in delta mode, pi's own
 * events in classic mode.
 */
import type { AgentEvent } from '../protocol/agent.ts';
import type { Position } from '../protocol/subprotocol.ts';
import { EventLog } from './event-log.ts';
import { encode } from './json.ts';

/** The length of the events kept for clients that reconnect, in UTF-16 units. */
const EVENT_LOG_CHARS = 4 * 1024 * 1024;

export interface Client {
  readonly isClassic: boolean;
  /**
   * Sends nothing if the client is closing.
   *
   * @param isRepeated whether a later message will contain all of this one, so that a slow client can do without it
   */
  send(text: string, isRepeated?: boolean): void;
  close(closeCode: number, closeReason: string): void;
}

export class Audience {
  readonly #log: EventLog;
  readonly #clients = new Set<Client>();

  /** @param epoch at most 32 letters and digits, never used before */
  constructor(epoch: string) {
    this.#log = new EventLog(epoch, EVENT_LOG_CHARS);
  }

  get size(): number {
    return this.#clients.size;
  }

  /** The number of the last event, with the name of the numbering. */
  get position(): Position {
    return { epoch: this.#log.epoch, seq: this.#log.seq };
  }

  /**
   * Adds a client, and sends it the events that it missed, or a snapshot.
   *
   * @param resumeFrom the last position of a client in delta mode; null for a client without one
   */
  join(client: Client, resumeFrom: Position | null, now: number, snapshot: () => string): void {
    const missed = client.isClassic || resumeFrom === null ? null : this.#log.since(resumeFrom);
    if (missed === null) {
      client.send(snapshot());
    } else {
      client.send(encode({ type: 'resumed', ...resumeFrom, now }));
      for (const event of missed) client.send(event);
    }
    this.#clients.add(client);
  }

  leave(client: Client): void {
    this.#clients.delete(client);
  }

  /** Numbers the event, and sends it to the clients in delta mode. */
  tell(event: AgentEvent): void {
    const text = this.#log.append(event);
    for (const client of this.#clients) if (!client.isClassic) client.send(text);
  }

  /** Sends an event of pi to the clients in classic mode. */
  forward(event: object, isRepeated: boolean): void {
    let text: string | null = null;
    for (const client of this.#clients) {
      if (!client.isClassic) continue;
      text ??= encode(event);
      client.send(text, isRepeated);
    }
  }

  /** Closes every client. */
  close(closeCode: number, closeReason: string): void {
    for (const client of this.#clients) client.close(closeCode, closeReason);
    this.#clients.clear();
  }
}
