// An echo of the built modules: a session on a connection. See startServer in server.ts.
import { Session } from '../../dist/frame/session.js';
import { encodeUpgradeResponse, readUpgradeRequest } from '../../dist/http/handshake.js';
import { accept } from '../../dist/opening/accept.js';
import { DEFAULT_LIMITS } from '../../dist/options.js';
import { keepFreedMemory } from '../../dist/transport/allocator.js';
import { Connection } from '../../dist/transport/connection.js';
import { Connections } from '../../dist/transport/connections.js';
import { Deadlines } from '../../dist/transport/deadlines.js';
import { Listener } from '../../dist/transport/listener.js';

const onError = (error) => console.error(error);
const connections = new Connections(new Deadlines(), onError);

class Echo {
  #connection;
  #session;

  constructor(socket) {
    this.#connection = new Connection(socket, connections, this);
    this.#session = new Session('server', DEFAULT_LIMITS, this, this.#connection);
    accept(this.#connection, DEFAULT_LIMITS, {
      onRequest: (head, rest) => this.#open(head, rest),
      onRefused: () => this.#connection.destroy(),
    });
    if (!connections.admit(this.#connection)) this.#connection.destroy();
  }

  onMessage(payload, opcode) {
    this.#session.sendMessage(payload, opcode);
  }

  write(bytes) {
    this.#connection.write(bytes);
  }

  onData(chunk) {
    this.#session.receive(chunk);
    if (this.#connection.blocked) this.#connection.pause();
  }

  onDrain() {
    this.#connection.resume();
  }

  onClosed() {
    this.#connection.resume();
    this.#connection.end();
    this.#connection.setDeadline(DEFAULT_LIMITS.closingTimeoutMs);
  }

  onDeadline() {
    this.#connection.destroy();
  }

  onEof() {
    this.#session.receiveEof();
  }

  onGone() {}

  onShutdown() {}

  #open(head, rest) {
    const { key } = readUpgradeRequest(head);
    connections.prove(this.#connection);
    this.#connection.clearDeadline();
    this.#connection.handler = this;
    this.#connection.write(encodeUpgradeResponse(key, null, null));
    this.onData(rest);
  }
}

keepFreedMemory();
const listener = new Listener((socket) => new Echo(socket), onError);
await listener.listen(['127.0.0.1'], 0);
console.log(JSON.stringify({ port: listener.addresses[0].port }));
