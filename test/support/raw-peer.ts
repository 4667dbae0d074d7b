/** A peer down to its bytes, for whatever `ws` would never do: odd splits, half a head, leaving without a word. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { MASKING_KEY, type ReadFrame, rawFrame, readFrames } from './raw-frame.ts';

export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const PATIENCE_MS = 10_000;

export class RawPeer {
  readonly socket: net.Socket;
  /** Resolves once the socket is closed, however that came. */
  readonly closed: Promise<void>;
  /** The peer has ended its side, or the connection is gone. */
  ended = false;
  /** What has come and was not taken; always the last bytes in use of #space. */
  #received: Buffer = Buffer.alloc(0);
  /** Grows by doubling, so that what comes is copied twice and not once for every chunk after it. */
  #space: Buffer = Buffer.alloc(0);
  #used = 0;
  #wake: (() => void) | null = null;

  constructor(socket: net.Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      this.#append(chunk);
      this.#wake?.();
    });
    const end = () => {
      this.ended = true;
      this.#wake?.();
    };
    socket.once('end', end);
    socket.once('close', end);
  }

  static async connect(port: number, options: Partial<net.TcpNetConnectOpts> = {}): Promise<RawPeer> {
    const peer = new RawPeer(net.connect({ host: '127.0.0.1', port, ...options }));
    await once(peer.socket, 'connect');
    return peer;
  }

  /** Connects, shakes hands, and has read the 101. */
  static async upgrade(port: number, path: string, fields: readonly string[] = []): Promise<RawPeer> {
    const peer = await RawPeer.connect(port);
    peer.socket.write(upgradeRequest(path, fields));
    const head = await peer.head();
    if (head.startsWith('HTTP/1.1 101 ')) return peer;
    peer.socket.destroy();
    throw new Error(`no upgrade: ${head}`);
  }

  /** The next head, its empty line included. */
  head(): Promise<string> {
    return this.#take((received) => {
      const end = received.indexOf('\r\n\r\n');
      return end === -1 ? -1 : end + 4;
    }).then((bytes) => bytes.toString('latin1'));
  }

  /** The next frame. */
  async frame(): Promise<ReadFrame> {
    const [frame] = readFrames(await this.#take(endOfFrame));
    return frame as ReadFrame;
  }

  /** The next frame, as JSON text. */
  async json(): Promise<Record<string, unknown>> {
    return JSON.parse((await this.frame()).payload.toString());
  }

  /** What has come and was not taken. */
  takeAll(): Buffer {
    const taken = this.#received;
    this.#received = Buffer.alloc(0);
    return taken;
  }

  /** All that comes until the peer ends its side. */
  async rest(): Promise<Buffer> {
    while (!this.ended) await this.#more();
    return this.#received;
  }

  #append(chunk: Buffer): void {
    const length = this.#received.length + chunk.length;
    if (this.#used + chunk.length > this.#space.length) {
      this.#space = Buffer.allocUnsafe(2 * length);
      this.#space.set(this.#received);
      this.#used = this.#received.length;
    }
    this.#space.set(chunk, this.#used);
    this.#used += chunk.length;
    this.#received = this.#space.subarray(this.#used - length, this.#used);
  }

  async #take(endOf: (received: Buffer) => number): Promise<Buffer> {
    for (;;) {
      const end = endOf(this.#received);
      if (end !== -1) {
        const taken = this.#received.subarray(0, end);
        this.#received = this.#received.subarray(end);
        return taken;
      }
      if (this.ended) throw new Error(`the connection ended: ${this.#received.toString('latin1').slice(0, 200)}`);
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('nothing came')), PATIENCE_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}

/** A server that gives each connection as a raw peer. */
export class RawAgent {
  readonly port: number;
  /** Those that have said something: the daemon proves the way by connections that end without a word. */
  readonly peers: RawPeer[] = [];
  readonly #all: RawPeer[] = [];
  readonly #server: net.Server;

  private constructor(server: net.Server) {
    this.#server = server;
    this.port = (server.address() as net.AddressInfo).port;
  }

  static async serve(onPeer: (peer: RawPeer) => unknown, host = '127.0.0.1'): Promise<RawAgent> {
    const server = net.createServer({ allowHalfOpen: true });
    server.listen(0, host);
    await once(server, 'listening');
    const agent = new RawAgent(server);
    server.on('connection', (socket) => {
      const peer = new RawPeer(socket);
      agent.#all.push(peer);
      socket.once('data', () => agent.peers.push(peer));
      // What goes wrong on a connection that the test ends on purpose is not the test's concern.
      Promise.resolve(onPeer(peer)).catch(() => {});
    });
    return agent;
  }

  async stop(): Promise<void> {
    for (const { socket } of this.#all) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** @param fields lines such as `Origin: http://localhost` */
export function upgradeRequest(path: string, fields: readonly string[] = []): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${KEY}`,
    'Sec-WebSocket-Version: 13',
    ...fields,
    '',
    '',
  ].join('\r\n');
}

/** An agent's 101 to the request whose head this is. */
export function upgradeResponse(requestHead: string, fields: readonly string[] = []): string {
  const key = fieldOf(requestHead, 'Sec-WebSocket-Key');
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    ...fields,
    '',
    '',
  ].join('\r\n');
}

/** The value of a field in a head, or null. */
export function fieldOf(head: string, name: string): string | null {
  return new RegExp(`^${name}: (.*)\\r$`, 'im').exec(head)?.[1] ?? null;
}

export function clientFrame(opcode: number, payload: Buffer | string = ''): Buffer {
  return rawFrame({ opcode, payload, maskingKey: MASKING_KEY });
}

export function serverFrame(opcode: number, payload: Buffer | string = ''): Buffer {
  return rawFrame({ opcode, payload });
}

/** A close frame's payload. */
export function closePayload(closeCode: number, closeReason = ''): Buffer {
  const payload = Buffer.from(`  ${closeReason}`);
  payload.writeUInt16BE(closeCode);
  return payload;
}

function endOfFrame(bytes: Buffer): number {
  if (bytes.length < 2) return -1;
  const second = bytes.readUInt8(1);
  const form = second & 0x7f;
  const start = (form < 126 ? 2 : form === 126 ? 4 : 10) + (second & 0x80 ? 4 : 0);
  if (bytes.length < start) return -1;
  const length = form < 126 ? form : form === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return bytes.length < start + length ? -1 : start + length;
}
