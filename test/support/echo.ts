/** An echo server that a conformance suite from outside can be pointed at: see USAGE. */
import type { Socket } from 'node:net';
import type { DataOpcode } from '../../src/frame/message.ts';
import { Session, type SessionSink } from '../../src/frame/session.ts';
import { HttpError } from '../../src/http/error.ts';
import { encodeUpgradeResponse, readUpgradeRequest } from '../../src/http/handshake.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { encodeResponse, errorResponse } from '../../src/http/response.ts';
import { accept } from '../../src/opening/accept.ts';
import { DEFAULT_LIMITS } from '../../src/options.ts';
import { Connection, type ConnectionHandler } from '../../src/transport/connection.ts';
import { Connections } from '../../src/transport/connections.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { maxConnectionsOfProcess } from '../../src/transport/descriptors.ts';
import { endAfter } from '../../src/transport/linger.ts';
import { Listener } from '../../src/transport/listener.ts';
import { integerFlags } from './integer-flags.ts';

const USAGE = `Usage: npm run echo -- [--port <n>] [--max-message-bytes <n>]

Sends every message back, text as text and binary as binary, until Ctrl-C. It listens on 127.0.0.1, prints where, and
speaks with the daemon's own handshake and frames, so that a conformance suite from outside can put them to the test.

  --port <n>               0, the default, takes a free one
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

class Echo implements ConnectionHandler, SessionSink {
  readonly #connection: Connection;
  readonly #session: Session;

  constructor(socket: Socket) {
    this.#connection = new Connection(socket, connections, this);
    this.#session = new Session('server', { maxMessageBytes, maxFragments }, this, this.#connection);
    accept(this.#connection, DEFAULT_LIMITS, {
      onRequest: (head, rest) => this.#open(head, rest),
      onRefused: (error) => this.#refuse(error),
    });
    if (!connections.admit(this.#connection)) this.#connection.destroy();
  }

  onMessage(payload: Buffer, opcode: DataOpcode): void {
    this.#session.sendMessage(payload, opcode);
  }

  write(bytes: Buffer): void {
    this.#connection.write(bytes);
  }

  onData(chunk: Buffer): void {
    this.#session.receive(chunk);
    // Who does not read the echo is not listened to. What this chunk causes is written after it, and counts at the next.
    if (this.#connection.blocked) this.#connection.pause();
  }

  onDrain(): void {
    this.#connection.resume();
  }

  onClosed(): void {
    this.#connection.resume();
    this.#connection.end();
    this.#connection.setDeadline(DEFAULT_LIMITS.closingTimeoutMs);
  }

  onDeadline(): void {
    this.#connection.destroy();
  }

  onEof(): void {
    this.#session.receiveEof();
  }

  onGone(): void {}

  onShutdown(): void {}

  #open(head: RequestHead, rest: Buffer): void {
    try {
      const { key } = readUpgradeRequest(head);
      connections.prove(this.#connection);
      this.#connection.clearDeadline();
      this.#connection.handler = this;
      this.#connection.write(encodeUpgradeResponse(key, null, null));
      this.onData(rest);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(error);
    }
  }

  #refuse(error: HttpError): void {
    const answer = encodeResponse(errorResponse(error), new Date().toUTCString());
    endAfter(this.#connection, answer, DEFAULT_LIMITS.lingerTimeoutMs);
  }
}

const listener = new Listener(
  (socket) => new Echo(socket),
  (error) => console.error(error),
);
try {
  await listener.listen(['127.0.0.1'], port);
} catch (error) {
  process.stderr.write(`Cannot listen on port ${port}: ${(error as Error).message}\n`);
  process.exit(1);
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
console.log(`ws://127.0.0.1:${listener.addresses[0]?.port}/`);
