/**
 * The connection to the registry: the roster and its changes come in, requests go out.
 *
 * A browser hides the daemon's pings from scripts, so while the page is visible it asks `ping` itself every 25 s and
 * gives the answer 10 s: a network that swallows everything is noticed within 35 s.
 */
import {
  Feature,
  type Method,
  type Methods,
  type Params,
  PROTOCOL_VERSION,
  type Push,
  type RequestedPush,
  type Result,
} from '../../protocol/registry.ts';
import { subprotocols } from '../../protocol/subprotocol.ts';
import type { Environment } from './environment.ts';
import { Link, type Phase, type Traffic } from './link.ts';

export const PING_INTERVAL_MS = 25_000;
export const PING_TIMEOUT_MS = 10_000;
/** The time that a request may take; some read folders on slow disks. */
const REQUEST_TIMEOUT_MS = 30_000;

/** The daemon refused, in words. */
export class RequestError extends Error {}

/** No answer came, so it is not known whether the request was carried out. */
export class UnknownOutcome extends Error {}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
  cancelTimer(): void;
}

export interface RegistryHandlers {
  address(): string;
  token(): string | null;
  push(push: Push | RequestedPush): void;
  phase(phase: Phase): void;
  /** `wasLive` if the roster had come on this connection. */
  lost(code: number, wasLive: boolean): void;
  /** Which of our features the daemon has; none if it is older. */
  features(granted: readonly string[]): void;
  /** The connection to the daemon was dead, and is replaced: other connections to it had better be too. */
  deaf(): void;
}

export class RegistryLink {
  readonly #environment: Environment;
  readonly #handlers: RegistryHandlers;
  readonly #link: Link;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #live = false;
  #cancelPing: (() => void) | null = null;

  constructor(environment: Environment, handlers: RegistryHandlers) {
    this.#environment = environment;
    this.#handlers = handlers;
    this.#link = new Link(environment, {
      address: () => ({ url: handlers.address(), protocols: subprotocols(handlers.token()) }),
      opened: () => {
        this.#subscribe();
        this.#pingLater();
      },
      message: (text) => this.#message(text),
      lost: (code) => {
        const wasLive = this.#live;
        this.#live = false;
        this.#cancelPing?.();
        this.#cancelPing = null;
        for (const pending of this.#pending.values()) {
          pending.cancelTimer();
          pending.reject(new UnknownOutcome('The connection to the hypivisor was lost before it answered.'));
        }
        this.#pending.clear();
        handlers.lost(code, wasLive);
      },
      phase: handlers.phase,
    });
  }

  get traffic(): Readonly<Traffic> {
    return this.#link.traffic;
  }

  start(): void {
    this.#link.start();
  }

  stop(): void {
    this.#link.stop();
  }

  retryNow(): void {
    this.#link.retryNow();
  }

  /**
   * @throws RequestError with the daemon's sentence
   * @throws UnknownOutcome if no answer came
   */
  request<M extends Method>(method: M, params: Params<M>, timeoutMs = REQUEST_TIMEOUT_MS): Promise<Result<M>> {
    const id = ++this.#lastId;
    return new Promise<Methods[M]['result']>((resolve, reject) => {
      if (!this.#link.send(JSON.stringify({ id, method, params }))) {
        reject(new RequestError('There is no connection to the hypivisor.'));
        return;
      }
      const cancelTimer = this.#environment.after(timeoutMs, () => {
        this.#pending.delete(id);
        reject(new UnknownOutcome('The hypivisor did not answer.'));
      });
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject, cancelTimer });
    });
  }

  #message(text: string): void {
    let message: { event?: unknown; id?: unknown; result?: unknown; error?: unknown };
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof message !== 'object' || message === null) return;
    if (typeof message.event === 'string') {
      if (message.event === 'init') {
        this.#live = true;
        this.#link.settled();
      }
      this.#handlers.push(message as Push | RequestedPush);
      return;
    }
    const pending = typeof message.id === 'number' ? this.#pending.get(message.id) : undefined;
    if (pending === undefined) return;
    this.#pending.delete(message.id as number);
    pending.cancelTimer();
    if (message.error === undefined) pending.resolve(message.result);
    else pending.reject(new RequestError(String(message.error)));
  }

  #subscribe(): void {
    this.request('subscribe', { features: Object.values(Feature) }).then(
      ({ features }) => {
        this.#handlers.features(Array.isArray(features) ? features : []);
        // Changes between the roster and the subscription were pushed to nobody here.
        this.request('list_nodes', {}).then(
          (nodes) => this.#handlers.push({ event: 'init', nodes, protocol_version: PROTOCOL_VERSION }),
          () => {},
        );
      },
      // An older daemon does not know this method, and has no features.
      () => this.#handlers.features([]),
    );
  }

  #pingLater(): void {
    this.#cancelPing?.();
    this.#cancelPing = this.#environment.after(PING_INTERVAL_MS, () => {
      // A hidden page need not be right; once it is seen, waking checks the connection.
      if (this.#environment.hidden()) {
        this.#pingLater();
        return;
      }
      const askedAt = this.#environment.now();
      this.#cancelPing = this.#environment.after(PING_TIMEOUT_MS, () => {
        if (this.#link.heardAt >= askedAt) {
          this.#pingLater();
          return;
        }
        this.#link.replace();
        this.#handlers.deaf();
      });
      this.request('ping', {}, PING_TIMEOUT_MS).then(
        () => this.#pingLater(),
        () => {},
      );
    });
  }
}
