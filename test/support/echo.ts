/** An echo server that a conformance suite from outside can be pointed at: see USAGE. */
import type { Socket } from 'node:net';
import type { DataOpcode } from '../../src/frame/message.ts';
import { HttpError } from '../../src/http/error.ts';
import { encodeUpgradeResponse, readUpgradeRequest } from '../../src/http/handshake.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { encodeResponse, errorResponse } from '../../src/http/response.ts';
import { accept } from '../../src/opening/accept.ts';
import { DEFAULT_LIMITS } from '../../src/options.ts';
import { Connection } from '../../src/transport/connection.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { maxConnectionsOfProcess } from '../../src/transport/descriptors.ts';
import { writeAndClose } from '../../src/transport/linger.ts';
import { Listener } from '../../src/transport/listener.ts';
import { WebSocketConnection, type WebSocketHandler } from '../../src/websocket/websocket.ts';
import { integerFlags } from './integer-flags.ts';

const USAGE = `Usage: npm run echo -- [--port <n>] [--max-message-bytes <n>]

Sends every message back, text as text and binary as binary, until Ctrl-C. It listens on 127.0.0.1, prints its address, and
uses the daemon's own handshake and frames, so that an external conformance suite can test them.

  --port <n>               the port; 0, the default, takes a free one
  --max-message-bytes <n>  the largest message, ${DEFAULT_LIMITS.maxMessageBytes} by default as in the daemon. Suites that send 16 MiB want
                           67108864. A message of that size may come in fragments of 64 bytes
`;

/** The smallest that suites cut their largest messages into. */
const FRAGMENT_BYTES = 64;

const { port, 'max-message-bytes': maxMessageBytes } = integerFlags(USAGE, {
  port: 0,
  'max-message-bytes': DEFAULT_LIMITS.maxMessageBytes,
});
const maxFragments = Math.max(DEFAULT_LIMITS.maxFragments, Math.ceil(maxMessageBytes / FRAGMENT_BYTES));
const connections = new Connections(new Deadlines(), (error) => console.error(error));
connections.max = await maxConnectionsOfProcess();

const LIMITS = { ...DEFAULT_LIMITS, maxMessageBytes, maxFragments };

class Echo implements WebSocketHandler {
  readonly #webSocket: WebSocketConnection;

  constructor(connection: Connection, rest: Buffer) {
    this.#webSocket = new WebSocketConnection(connection, 'server', LIMITS, this);
    this.#webSocket.start(rest);
  }

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    this.#webSocket.sendMessage(payload, opcode);
  }

  /** A client that does not read the echo is not listened to. */
  onBlocked(): void {
    this.#webSocket.pause();
  }

  onDrain(): void {
    this.#webSocket.resume();
  }

  onClosed(): void {}
}

function onSocket(socket: Socket): void {
  const connection = new Connection(socket, connections);
  const refuse = (error: HttpError) => {
    const answer = encodeResponse(errorResponse(error), new Date().toUTCString());
    writeAndClose(connection, connections, answer, DEFAULT_LIMITS);
  };
  const onRequest = (head: RequestHead, rest: Buffer) => {
    try {
      const { key } = readUpgradeRequest(head);
      connections.markAuthorised(connection);
      connection.write(encodeUpgradeResponse(key, null, null));
      new Echo(connection, rest);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      refuse(error);
    }
  };
  accept(connection, DEFAULT_LIMITS, { onRequest, onRefused: refuse });
  if (!connections.admit(connection)) connection.destroy();
}

const listener = new Listener(onSocket, (error) => console.error(error));
try {
  await listener.listen(['127.0.0.1'], port);
} catch (error) {
  process.stderr.write(`Cannot listen on port ${port}: ${(error as Error).message}\n`);
  process.exit(1);
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
console.log(`ws://127.0.0.1:${listener.addresses[0]?.port}/`);
