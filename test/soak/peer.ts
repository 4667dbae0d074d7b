/** One end of a WebSocket, on the daemon's own modules: hundreds of them must cost next to nothing. */
import type { Close } from '../../src/frame/close.ts';
import { encodeFrame } from '../../src/frame/encode.ts';
import type { DataOpcode } from '../../src/frame/message.ts';
import { CloseCode, Opcode, type Side } from '../../src/frame/vocabulary.ts';
import { encodeUpgradeResponse, readUpgradeRequest } from '../../src/http/handshake.ts';
import { accept } from '../../src/opening/accept.ts';
import { connect } from '../../src/opening/connect.ts';
import { Connection } from '../../src/transport/connection.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { Listener } from '../../src/transport/listener.ts';
import { WebSocketConnection, type WebSocketHandler } from '../../src/websocket/websocket.ts';

/** The daemon's limits are to be seen at work, not ours. */
const LIMITS = {
  maxMessageBytes: 2 ** 24,
  maxFragments: 2 ** 16,
  maxPingsPerSecond: Number.POSITIVE_INFINITY,
  pingIntervalMs: Number.POSITIVE_INFINITY,
  frameTimeoutMs: Number.POSITIVE_INFINITY,
  closingTimeoutMs: 10_000,
};
const HOST = '127.0.0.1';

/** How long a handshake may take. The daemon takes milliseconds, but what fails has to be told. */
const PATIENCE_MS = 20_000;
const HEAD = { maxHeadBytes: 16 * 1024, maxHeadFields: 100, headTimeoutMs: PATIENCE_MS };

const connections = new Connections(new Deadlines(), (fault) => {
  throw fault;
});

export class Peer implements WebSocketHandler {
  onText: (text: string) => void = () => {};
  onBinary: (payload: Buffer) => void = () => {};
  /** Called once; 1006 where the connection just ended. */
  onEnd: (closeCode: number) => void = () => {};
  readonly #socket: WebSocketConnection;
  readonly #side: Side;
  #onRead: () => void = () => {};

  private constructor(connection: Connection, side: Side) {
    this.#side = side;
    this.#socket = new WebSocketConnection(connection, side, LIMITS, this);
  }

  /**
   * Opens a connection to the daemon.
   *
   * @param onOpen the first messages may lie behind the 101, so what hears them is set in here
   */
  static open(port: number, path: string, onOpen: (peer: Peer) => void = () => {}): Promise<Peer> {
    const request = { host: HOST, port, path, bearer: null, subprotocols: [], extensions: null };
    return new Promise((resolve, reject) => {
      connect({ host: HOST, port, tls: null, proxy: null, request }, connections, PATIENCE_MS, {
        onOpened: ({ connection, rest }) => {
          const peer = new Peer(connection, 'client');
          onOpen(peer);
          resolve(peer);
          peer.#socket.start(rest);
        },
        onFailed: ({ state, reason }) => reject(new Error(`no upgrade, ${state}: ${reason}`)),
      });
    });
  }

  /** Serves on a free port. @returns the port */
  static async serve(onOpen: (peer: Peer) => void, onFault: (error: unknown) => void): Promise<number> {
    const listener = new Listener((socket) => {
      const connection = new Connection(socket, connections);
      accept(connection, HEAD, {
        onRequest: (head, rest) => {
          connection.write(encodeUpgradeResponse(readUpgradeRequest(head).key, null, null));
          const peer = new Peer(connection, 'server');
          onOpen(peer);
          peer.#socket.start(rest);
        },
        onRefused: (error) => {
          onFault(error);
          connection.destroy();
        },
      });
    }, onFault);
    await listener.listen([HOST], 0);
    return listener.addresses[0]?.port as number;
  }

  sendText(text: string): void {
    this.#socket.sendText(text);
  }

  sendBinary(payload: Buffer): void {
    this.#socket.sendMessage(payload, Opcode.BINARY);
  }

  /** One text message in as many frames as there are parts. */
  sendFragments(parts: readonly string[]): void {
    for (const [i, part] of parts.entries()) {
      const opcode = i === 0 ? Opcode.TEXT : Opcode.CONTINUATION;
      this.#socket.sendFrames(encodeFrame(this.#side, opcode, Buffer.from(part), i === parts.length - 1));
    }
  }

  /** Begins the closing handshake. */
  close(closeCode: number = CloseCode.NORMAL): void {
    this.#socket.close(closeCode);
  }

  /** Leaves without a word. */
  leave(): void {
    this.#socket.destroy();
  }

  /** Sleeps for so long after each chunk that it reads. @returns what wakes it for good */
  napAfterReads(napMs: number): () => void {
    let nap: NodeJS.Timeout | null = null;
    const fallAsleep = () => {
      this.#socket.pause();
      nap = setTimeout(() => {
        nap = null;
        this.#socket.resume();
      }, napMs);
    };
    let isTired = false;
    this.#onRead = () => {
      if (isTired) return;
      isTired = true;
      // After the other messages of this chunk.
      setImmediate(() => {
        isTired = false;
        if (nap === null) fallAsleep();
      });
    };
    return () => {
      this.#onRead = () => {};
      isTired = true;
      if (nap !== null) clearTimeout(nap);
      this.#socket.resume();
    };
  }

  // WebSocketHandler

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    if (opcode === Opcode.TEXT) this.onText(payload.toString());
    else this.onBinary(payload);
    this.#onRead();
  }

  onClosed({ closeCode }: Close): void {
    this.onEnd(closeCode);
  }
}
