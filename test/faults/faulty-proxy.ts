/**
 * A TCP proxy that goes wrong when told to, between a peer and the daemon.
 *
 *   reset      both connections are reset
 *   end        the peer's side has ended: the daemon sees EOF, what it still says is passed on
 *   mute       the peer says nothing more, its end neither; what it is told still reaches it
 *   blackhole  whatever comes is accepted and swallowed, an end too
 *   stall      nothing is read any more, so that in time the sender is stopped
 *   split      each byte is a write of its own
 *   cut        what follows comes a little later, and is read on its own
 */
import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

export const FAULTS = ['reset', 'end', 'mute', 'blackhole', 'stall', 'split', 'cut'] as const;
export type Fault = (typeof FAULTS)[number];

/** Who speaks: the peer or the daemon. */
export type Speaker = 'peer' | 'daemon';

/** A fault once so many bytes of one speaker have passed; after none, as soon as both connections are open. */
export interface Plan {
  fault: Fault;
  speaker: Speaker;
  afterBytes: number;
}

export class FaultyProxy {
  readonly port: number;
  readonly #links: Link[] = [];
  #opened: Promise<unknown>;
  /** For the connections that come from now on. */
  plan: Plan | null = null;
  readonly #server: net.Server;

  private constructor(server: net.Server) {
    this.#server = server;
    this.port = (server.address() as net.AddressInfo).port;
    this.#opened = once(server, 'connection');
  }

  /** @param target what listens on the port behind the proxy: the daemon for its clients, a peer where the daemon dials */
  static async open(port: number, target: Speaker): Promise<FaultyProxy> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
    const proxy = new FaultyProxy(server);
    server.on('connection', (near) => {
      const far = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
      const [peer, daemon] = target === 'daemon' ? [near, far] : [far, near];
      proxy.#links.push(new Link(peer, daemon, proxy.plan));
    });
    return proxy;
  }

  /**
   * Injects a fault into the one connection through it, once it is there.
   *
   * @param saidBytes what the peer has said, which is still to pass
   */
  async inject(fault: Fault, saidBytes = 0): Promise<void> {
    await this.#opened;
    for (const link of this.#links) {
      await link.passed(saidBytes);
      link.inject(fault);
    }
  }

  /** Drops the connections that went through it up to now: the one that faults are for is still to come. */
  beginAnew(): void {
    this.drop();
    this.#opened = once(this.#server, 'connection');
  }

  /** Drops the connections that went through it up to now. */
  drop(): void {
    for (const link of this.#links.splice(0)) link.destroy();
  }

  async stop(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

class Link {
  readonly #peer: net.Socket;
  readonly #daemon: net.Socket;
  readonly #flows: Record<Speaker, Flow>;

  constructor(peer: net.Socket, daemon: net.Socket, plan: Plan | null) {
    this.#peer = peer;
    this.#daemon = daemon;
    this.#flows = { peer: new Flow(peer, daemon), daemon: new Flow(daemon, peer) };
    if (plan === null) return;
    if (plan.afterBytes === 0) this.inject(plan.fault);
    else this.#flows[plan.speaker].after(plan.afterBytes, () => this.inject(plan.fault));
  }

  /** So many bytes of the peer's have passed. */
  passed(bytes: number): Promise<void> {
    return this.#flows.peer.passed(bytes);
  }

  inject(fault: Fault): void {
    const { peer, daemon } = this.#flows;
    switch (fault) {
      case 'reset':
        reset(this.#peer);
        reset(this.#daemon);
        break;
      case 'end':
        peer.swallow();
        this.#daemon.end();
        break;
      case 'mute':
        peer.swallow();
        break;
      case 'blackhole':
        peer.swallow();
        daemon.swallow();
        break;
      case 'stall':
        peer.stall();
        daemon.stall();
        break;
      case 'split':
        peer.split();
        daemon.split();
        break;
      case 'cut':
        peer.cut();
        daemon.cut();
    }
  }

  destroy(): void {
    this.#peer.destroy();
    this.#daemon.destroy();
  }
}

/** What one side says, on its way to the other. */
class Flow {
  readonly #from: net.Socket;
  readonly #to: net.Socket;
  #mode: 'pass' | 'split' | 'cut' | 'stall' | 'swallow' = 'pass';
  /** What passes now in pieces is through once this is. */
  #through: Promise<void> = Promise.resolve();
  #heardBytes = 0;
  readonly #waiting: { bytes: number; resolve: () => void }[] = [];
  #bytesToFault = Number.POSITIVE_INFINITY;
  #fail = () => {};

  constructor(from: net.Socket, to: net.Socket) {
    this.#from = from;
    this.#to = to;
    from.on('data', (chunk) => this.#onData(chunk));
    from.on('end', () => this.#onEnd());
    from.on('error', () => {
      // A reset is passed on as one, unless nothing is.
      if (this.#mode !== 'swallow') reset(to);
    });
    if (!from.connecting) from.resume();
  }

  after(bytes: number, fail: () => void): void {
    this.#bytesToFault = bytes;
    this.#fail = fail;
  }

  async passed(bytes: number): Promise<void> {
    if (this.#heardBytes < bytes) await new Promise<void>((resolve) => this.#waiting.push({ bytes, resolve }));
  }

  swallow(): void {
    this.#mode = 'swallow';
    this.#from.resume();
  }

  stall(): void {
    this.#mode = 'stall';
    this.#from.pause();
  }

  split(): void {
    this.#mode = 'split';
  }

  cut(): void {
    this.#through = readByNow();
    this.#mode = 'cut';
  }

  #onData(chunk: Buffer): void {
    this.#heardBytes += chunk.length;
    this.#passOn(chunk);
    for (const { bytes, resolve } of this.#waiting) if (bytes <= this.#heardBytes) resolve();
  }

  #passOn(chunk: Buffer): void {
    if (chunk.length < this.#bytesToFault) {
      this.#bytesToFault -= chunk.length;
      this.#pass(chunk);
      return;
    }
    const before = chunk.subarray(0, this.#bytesToFault);
    const rest = chunk.subarray(before.length);
    this.#bytesToFault = Number.POSITIVE_INFINITY;
    this.#to.write(before, () => {
      // Only now, for a reset overtakes what is still to be written.
      this.#fail();
      if (rest.length > 0) this.#pass(rest);
    });
  }

  #pass(chunk: Buffer): void {
    if (this.#mode === 'pass') this.#to.write(chunk);
    else if (this.#mode === 'split') this.#through = this.#through.then(() => this.#byteByByte(chunk));
    else if (this.#mode === 'cut') this.#through = this.#through.then(() => void this.#to.write(chunk));
  }

  async #byteByByte(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length && this.#to.writable; at++) {
      this.#to.write(chunk.subarray(at, at + 1));
      await nextTurn();
    }
  }

  #onEnd(): void {
    this.#through = this.#through.then(() => {
      if (this.#mode !== 'swallow') this.#to.end();
    });
  }
}

/** What was written before has been read, where the reader is in this process: it polls between two turns. */
async function readByNow(): Promise<void> {
  await nextTurn();
  await nextTurn();
}

/** The kernel resets no connection whose end has been asked for, and Node then forgets to close it. */
function reset(socket: net.Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
