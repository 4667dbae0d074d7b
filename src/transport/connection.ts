/**
 * A TCP connection. It owns its socket, the bytes that wait to be written, and its one deadline. The protocols hand it
 * Buffers and never touch a socket. It has one handler at a time, and each stage of a connection installs the next
 * handler.
 *
 * All connections share the listeners, so an idle connection costs its socket and a few fields. Every socket has an
 * error handler from its first tick.
 */
import type net from 'node:net';
import { freeChunk } from './allocator.ts';
import { Batch } from './batch.ts';
import type { Connections, Member } from './connections.ts';
import { Deadline, type Expiring } from './deadlines.ts';
import type { ReadBuffer } from './read-buffer.ts';

/** A socket, for rooms that only pass it on and never touch it. */
export type Socket = net.Socket;

export interface ConnectionHandler {
  /** Called with bytes from the peer. They are valid after the call only if `keepChunk` was called in it. */
  onData(chunk: Buffer): void;
  /** Called when the peer has ended its side. This side is still open. */
  onEof(): void;
  /** Called when the connection was blocked and the kernel has taken everything that was written. */
  onDrain(): void;
  /** Called when the deadline has passed. */
  onDeadline(): void;
  /** Called once, when either side has closed the socket. Nothing is called after it. */
  onGone(): void;
  /** Called when the process is about to end. The handler should close the connection. */
  onShutdown(): void;
  /** Called after this handler threw, so that it can tell the peer. The connection is destroyed afterwards. */
  onFault?(): void;
}

/**
 * With this mark, 'drain' always follows if the kernel does not take all of a write at once. A stream emits 'drain'
 * only for writes that reached its high-water mark.
 */
const HIGH_WATER_MARK = 1;

/**
 * The options of every socket, accepted or dialled. It may be half open, because the relay passes on each end's EOF.
 */
export const SOCKET_OPTIONS = { allowHalfOpen: true, highWaterMark: HIGH_WATER_MARK, noDelay: true } as const;

/**
 * A large write is made in slices, so that the progress of a slow peer with a large roster is visible. Each slice costs
 * a turn of the event loop, so the slices grow for a peer that takes them quickly.
 */
const FIRST_SLICE_BYTES = 512 * 1024;
const MAX_SLICE_BYTES = 4 * 1024 * 1024;
const SLICE_GROWTH = 4;
const SOON_MS = 1000;

/** The handler of a connection that has none yet. */
const NOBODY: ConnectionHandler = {
  onData() {},
  onEof() {},
  onDrain() {},
  onDeadline() {},
  onGone() {},
  onShutdown() {},
};

/** A batch that no connection is using. Nearly always only one connection is corked, so one batch is enough. */
let spareBatch: Batch | null = null;

const OWNER = Symbol('connection');
type OwnedSocket = net.Socket & { [OWNER]: Connection };

function ownerOf(socket: net.Socket): Connection {
  return (socket as OwnedSocket)[OWNER];
}
function onData(this: net.Socket, chunk: Buffer): void {
  ownerOf(this).received(chunk);
}
function onEnd(this: net.Socket): void {
  ownerOf(this).dispatch('onEof');
}
function onDrain(this: net.Socket): void {
  ownerOf(this).drained();
}
function onError(this: net.Socket, error: NodeJS.ErrnoException): void {
  // 'close' follows, and calls the handler.
  ownerOf(this).errorCode = error.code ?? error.message;
}
function onClose(this: net.Socket): void {
  ownerOf(this).closed();
}

export class Connection implements Expiring, Member {
  /** Receives all events of the connection. */
  handler: ConnectionHandler;
  /**
   * When the peer last gave a sign of life, on the wheel's clock: it sent bytes, or took bytes that waited. A paused
   * connection does not see that, so the peer's silence counts from `resume`.
   */
  aliveAt: number;
  /** The system's name of the error that broke the connection (ECONNREFUSED); null if none did. */
  errorCode: string | null = null;
  /**
   * When the kernel last took some of the waiting bytes, on the wheel's clock; meaningful while `blocked`. The end of a
   * write updates it, and `lookForProgress` does so during a write.
   */
  blockedSince = 0;
  #socket: net.Socket;
  readonly #all: Connections;
  #readBuffer: ReadBuffer | null;
  readonly #deadline = new Deadline(this);
  /** Not null while the connection is corked. */
  #batch: Batch | null = null;
  /** Whether the handler keeps the current chunk. */
  #chunkKept = false;
  #blocked = false;
  #paused = false;
  #gone = false;
  /** The rest of writes that are too large for one write; null while there is none. */
  #unwritten: Buffer[] | null = null;
  #unwrittenBytes = 0;
  #sliceBytes = FIRST_SLICE_BYTES;
  /** How much of an unfinished write the system held at the last look. */
  #queuedBytes = 0;
  #ending = false;
  /** False under TLS. */
  #isPlain = true;

  /**
   * Takes over a socket made with SOCKET_OPTIONS.
   *
   * @param all the set that counts the connection until it is gone
   * @param handler the first handler; without one, events are ignored until a handler is set
   * @param readBuffer the buffer that the socket reads into; null if Node allocates its reads
   */
  constructor(
    socket: net.Socket,
    all: Connections,
    handler: ConnectionHandler = NOBODY,
    readBuffer: ReadBuffer | null = null,
  ) {
    this.handler = handler;
    this.aliveAt = all.deadlines.now();
    this.#socket = socket;
    this.#all = all;
    this.#readBuffer = readBuffer;
    all.add(this);
    this.#listen();
  }

  /**
   * Continues over another socket around this one, such as a TLS socket. No bytes may be waiting to be written.
   *
   * @param wrap takes the current socket, and returns a socket made with SOCKET_OPTIONS that closes with it
   * @param readBuffer the buffer that the new socket reads into, if that is plain TCP too
   */
  replaceSocket(wrap: (socket: net.Socket) => net.Socket, readBuffer: ReadBuffer | null = null): void {
    const below = this.#socket;
    below.off('data', onData).off('end', onEnd).off('drain', onDrain).off('finish', onDrain).off('close', onClose);
    this.#socket = wrap(below);
    this.#readBuffer = readBuffer;
    this.#isPlain = readBuffer !== null;
    this.#listen();
  }

  #listen(): void {
    const socket = this.#socket;
    (socket as OwnedSocket)[OWNER] = this;
    socket.on('error', onError);
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('drain', onDrain);
    // After `end`, 'finish' comes instead of 'drain' when everything is written.
    socket.on('finish', onDrain);
    socket.on('close', onClose);
  }

  /** The peer's address, from the kernel; '' if the socket was closed before the first use. */
  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? '';
  }

  /** This machine's address on the connection; '' if the socket was closed before the first use. */
  get localAddress(): string {
    return this.#socket.localAddress ?? '';
  }

  /** Makes the kernel probe the peer after this much silence. It ends the connection if the peer does not answer. */
  probe(silenceMs: number): void {
    this.#socket.setKeepAlive(true, silenceMs);
  }

  /** The wheel's clock, in milliseconds. */
  get now(): number {
    return this.#all.deadlines.now();
  }

  /** True while the kernel has not taken everything that was written. `onDrain` follows. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** The number of written bytes that the kernel has not taken, including the batch. */
  get unsentBytes(): number {
    return this.#socket.writableLength + this.#unwrittenBytes + (this.#batch === null ? 0 : this.#batch.length);
  }

  /**
   * Checks whether the kernel has taken more of an unfinished write. That is a sign of life too, because a slow peer
   * may need minutes for all of it. This must be called before `blockedSince` is read.
   */
  lookForProgress(): void {
    if (!this.#blocked) return;
    const queuedBytes = queuedBytesOf(this.#socket);
    if (queuedBytes === this.#queuedBytes) return;
    this.#queuedBytes = queuedBytes;
    this.blockedSince = this.now;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** True once the socket is closed. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Collects the writes while the connection is corked; null while each write goes to the kernel by itself. */
  get batch(): Batch | null {
    return this.#batch;
  }

  /**
   * Collects all writes on this connection until `uncork`, which sends them in one write.
   *
   * @returns false if the connection was corked already; the caller that corked it first will uncork it
   */
  cork(): boolean {
    if (this.#batch !== null) return false;
    this.#batch = spareBatch ?? new Batch();
    spareBatch = null;
    return true;
  }

  /** Writes everything that was collected since `cork`. */
  uncork(): void {
    const batch = this.#batch;
    if (batch === null) return;
    this.#writeBatch(batch);
    this.#batch = null;
    spareBatch = batch;
  }

  /**
   * Writes a Buffer, which must not be changed until it has left. After `end` or the connection's end it is dropped.
   */
  write(bytes: Buffer): void {
    const batch = this.#batch;
    if (batch !== null) {
      if (batch.add(bytes)) return;
      // The batch has no room for these bytes, and they must not overtake it.
      this.#writeBatch(batch);
    }
    this.#write(bytes);
  }

  /** Ends this side once everything that was written has left. */
  end(): void {
    if (this.#batch !== null) this.#writeBatch(this.#batch);
    this.#ending = true;
    if (this.#unwritten === null) this.#endSocket();
  }

  /** Closes at once; bytes that the kernel has not taken are lost. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Closes with a TCP reset, for a peer with which nothing was agreed. After an ordinary close the system keeps the local
   * port in use for a minute or more, so thousands of dials that are given up would use up the ports. A connection that is
   * not open yet is closed in the next turn of the event loop.
   */
  reset(): void {
    const socket = this.#socket;
    if (socket.connecting) {
      // If the peer is on this machine, the system has connected to it already, and says so in the next turn.
      inNextTurn(() => {
        if (socket.connecting) socket.destroy();
        else this.reset();
      });
    } else if (this.#isPlain) {
      socket.resetAndDestroy();
    } else {
      // A socket under TLS cannot be reset.
      socket.destroy();
    }
  }

  /** Stops reading. The peer is held up once the kernel's buffers are full. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.aliveAt = this.now;
    this.#socket.resume();
  }

  /**
   * Keeps the current chunk after `onData`, for example for an unfinished write of a part of it. Otherwise its memory
   * is reused as soon as `onData` returns.
   */
  keepChunk(): void {
    this.#chunkKept = true;
    this.#readBuffer?.keep();
  }

  shutDown(): void {
    this.dispatch('onShutdown');
  }

  /** Sets, or moves, the one deadline. */
  setDeadline(delayMs: number): void {
    if (!this.#gone) this.#all.deadlines.set(this.#deadline, delayMs);
  }

  clearDeadline(): void {
    this.#all.deadlines.clear(this.#deadline);
  }

  onDeadline(): void {
    this.dispatch('onDeadline');
  }

  // Events of the socket

  received(chunk: Buffer): void {
    this.aliveAt = this.now;
    this.#chunkKept = false;
    this.deliver(chunk);
    if (this.#readBuffer === null && !this.#chunkKept) freeChunk(chunk);
  }

  /**
   * Passes bytes from the peer to the handler: bytes that were just read, or that were read earlier and had to wait.
   */
  deliver(bytes: Buffer): void {
    try {
      this.handler.onData(bytes);
    } catch (error) {
      // The handler may have written the bytes before the fault, and they may not have left yet.
      this.keepChunk();
      this.#fault(error);
    }
  }

  drained(): void {
    // With this high-water mark a stream emits 'drain' after every write, even if it left at once.
    if (!this.#blocked) return;
    this.#blocked = false;
    this.aliveAt = this.now;
    const tookSoon = this.aliveAt - this.blockedSince < SOON_MS;
    this.#sliceBytes = tookSoon ? Math.min(this.#sliceBytes * SLICE_GROWTH, MAX_SLICE_BYTES) : FIRST_SLICE_BYTES;
    this.#writeOn();
    if (!this.#blocked) this.dispatch('onDrain');
  }

  closed(): void {
    this.#gone = true;
    this.#blocked = false;
    this.#unwritten = null;
    this.#unwrittenBytes = 0;
    this.clearDeadline();
    this.#all.remove(this);
    this.#readBuffer?.release();
    this.dispatch('onGone');
  }

  dispatch(event: 'onEof' | 'onDrain' | 'onDeadline' | 'onGone' | 'onShutdown'): void {
    try {
      this.handler[event]();
    } catch (error) {
      this.#fault(error);
    }
  }

  #fault(error: unknown): void {
    this.#all.onFault(error);
    try {
      if (!this.#socket.destroyed) this.handler.onFault?.();
    } catch (another) {
      this.#all.onFault(another);
    }
    this.uncork();
    this.destroy();
  }

  #write(bytes: Buffer): void {
    const socket = this.#socket;
    if (this.#ending || !socket.writable) return;
    if (this.#unwritten !== null || bytes.length > FIRST_SLICE_BYTES) {
      this.#unwritten ??= [];
      this.#unwritten.push(bytes);
      this.#unwrittenBytes += bytes.length;
      if (!this.#blocked) this.#writeOn();
      return;
    }
    socket.write(bytes);
    if (!this.#blocked && socket.writableLength > 0) this.#block();
  }

  /** Continues large writes until the kernel takes no more. */
  #writeOn(): void {
    const socket = this.#socket;
    while (this.#unwritten !== null && !this.#blocked && socket.writable) {
      const first = this.#unwritten.shift() as Buffer;
      const slice = first.subarray(0, this.#sliceBytes);
      if (slice.length < first.length) this.#unwritten.unshift(first.subarray(slice.length));
      if (this.#unwritten.length === 0) this.#unwritten = null;
      this.#unwrittenBytes -= slice.length;
      socket.write(slice);
      if (socket.writableLength > 0) this.#block();
    }
    if (this.#unwritten !== null) return;
    this.#sliceBytes = FIRST_SLICE_BYTES;
    if (this.#ending) this.#endSocket();
  }

  #endSocket(): void {
    const socket = this.#socket;
    if (!socket.writable) return;
    // If the peer has ended its side and the kernel has taken everything, closing the socket has the same effect as
    // ending this side, at a third of the cost. (Under TLS it would omit the last alert.)
    if (this.#isPlain && socket.readableEnded && socket.writableLength === 0) socket.destroy();
    else socket.end();
  }

  #block(): void {
    this.#blocked = true;
    this.blockedSince = this.now;
    this.#queuedBytes = queuedBytesOf(this.#socket);
  }

  #writeBatch(batch: Batch): void {
    if (batch.length === 0) return;
    const bytes = batch.take();
    if (this.#blocked) {
      // These bytes may wait for long, so a copy without spare room is kept.
      this.#write(copyOf(bytes));
      batch.release(false);
    } else {
      this.#write(bytes);
      batch.release(this.#blocked);
    }
  }
}

/**
 * The bytes of an unfinished write that the system still holds. Node uses this number for its own timeouts, but has no
 * public name for it. Without it only whole writes count as progress.
 */
function queuedBytesOf(socket: net.Socket): number {
  return (socket as { _handle?: { writeQueueSize?: number } | null })._handle?.writeQueueSize ?? 0;
}

/** Calls a function once the event loop has looked for what the system has to say. */
function inNextTurn(step: () => void): void {
  setImmediate(() => setImmediate(step));
}

/** A copy in memory of its own. A part of Node's pool of small Buffers would keep the whole pool from being freed. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
