/** One end of a WebSocket on a bare socket, with the daemon's own frame code: hundreds of them must cost next to nothing. */
import net from 'node:net';
import { encodeFrame } from '../../src/frame/encode.ts';
import type { DataOpcode } from '../../src/frame/message.ts';
import { Session, type SessionSink } from '../../src/frame/session.ts';
import { CloseCode, Opcode, type Side } from '../../src/frame/vocabulary.ts';
import type { FrameWriter } from '../../src/frame/writer.ts';
import { encodeHead } from '../../src/http/encode-head.ts';
import { acceptFor, createKey, encodeUpgradeResponse } from '../../src/http/handshake.ts';

const LIMITS = { maxMessageBytes: 2 ** 24, maxFragments: 2 ** 16 };
const END_OF_HEAD = '\r\n\r\n';
const HOST = '127.0.0.1';

/** How long a handshake may take. The daemon takes milliseconds, but what fails has to be told. */
const PATIENCE_MS = 20_000;

export class Peer implements SessionSink, FrameWriter {
  readonly batch = null;
  readonly socket: net.Socket;
  onText: (text: string) => void = () => {};
  onBinary: (payload: Buffer) => void = () => {};
  /** Called once; 1006 where the connection just ended. */
  onEnd: (closeCode: number) => void = () => {};
  readonly #session: Session;

  private constructor(socket: net.Socket, side: Side) {
    this.socket = socket;
    this.#session = new Session(side, LIMITS, this, this);
    socket.on('data', (chunk) => this.#session.receive(chunk));
    socket.on('close', () => this.#session.receiveEof());
  }

  /**
   * Opens a connection to the daemon.
   *
   * @param onOpen the first messages may lie behind the 101, so what hears them is set in here
   * @param fields more of the request's head: `['Origin', 'http://localhost']`
   */
  static async open(
    port: number,
    path: string,
    onOpen: (peer: Peer) => void = () => {},
    fields: [string, string][] = [],
  ): Promise<Peer> {
    const key = createKey();
    const socket = net.connect({ host: HOST, port, noDelay: true });
    const request: [string, string][] = [
      ['Host', `${HOST}:${port}`],
      ['Upgrade', 'websocket'],
      ['Connection', 'Upgrade'],
      ['Sec-WebSocket-Key', key],
      ['Sec-WebSocket-Version', '13'],
      ...fields,
    ];
    socket.write(encodeHead(`GET ${path} HTTP/1.1`, request));
    return shakeHands(socket, (head) => {
      if (!head.startsWith('HTTP/1.1 101 ') || !head.includes(acceptFor(key))) throw new Error(`no upgrade: ${head}`);
      const peer = new Peer(socket, 'client');
      onOpen(peer);
      return peer;
    });
  }

  /** Answers an opening handshake on a socket that was accepted. */
  static async accept(socket: net.Socket): Promise<Peer> {
    return shakeHands(socket, (head) => {
      const key = /^Sec-WebSocket-Key: (.*)\r$/im.exec(head)?.[1];
      if (key === undefined) throw new Error(`no upgrade: ${head}`);
      socket.write(encodeUpgradeResponse(key, null, null));
      return new Peer(socket, 'server');
    });
  }

  sendText(text: string): void {
    this.#session.sendText(text);
  }

  sendBinary(payload: Buffer): void {
    this.#session.sendMessage(payload, Opcode.BINARY);
  }

  /** One text message in as many frames as there are parts. */
  sendFragments(parts: readonly string[]): void {
    for (const [i, part] of parts.entries()) {
      const opcode = i === 0 ? Opcode.TEXT : Opcode.CONTINUATION;
      this.write(encodeFrame(this.#session.side, opcode, Buffer.from(part), i === parts.length - 1));
    }
  }

  /** Begins the closing handshake. */
  close(closeCode: number = CloseCode.NORMAL): void {
    this.#session.sendClose(closeCode);
  }

  /** Leaves without a word. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  // FrameWriter, SessionSink

  write(bytes: Buffer): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    if (opcode === Opcode.TEXT) this.onText(payload.toString());
    else this.onBinary(payload);
  }

  onClosed({ closeCode }: { closeCode: number }): void {
    this.socket.end();
    this.onEnd(closeCode);
  }
}

/** Reads one head, and gives the socket to the peer that is made of it, with what came behind the head. */
function shakeHands(socket: net.Socket, open: (head: string) => Peer): Promise<Peer> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(new Error('no handshake')), PATIENCE_MS);
    const onClose = () => reject(new Error('the connection ended in the handshake'));
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf(END_OF_HEAD);
      if (end === -1) return;
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose);
      try {
        const peer = open(received.toString('latin1', 0, end + 2));
        resolve(peer);
        const rest = received.subarray(end + END_OF_HEAD.length);
        if (rest.length > 0) socket.emit('data', rest);
      } catch (error) {
        socket.destroy();
        reject(error);
      }
    };
    // A reset is told by the close that follows it.
    socket.on('error', () => {});
    socket.on('close', () => clearTimeout(timer));
    socket.on('close', onClose).on('data', onData);
  });
}
