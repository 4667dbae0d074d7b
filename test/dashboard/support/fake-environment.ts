/** A browser for links: a clock that tests move, sockets that tests open and lose. */
import type { Environment, Socket } from '../../../src/dashboard/link/environment.ts';

export class FakeSocket implements Socket {
  readonly url: string;
  readonly offered: string[];
  protocol = '';
  bufferedAmount = 0;
  sent: string[] = [];
  closedWith: number | null = null;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;

  constructor(url: string, offered: string[]) {
    this.url = url;
    this.offered = offered;
  }

  open(protocol = this.offered[0] ?? ''): void {
    this.protocol = protocol;
    this.onopen?.();
  }

  say(message: unknown): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  /** The other side goes. */
  lose(code = 1006, reason = ''): void {
    this.onclose?.({ code, reason });
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(code?: number): void {
    this.closedWith = code ?? 1005;
  }

  /** What was sent, parsed. */
  get requests() {
    return this.sent.map((text) => JSON.parse(text));
  }
}

export class FakeEnvironment implements Environment {
  readonly sockets: FakeSocket[] = [];
  isHidden = false;
  jitter = 0;
  #now = 1_000_000;
  readonly #timers = new Map<object, { at: number; callback: () => void }>();
  readonly #wakers = new Set<() => void>();

  get socket(): FakeSocket {
    return this.sockets.at(-1) as FakeSocket;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = {};
    this.#timers.set(timer, { at: this.#now + ms, callback });
    return () => this.#timers.delete(timer);
  }

  random(): number {
    return this.jitter;
  }

  open(url: string, protocols: string[]): Socket {
    const socket = new FakeSocket(url, protocols);
    this.sockets.push(socket);
    return socket;
  }

  hidden(): boolean {
    return this.isHidden;
  }

  onWake(callback: () => void): () => void {
    this.#wakers.add(callback);
    return () => this.#wakers.delete(callback);
  }

  wake(): void {
    this.isHidden = false;
    for (const waker of this.#wakers) waker();
  }

  /** Time passes; timers that are due meanwhile come in their order. */
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next[0]);
      this.#now = next[1].at;
      next[1].callback();
    }
    this.#now = end;
  }

  /** Time passes, and nothing runs: the laptop sleeps. */
  sleep(ms: number): void {
    this.#now += ms;
  }

  get timers(): number {
    return this.#timers.size;
  }
}

/** Lets promises settle. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));
