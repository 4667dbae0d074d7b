/** A dashboard or an agent's uplink as anyone would write it with `ws`: messages in the order they came. */
import assert from 'node:assert/strict';
import { type ClientOptions, WebSocket } from 'ws';

// biome-ignore lint/suspicious/noExplicitAny: what the daemon says is what the tests look into
export type Json = any;

const PATIENCE_MS = 10_000;

export interface Received {
  payload: Buffer;
  isBinary: boolean;
}

export class Client {
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #queue: Received[] = [];
  #wake: (() => void) | null = null;

  constructor(url: string, protocols: string[] = [], options: ClientOptions = {}) {
    this.socket = new WebSocket(url, protocols, { handshakeTimeout: PATIENCE_MS, ...options });
    // Not `once`, which would reject on an error that comes before the close.
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
    this.socket.on('error', () => {});
    this.socket.on('message', (payload, isBinary) => {
      this.#queue.push({ payload: payload as Buffer, isBinary });
      this.#wake?.();
    });
  }

  /** Resolves once the opening handshake is done; rejects where it fails, with the status if there was one. */
  static async open(url: string, protocols: string[] = [], options: ClientOptions = {}): Promise<Client> {
    const client = new Client(url, protocols, options);
    await new Promise<void>((resolve, reject) => {
      client.socket.once('open', resolve);
      client.socket.once('error', reject);
    });
    return client;
  }

  /** The next message, whatever it is. */
  async next(patienceMs = PATIENCE_MS): Promise<Received> {
    if (this.#queue.length === 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('no message came')), patienceMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    return this.#queue.shift() as Received;
  }

  /** The next message, as JSON. */
  async nextJson(): Promise<Json> {
    const { payload, isBinary } = await this.next();
    assert.equal(isBinary, false, 'a text message');
    return JSON.parse(payload.toString());
  }

  /** The next message that passes; those before it are dropped. */
  async until(passes: (message: Json) => boolean): Promise<Json> {
    for (;;) {
      const message = await this.nextJson();
      if (passes(message)) return message;
    }
  }

  /** Messages that have come and were not taken. */
  get pending(): Received[] {
    return [...this.#queue];
  }

  send(message: unknown): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends a request and waits for its answer; pushes that come before it are dropped. */
  async call(method: string, params?: unknown): Promise<Json> {
    const id = `${method}-${Math.random()}`;
    this.send({ id, method, params });
    return this.until((message) => message.id === id && message.event === undefined);
  }

  /** Closes and waits until it is closed. */
  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }

  terminate(): void {
    this.socket.terminate();
  }
}
