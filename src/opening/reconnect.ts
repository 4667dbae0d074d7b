/**
 * A client that connects again for ever: after each failure and each loss it waits, twice as long every time, with jitter,
 * so that ten thousand that lost the same server do not come back in the same moment.
 *
 *   start ─▶ CONNECTING ──(opened)──▶ OPEN ──(lost)──┐
 *                ▲  └────(failed)────────────────────┤
 *                └──(its time, or now)── WAITING ◀───┘
 *   any ──(stop)──▶ STOPPED
 *
 * The doubling begins anew once a connection has lasted: a server that accepts and ends at once is not hammered.
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
   * Begins one attempt, with the request as it is now. An error that it throws at the first reaches the caller of `start`;
   * later it counts as a failure.
   */
  readonly connect: (sink: ConnectSink) => Attempt;
  /** A connection is open, and belongs to the sink, which calls `lost` when it has ended. */
  readonly onOpened: (opened: Opened) => void;
  /** @param nextMs how long it waits before the next attempt */
  readonly onFailed: (failure: ConnectFailure, nextMs: number) => void;
  /** The first pause, in milliseconds. */
  readonly firstDelayMs: number;
  /** The longest pause, in milliseconds. */
  readonly maxDelayMs: number;
  /** A connection that lasted so long was a good one, in milliseconds. */
  readonly lastingMs: number;
  /** In [0, 1). */
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
   * Connects at once. Does nothing while it is started.
   *
   * @throws whatever `connect` throws; it is stopped then
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

  /** Gives up the attempt or the wait in progress. A connection that is open stays with its owner. */
  stop(): void {
    this.#state = State.STOPPED;
    this.#options.deadlines.clear(this.#deadline);
    this.#attempt?.cancel();
    this.#attempt = null;
  }

  /** Cuts a pause short, because there is reason to hope. */
  retryNow(): void {
    if (this.#state === State.WAITING) this.#connectAgain();
  }

  /**
   * The connection that was opened has ended.
   *
   * @returns how long it waits before the next attempt, in milliseconds; null if it is stopped
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
    // Between half of it and all of it.
    const delayMs = this.#delayMs * (1 - random() / 2);
    this.#delayMs = Math.min(this.#delayMs * 2, maxDelayMs);
    deadlines.set(this.#deadline, delayMs);
    return delayMs;
  }
}
