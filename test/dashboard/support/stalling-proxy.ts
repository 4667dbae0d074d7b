/** A network that can swallow everything: a TCP proxy that goes on taking bytes and connections, and passes none on. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

interface Pair {
  near: Socket;
  /** Null until it may be opened. */
  far: Socket | null;
}

export class StallingProxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  #stalled = false;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (near) => {
      const pair: Pair = { near, far: null };
      this.#pairs.add(pair);
      near.on('error', () => {});
      // An end is not passed on either, until all is again.
      near.on('close', () => !this.#stalled && this.#end(pair));
      if (!this.#stalled) this.#join(pair);
    });
  }

  /** @param target a port of this machine */
  static async start(t: TestContext, target: number): Promise<StallingProxy> {
    const server = createServer();
    const proxy = new StallingProxy(server, target);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const pair of proxy.#pairs) proxy.#end(pair);
      server.close();
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stall(): void {
    this.#stalled = true;
    for (const { near, far } of this.#pairs) {
      if (far === null) continue;
      near.unpipe(far);
      far.unpipe(near);
      near.pause();
      far.pause();
    }
  }

  flow(): void {
    this.#stalled = false;
    for (const pair of this.#pairs) {
      if (pair.near.destroyed || pair.far?.destroyed) this.#end(pair);
      else this.#join(pair);
    }
  }

  #join(pair: Pair): void {
    if (pair.far === null) {
      pair.far = connect(this.#target, '127.0.0.1');
      pair.far.on('error', () => {});
      pair.far.on('close', () => !this.#stalled && this.#end(pair));
    }
    pair.near.pipe(pair.far);
    pair.far.pipe(pair.near);
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.near.destroy();
    pair.far?.destroy();
  }
}
