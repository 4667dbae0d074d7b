/**
 * Reconnects a client for ever. After each failure and each loss it waits, twice as long every time. The pauses have
 * jitter, so that ten thousand clients of the same server do not reconnect in the same moment.
 *
 *   start ─▶ CONNECTING ──(opened)──▶ OPEN ──(lost)──┐
 *                ▲  └────(failed)────────────────────┤
 *                └(pause ends, retryNow)─ WAITING ◀──┘
 *   any ──(stop)──▶ STOPPED
 *
 * The doubling starts again only after a connection that has lasted, so a server that ends connections at once is
 * spared.
 */
import { Deadline, type Deadlines } from '../transport/deadlines.ts';
import { type Attempt, type ConnectFailure, type ConnectSink, ConnectState, type Opened } from './connect.ts';

const State = {
  STOPPED: 'stopped',
  CONNECTING: 'connecting',
  OPEN: 'open',
  WAITING: 'waiting',
} as const;
type State = (typeof State)[keyof typeof State];

export interface ReconnectOptions {
  readonly deadlines: Deadlines;
  /**
   * Starts one attempt, with the current request. An error in the first call reaches the caller of `start`. A later
   * error counts as a failure.
   */
  readonly connect: (sink: ConnectSink) => Attempt;
  /** Called with an open connection. Its new owner must call `lost` when it has ended. */
  readonly onOpened: (opened: Opened) => void;
  /** @param nextMs the pause before the next attempt, in milliseconds */
  readonly onFailed: (failure: ConnectFailure, nextMs: number) => void;
  /** The first pause, in milliseconds. */
  readonly firstDelayMs: number;
  /** The longest pause, in milliseconds. */
  readonly maxDelayMs: number;
  /** A connection that lasted this long resets the pause, in milliseconds. */
  readonly lastingMs: number;
  /** A random number in [0, 1), for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

export class Reconnect implements ConnectSink {
  readonly #options: ReconnectOptions;
  readonly #deadline = new Deadline({ onDeadline: () => this.#connectAgain() });
  #state: State = State.STOPPED;
  #attempt: Attempt | null = null;
  /** The next pause, before jitter. */
  #delayMs: number;
  #openedAt = 0;

  constructor(options: ReconnectOptions) {
    this.#options = options;
    this.#delayMs = options.firstDelayMs;
  }

  /**
   * Connects at once, if stopped.
   *
   * @throws the error of `connect`; the client is stopped then
   */
  start(): void {
    if (this.#state !== State.STOPPED) return;
    this.#delayMs = this.#options.firstDelayMs;
    try {
      this.#connect();
    } catch (error) {
      this.#state = State.STOPPED;
      throw error;
    }
  }

  /** Ends the current attempt or pause. An open connection stays with its owner. */
  stop(): void {
    this.#state = State.STOPPED;
    this.#options.deadlines.clear(this.#deadline);
    this.#attempt?.cancel();
    this.#attempt = null;
  }

  /** Ends the pause and connects at once. */
  retryNow(): void {
    if (this.#state === State.WAITING) this.#connectAgain();
  }

  /**
   * Notes that the open connection has ended.
   *
   * @returns the pause before the next attempt, in milliseconds; null if stopped
   */
  lost(): number | null {
    if (this.#state !== State.OPEN) return null;
    const { deadlines, lastingMs, firstDelayMs } = this.#options;
    if (deadlines.now() - this.#openedAt >= lastingMs) this.#delayMs = firstDelayMs;
    return this.#wait();
  }

  // ConnectSink

  onOpened(opened: Opened): void {
    this.#attempt = null;
    this.#state = State.OPEN;
    this.#openedAt = this.#options.deadlines.now();
    this.#options.onOpened(opened);
  }

  onFailed(failure: ConnectFailure): void {
    this.#attempt = null;
    const nextMs = this.#wait();
    this.#options.onFailed(failure, nextMs);
  }

  #connectAgain(): void {
    try {
      this.#connect();
    } catch {
      this.onFailed({ state: ConnectState.FAILED, reason: 'it cannot be asked for', code: null, status: null });
    }
  }

  #connect(): void {
    const { deadlines, connect } = this.#options;
    deadlines.clear(this.#deadline);
    this.#state = State.CONNECTING;
    this.#attempt = connect(this);
  }

  #wait(): number {
    const { deadlines, maxDelayMs, random = Math.random } = this.#options;
    this.#state = State.WAITING;
    // Jitter shortens the pause to between half and all of it.
    const delayMs = this.#delayMs * (1 - random() / 2);
    this.#delayMs = Math.min(this.#delayMs * 2, maxDelayMs);
    deadlines.set(this.#deadline, delayMs);
    return delayMs;
  }
}
