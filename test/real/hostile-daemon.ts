/** A daemon that behaves badly, in a way that can be chosen: it never ends an honest agent. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { encodeFrame, encodeText } from '../../src/frame/encode.ts';
import { Opcode } from '../../src/frame/vocabulary.ts';

export type Misbehaviour = (socket: net.Socket, head: string) => void;

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Accepts the WebSocket, as an honest daemon would. */
export function upgrade(socket: net.Socket, head: string): void {
  const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? '';
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: hypi.v1\r\n\r\n`,
  );
}

const text = (value: unknown) => encodeText('server', typeof value === 'string' ? value : JSON.stringify(value));

/** Writes as fast as the other side reads, for so long. */
function flood(socket: net.Socket, bytes: Buffer, forMs: number): void {
  const until = Date.now() + forMs;
  const write = () => {
    while (!socket.destroyed && Date.now() < until && socket.write(bytes));
    if (!socket.destroyed && Date.now() < until) socket.once('drain', write);
  };
  write();
}

/** After a 101 of its own. */
const after =
  (act: (socket: net.Socket) => void): Misbehaviour =>
  (socket, head) => {
    upgrade(socket, head);
    act(socket);
  };

const deep = `${'{"id":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
const push = text({ event: 'node_joined', node: { id: 'x'.repeat(200), machine: 'm', cwd: '/', port: 1 } });
const pushes = Buffer.concat(Array.from({ length: 500 }, () => push));

export const MISBEHAVIOURS: Record<string, Misbehaviour> = {
  'says nothing at all': () => {},
  'ends at once': (socket) => socket.end(),
  'resets at once': (socket) => socket.resetAndDestroy(),
  'answers with 404': (socket) => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
  'answers with a status that is none': (socket) => socket.end('HTTP/1.1 999999 What\r\n\r\n'),
  'answers with half a head': (socket) => socket.write('HTTP/1.1 101 Switching Pro'),
  'answers with a head that never ends': (socket) =>
    flood(socket, Buffer.from('X-Field: value\r\n'.repeat(1000)), 1000),
  'answers in another language': (socket) => socket.write(Buffer.from([0x15, 3, 1, 0, 2, 2, 40])),
  'accepts with a wrong proof': (socket) =>
    socket.write(
      'HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: nonsense\r\n\r\n',
    ),
  'accepts, and never answers the registration': after(() => {}),
  'accepts, and ends': after((socket) => socket.end()),
  'accepts, and resets': after((socket) => socket.resetAndDestroy()),
  'sends bytes that are no frame': after((socket) => socket.write(Buffer.alloc(1000, 0xff))),
  'announces a frame of 2^62 bytes': after((socket) =>
    socket.write(Buffer.from([0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0])),
  ),
  'sends half a frame': after((socket) => socket.write(Buffer.from([0x81, 126, 0x10, 0, 1, 2, 3]))),
  'sends text that is no UTF-8': after((socket) => socket.write(Buffer.from([0x81, 2, 0xc3, 0x28]))),
  'sends text that is no JSON': after((socket) => socket.write(text('{{{'))),
  'answers the registration with nonsense': after((socket) => {
    for (const answer of [5, null, [], 'x', { id: 'register' }, { id: 'register', result: 5 }, { id: ['register'] }]) {
      socket.write(text(answer));
    }
  }),
  'refuses the registration': after((socket) => socket.write(text({ id: 'register', error: 'no'.repeat(5000) }))),
  'sends JSON that is too deep': after((socket) => socket.write(text(deep))),
  'asks for connections that lead nowhere': after((socket) => {
    socket.write(text({ id: 'register', result: { status: 'registered', dial_back: true } }));
    for (let i = 0; i < 500; i++) socket.write(text({ event: 'dial_back', ticket: i % 2 ? `t${i}` : '../../x' }));
  }),
  'floods with pushes': after((socket) => flood(socket, pushes, 1500)),
  'registers, and floods with pushes': after((socket) => {
    socket.write(text({ id: 'register', result: { status: 'registered' } }));
    flood(socket, pushes, 1500);
  }),
  'floods with pings': after((socket) => {
    const pings = Buffer.concat(
      Array.from({ length: 500 }, () => encodeFrame('server', Opcode.PING, Buffer.from('x'))),
    );
    flood(socket, pings, 1500);
  }),
  'sends a roster of 30 MB': after((socket) => {
    socket.write(
      text(
        `{"event":"init","nodes":[${Array(100_000)
          .fill(`{"id":"${'x'.repeat(280)}"}`)
          .join(',')}]}`,
      ),
    );
  }),
  ...Object.fromEntries(
    [1000, 1001, 1008, 1011, 1013, 4999].map((code) => [
      `closes with ${code}`,
      after((socket) => {
        const payload = Buffer.alloc(2);
        payload.writeUInt16BE(code);
        socket.write(encodeFrame('server', Opcode.CLOSE, payload));
      }),
    ]),
  ),
};

export class HostileDaemon {
  misbehave: Misbehaviour = () => {};
  /** How often it was connected to since it was asked last. */
  connections = 0;
  readonly #server = net.createServer((socket) => this.#accept(socket));
  readonly #sockets = new Set<net.Socket>();

  static async start(): Promise<HostileDaemon> {
    const daemon = new HostileDaemon();
    daemon.#server.listen(0, '127.0.0.1');
    await once(daemon.#server, 'listening');
    return daemon;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as net.AddressInfo).port}/ws`;
  }

  /** Ends every connection, and behaves so from now on. */
  become(misbehave: Misbehaviour): void {
    this.misbehave = misbehave;
    this.connections = 0;
    for (const socket of this.#sockets) socket.destroy();
  }

  stop(): void {
    this.become(() => {});
    this.#server.close();
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket);
    this.connections++;
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    let head = '';
    const onData = (chunk: Buffer) => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      socket.resume();
      this.misbehave(socket, head);
    };
    socket.on('data', onData);
  }
}
