/**
 * A WebSocket that comes back: each lasting connection of the page is one.
 *
 *   stopped ──start──▶ connecting ──opened──▶ open
 *                       ▲      │              │
 *                       │   lost, or not      lost, replaced
 *                       │   open in 10 s      │
 *                       └──── waiting ◀───────┘
 *
 * It waits as `backoff` says, and never gives up. A connection counts as a success once its owner calls `settled`, so
 * that one that opens and ends at once, again and again, does not spin. While hidden the page does not try; once it
 * wakes, it tries at once. If it wakes and nothing has come for 45 s, the socket is replaced: it may have died while
 * the laptop slept, and a browser would notice only when it next sends something.
 *
 * A socket that was replaced is not listened to any more, so its late close changes nothing.
 */
import { delayBefore } from './backoff.ts';
import type { Environment, Socket } from './environment.ts';

export const CONNECT_TIMEOUT_MS = 10_000;
export const SILENCE_MS = 45_000;
/** Tries without a wait are at least this far apart. */
const INSTANT_GAP_MS = 1000;
/** A code of our own for a socket that was given up; the other side may never see it. */
const GIVEN_UP = 4000;

export type Phase = 'stopped' | 'connecting' | 'open' | 'waiting';

export interface LinkHandlers {
  /** Where to connect and what to offer, asked before every try. */
  address(): { url: string; protocols: string[] };
  opened(protocol: string): void;
  message(text: string): void;
  /**
   * The socket is gone, and another try follows unless `stop` is called. The code is 1006 if no close frame came.
   *
   * @param wasOpen false if it never opened
   */
  lost(code: number, reason: string, wasOpen: boolean): void;
  phase?(phase: Phase): void;
}

export interface Traffic {
  messagesIn: number;
  messagesOut: number;
  /** UTF-16 units, which for ASCII are bytes. */
  charactersIn: number;
  charactersOut: number;
  opened: number;
  /** When it last opened, by `Environment.now`; null before. */
  openSince: number | null;
}

export class Link {
  readonly traffic: Traffic = {
    messagesIn: 0,
    messagesOut: 0,
    charactersIn: 0,
    charactersOut: 0,
    opened: 0,
    openSince: null,
  };
  readonly #environment: Environment;
  readonly #handlers: LinkHandlers;
  #phase: Phase = 'stopped';
  #socket: Socket | null = null;
  #tries = 0;
  #settled = false;
  #instantAt = Number.NEGATIVE_INFINITY;
  #heardAt = 0;
  #cancelTimer: (() => void) | null = null;
  #ignoreWake: (() => void) | null = null;

  constructor(environment: Environment, handlers: LinkHandlers) {
    this.#environment = environment;
    this.#handlers = handlers;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** When something last came, by `Environment.now`. */
  get heardAt(): number {
    return this.#heardAt;
  }

  start(): void {
    if (this.#phase !== 'stopped') return;
    this.#ignoreWake = this.#environment.onWake(() => this.#wake());
    this.#tries = 0;
    this.#waitOrConnect();
  }

  /** Closes, and tries no more until `start`. */
  stop(): void {
    this.#ignoreWake?.();
    this.#ignoreWake = null;
    this.#drop(1000);
    this.#enter('stopped');
  }

  /** Gives the socket up for another one, at once. */
  replace(): void {
    if (this.#phase === 'stopped') return;
    const wasOpen = this.#phase === 'open';
    this.#drop(GIVEN_UP);
    this.#tries = 0;
    if (wasOpen) this.#handlers.lost(1006, '', true);
    // The owner may have stopped it when told of the loss.
    if (this.#stopped()) return;
    this.#connect();
  }

  /** The connection works: its loss will not count as one more failed try. */
  settled(): void {
    this.#settled = true;
  }

  /** Does not wait any longer for the next try. */
  retryNow(): void {
    if (this.#phase === 'waiting') this.#connect();
  }

  /** @returns false if it is not open: nothing was sent, and nothing is kept for later */
  send(text: string): boolean {
    if (this.#phase !== 'open' || this.#socket === null) return false;
    this.#socket.send(text);
    this.traffic.messagesOut++;
    this.traffic.charactersOut += text.length;
    return true;
  }

  #stopped(): boolean {
    return this.#phase === 'stopped';
  }

  #wake(): void {
    if (this.#phase === 'waiting') this.#connect();
    else if (this.#phase === 'open' && this.#environment.now() - this.#heardAt >= SILENCE_MS) this.replace();
  }

  #waitOrConnect(): void {
    const delay = delayBefore(this.#tries, this.#environment.random());
    if (delay === 0 && !this.#environment.hidden()) {
      this.#connect();
      return;
    }
    this.#enter('waiting');
    this.#timer(delay, () => {
      // A hidden page waits until it is woken.
      if (!this.#environment.hidden()) this.#connect();
    });
  }

  #connect(): void {
    this.#cancel();
    this.#settled = false;
    this.#enter('connecting');
    let socket: Socket;
    try {
      const { url, protocols } = this.#handlers.address();
      socket = this.#environment.open(url, protocols);
    } catch (error) {
      this.#failed(1006, error instanceof Error ? error.message : String(error), false);
      return;
    }
    this.#socket = socket;
    this.#heardAt = this.#environment.now();
    this.#timer(CONNECT_TIMEOUT_MS, () => {
      this.#drop(GIVEN_UP);
      this.#failed(1006, '', false);
    });
    socket.onopen = () => {
      this.#cancel();
      this.#heardAt = this.#environment.now();
      this.traffic.opened++;
      this.traffic.openSince = this.#heardAt;
      this.#enter('open');
      this.#handlers.opened(socket.protocol);
    };
    socket.onmessage = ({ data }) => {
      this.#heardAt = this.#environment.now();
      if (typeof data !== 'string') return;
      this.traffic.messagesIn++;
      this.traffic.charactersIn += data.length;
      this.#handlers.message(data);
    };
    socket.onclose = ({ code, reason }) => {
      const wasOpen = this.#phase === 'open';
      this.#drop(null);
      this.#failed(code, reason, wasOpen);
    };
  }

  /** The socket is gone: tells of it, and goes on unless it was stopped. */
  #failed(code: number, reason: string, wasOpen: boolean): void {
    this.#enter('waiting');
    this.#handlers.lost(code, reason, wasOpen);
    if (this.#stopped()) return;
    const now = this.#environment.now();
    if (!this.#settled) {
      this.#tries++;
    } else if (now - this.#instantAt < INSTANT_GAP_MS) {
      this.#tries = 1;
    } else {
      this.#tries = 0;
      this.#instantAt = now;
    }
    this.#waitOrConnect();
  }

  /** Listens to the socket no more, and closes it with `code`, unless it is closed already. */
  #drop(code: number | null): void {
    this.#cancel();
    const socket = this.#socket;
    this.#socket = null;
    this.traffic.openSince = null;
    if (socket === null) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    if (code !== null) socket.close(code);
  }

  #timer(ms: number, callback: () => void): void {
    this.#cancel();
    this.#cancelTimer = this.#environment.after(ms, () => {
      this.#cancelTimer = null;
      callback();
    });
  }

  #cancel(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #enter(phase: Phase): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.#handlers.phase?.(phase);
  }
}
