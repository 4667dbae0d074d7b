/**
 * A TCP connection: owns its socket, the bytes that wait to be written, and its one deadline. The protocols hand it Buffers
 * and never touch a socket themselves. It has one handler at a time, and each stage of a connection puts the next in place.
 *
 * The listeners are shared by all connections, so that an idle one costs its socket and a few fields. Every socket has
 * an error handler from its first tick.
 */
import type net from 'node:net';
import { freeChunk } from './allocator.ts';
import { Batch } from './batch.ts';
import type { Connections, Member } from './connections.ts';
import { Deadline, type Expiring } from './deadlines.ts';
import type { ReadBuffer } from './read-buffer.ts';

/** What those who accept hand on, and never touch. */
export type Socket = net.Socket;

export interface ConnectionHandler {
  /** Bytes from the peer. They are valid during the call, and after it only if `keepChunk` was called in it. */
  onData(chunk: Buffer): void;
  /** The peer has ended its side; ours is still open. */
  onEof(): void;
  /** The connection was blocked, and the kernel has taken everything that was written. */
  onDrain(): void;
  /** The deadline that was set has passed. */
  onDeadline(): void;
  /** The socket is closed, by either side; called once, and nothing is called after it. */
  onGone(): void;
  /** The daemon is going: say goodbye, and end. */
  onShutdown(): void;
  /** This handler threw: it may tell the peer. The connection is destroyed after it. */
  onFault?(): void;
}

/**
 * If the kernel does not take all of a write at once, the connection is blocked, and 'drain' is sure to follow. (A stream
 * signals 'drain' only for writes that reached its high-water mark.)
 */
const HIGH_WATER_MARK = 1;

/** Options every socket of ours shares, accepted or dialled. Half-open, because the relay passes each end's EOF on. */
export const SOCKET_OPTIONS = { allowHalfOpen: true, highWaterMark: HIGH_WATER_MARK, noDelay: true } as const;

/**
 * A large write is made in slices, so that a slow peer that takes a large roster is seen to take it. Each slice costs a
 * turn, so they grow for a peer that takes them soon.
 */
const FIRST_SLICE_BYTES = 512 * 1024;
const MAX_SLICE_BYTES = 4 * 1024 * 1024;
const SLICE_GROWTH = 4;
const SOON_MS = 1000;

/** A batch that nobody uses now. Nearly always one connection is corked at a time, so that one batch serves all. */
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
  // 'close' follows, and tells the handler.
  ownerOf(this).errorCode = error.code ?? error.message;
}
function onClose(this: net.Socket): void {
  ownerOf(this).closed();
}

export class Connection implements Expiring, Member {
  /** Hears of all that happens on the connection. */
  handler: ConnectionHandler;
  /**
   * When the peer last gave a sign of life, on the wheel's clock: it sent bytes, or took some that waited. A paused
   * connection cannot see one, so the peer's silence counts from `resume`.
   */
  aliveAt: number;
  /** The system's name of the error that broke the connection (ECONNREFUSED); null if none did. */
  errorCode: string | null = null;
  /**
   * Since when the kernel has taken no more of the bytes that wait, on the wheel's clock; meaningful while `blocked`. The end
   * of a write moves it, and `lookForProgress` does if a write has got on.
   */
  blockedSince = 0;
  #socket: net.Socket;
  readonly #all: Connections;
  #readBuffer: ReadBuffer | null;
  readonly #deadline = new Deadline(this);
  /** Not null while the connection is corked. */
  #batch: Batch | null = null;
  /** The handler keeps the chunk in hand. */
  #chunkKept = false;
  #blocked = false;
  #paused = false;
  #gone = false;
  /** The rest of writes that are too large to be made at once; null while there is none. */
  #unwritten: Buffer[] | null = null;
  #unwrittenBytes = 0;
  #sliceBytes = FIRST_SLICE_BYTES;
  /** How much of an unfinished write the system held when that was last looked at. */
  #queuedBytes = 0;
  #ending = false;
  /** Not under TLS. */
  #isPlain = true;

  /**
   * Takes over a socket made with SOCKET_OPTIONS.
   *
   * @param all counts it until it is gone
   * @param readBuffer the one that the socket was made to read into, if it was
   */
  constructor(socket: net.Socket, all: Connections, handler: ConnectionHandler, readBuffer: ReadBuffer | null = null) {
    this.handler = handler;
    this.aliveAt = all.deadlines.now();
    this.#socket = socket;
    this.#all = all;
    this.#readBuffer = readBuffer;
    all.add(this);
    this.#listen();
  }

  /**
   * Goes on over another socket, which `wrap` puts over this one: TLS, say. Nothing may be waiting to be written.
   *
   * @param wrap given the socket so far, returns one made with SOCKET_OPTIONS that closes with it
   * @param readBuffer the one that the new socket was made to read into, if it is plain TCP as this one
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
    // After `end` there is no 'drain' any more; this is when all is out.
    socket.on('finish', onDrain);
    socket.on('close', onClose);
  }

  /** The peer's address as the kernel tells it; '' if the socket was closed before anybody asked. */
  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? '';
  }

  /** The address of ours that the peer is connected to; '' if the socket was closed before anybody asked. */
  get localAddress(): string {
    return this.#socket.localAddress ?? '';
  }

  /** The kernel asks after so much silence whether the peer is still there, and ends the connection if it does not answer. */
  probe(silenceMs: number): void {
    this.#socket.setKeepAlive(true, silenceMs);
  }

  /** The wheel's clock, in milliseconds. */
  get now(): number {
    return this.#all.deadlines.now();
  }

  /** True while the kernel has not taken all that was written. `onDrain` follows. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Bytes that were written and that the kernel has not taken, the batch included. */
  get unsentBytes(): number {
    return this.#socket.writableLength + this.#unwrittenBytes + (this.#batch === null ? 0 : this.#batch.length);
  }

  /**
   * Looks whether the kernel has taken more of an unfinished write: that is a sign of life too, and a slow peer may take
   * minutes for the whole. To be called before `blockedSince` is read.
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

  /** Collects the writes while the connection is corked; null while each goes to the kernel by itself. */
  get batch(): Batch | null {
    return this.#batch;
  }

  /**
   * Until `uncork` all writes on this connection are put together, and then leave in one.
   *
   * @returns false if it was corked already: the caller that corked it first will uncork it
   */
  cork(): boolean {
    if (this.#batch !== null) return false;
    this.#batch = spareBatch ?? new Batch();
    spareBatch = null;
    return true;
  }

  /** Writes everything that was put together since `cork`. */
  uncork(): void {
    const batch = this.#batch;
    if (batch === null) return;
    this.#writeBatch(batch);
    this.#batch = null;
    spareBatch = batch;
  }

  /** The Buffer must not be changed until it is out. Writes on a connection that is ended or gone are dropped. */
  write(bytes: Buffer): void {
    const batch = this.#batch;
    if (batch !== null) {
      if (batch.add(bytes)) return;
      // There is no room for it, and it must not overtake the batch.
      this.#writeBatch(batch);
    }
    this.#write(bytes);
  }

  /** Ends our side once all that was written is out. */
  end(): void {
    if (this.#batch !== null) this.#writeBatch(this.#batch);
    this.#ending = true;
    if (this.#unwritten === null) this.#endSocket();
  }

  /** Closes at once; bytes that the kernel has not taken are lost. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Stops reading: the peer feels it once the kernel's buffers are full. */
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
   * The handler keeps the chunk that it is being given, or a part of it, beyond `onData`: in a write that is not finished,
   * for example. Otherwise its memory is used again as soon as `onData` returns.
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

  // From the socket.

  received(chunk: Buffer): void {
    this.aliveAt = this.now;
    this.#chunkKept = false;
    this.deliver(chunk);
    if (this.#readBuffer === null && !this.#chunkKept) freeChunk(chunk);
  }

  /** Gives the handler bytes from the peer: those that were just read, or that were read before and had to wait. */
  deliver(bytes: Buffer): void {
    try {
      this.handler.onData(bytes);
    } catch (error) {
      // They may have been written before the fault, and not be out yet.
      this.keepChunk();
      this.#fault(error);
    }
  }

  drained(): void {
    // With this high-water mark a stream says 'drain' after every write, also after one that went out at once.
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

  /** Goes on with large writes, until the kernel takes no more. */
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
    // Closing says the same as an end of our side if the peer has ended its own and the kernel has taken everything, and it
    // costs a third. (TLS would leave its last word out.)
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
      // It may wait for long, and is to hold no more memory than its own bytes.
      this.#write(copyOf(bytes));
      batch.release(false);
    } else {
      this.#write(bytes);
      batch.release(this.#blocked);
    }
  }
}

/**
 * Bytes of an unfinished write that the system still holds. Node judges by it whether a socket has timed out, but gives it
 * no public name; without it only whole writes count as progress.
 */
function queuedBytesOf(socket: net.Socket): number {
  return (socket as { _handle?: { writeQueueSize?: number } | null })._handle?.writeQueueSize ?? 0;
}

/** A copy in memory of its own: no part of Node's pool of small Buffers, all of which it would keep from being freed. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
