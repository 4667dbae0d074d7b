/** Connections of ours over loopback, each with the peer at its other end: a plain socket that the test drives. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection, type ConnectionHandler, SOCKET_OPTIONS } from '../../src/transport/connection.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { openConnection } from '../../src/transport/open.ts';

const PATIENCE_MS = 8000;
const LONGEST_TEST_MS = 30_000;

/** Notes what it is told, one word each, and keeps what came; what it should do besides is set from outside. */
export class RecordingHandler implements ConnectionHandler {
  readonly events: string[] = [];
  readonly chunks: Buffer[] = [];
  readonly #acts: Partial<ConnectionHandler>;

  constructor(acts: Partial<ConnectionHandler> = {}) {
    this.#acts = acts;
  }

  get received(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  onData(chunk: Buffer): void {
    this.events.push('data');
    this.chunks.push(Buffer.from(chunk));
    this.#acts.onData?.(chunk);
  }

  onEof(): void {
    this.events.push('eof');
    this.#acts.onEof?.();
  }

  onDrain(): void {
    this.events.push('drain');
    this.#acts.onDrain?.();
  }

  onDeadline(): void {
    this.events.push('deadline');
    this.#acts.onDeadline?.();
  }

  onGone(): void {
    this.events.push('gone');
    this.#acts.onGone?.();
  }

  onShutdown(): void {
    this.events.push('shutdown');
    this.#acts.onShutdown?.();
  }
}

/** The plain socket at the other end. It reads only once it is asked to. */
export class Peer {
  readonly socket: net.Socket;
  received: Buffer[] = [];
  receivedBytes = 0;
  /** In the order they happened: 'end', 'reset', 'close'. */
  readonly events: string[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.events.push(error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'reset' : String(error.code));
    });
    socket.on('end', () => this.events.push('end'));
    socket.on('close', () => this.events.push('close'));
  }

  /** Reads from now on. */
  read(): this {
    if (this.socket.listenerCount('data') === 0) {
      this.socket.on('data', (chunk) => {
        this.received.push(chunk);
        this.receivedBytes += chunk.length;
      });
    }
    this.socket.resume();
    return this;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  /** Writes, and waits until the kernel has taken it. */
  async send(bytes: Buffer | string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** The end has come, one way or the other. */
  async ended(): Promise<void> {
    await eventually(() => assert.ok(this.events.length > 0, 'the end'));
  }

  async closed(): Promise<void> {
    await eventually(() => assert.ok(this.events.includes('close'), 'closed'));
  }
}

/** All that one test opens; gone, every deadline cleared, when the test is over. */
export class Loopback {
  readonly deadlines = new Deadlines();
  readonly faults: unknown[] = [];
  readonly connections = new Connections(this.deadlines, (error) => void this.faults.push(error));
  readonly #server = net.createServer(SOCKET_OPTIONS);
  readonly #agentServer = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  readonly #peers: Peer[] = [];
  /** The wheel keeps no process alive: this does, for longer than a test takes. */
  readonly #alive = setTimeout(() => {}, LONGEST_TEST_MS);

  static async open(t: TestContext): Promise<Loopback> {
    const loopback = new Loopback();
    t.after(() => loopback.#close());
    for (const server of [loopback.#server, loopback.#agentServer]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      server.unref();
    }
    return loopback;
  }

  /** A connection that a peer has made to us, and the socket it owns, to look into. */
  async accept(handler: ConnectionHandler = new RecordingHandler()): Promise<[Connection, Peer, net.Socket]> {
    const socket = net.connect({ port: portOf(this.#server), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const peer = this.#peer(socket);
    const [[accepted]] = await Promise.all([once(this.#server, 'connection'), once(socket, 'connect')]);
    return [new Connection(accepted as net.Socket, this.connections, handler), peer, accepted as net.Socket];
  }

  /** A connection that we have made to a peer. */
  async dial(handler: ConnectionHandler = new RecordingHandler()): Promise<[Connection, Peer]> {
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const accepted = once(this.#agentServer, 'connection');
    const port = portOf(this.#agentServer);
    const connection = openConnection('127.0.0.1', port, this.connections, handler, open);
    await opened;
    const [socket] = (await accepted) as [net.Socket];
    socket.setNoDelay(true);
    return [connection, this.#peer(socket)];
  }

  #peer(socket: net.Socket): Peer {
    const peer = new Peer(socket);
    this.#peers.push(peer);
    return peer;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#alive);
    for (const { socket } of this.#peers) socket.destroy();
    this.#server.close();
    this.#agentServer.close();
    for (const connection of this.connections) connection.destroy();
    await eventually(() => assert.equal(this.connections.size, 0, 'no connection is left'));
    assert.equal(this.deadlines.size, 0, 'no deadline outlives its connection');
  }
}

/** Repeats a check until it passes; its last failure is thrown. Give `assert.ok` a message: without one it reads the source. */
export async function eventually(check: () => void): Promise<void> {
  const endsAt = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      check();
      return;
    } catch (error) {
      if (performance.now() > endsAt) throw error;
      await delay(5);
    }
  }
}

function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port;
}
