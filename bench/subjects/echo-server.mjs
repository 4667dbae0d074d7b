// An echo of the built modules: a WebSocket on a connection, without its keepalive. See startServer in server.ts.
import { encodeUpgradeResponse, readUpgradeRequest } from '../../dist/http/handshake.js';
import { accept } from '../../dist/opening/accept.js';
import { DEFAULT_LIMITS } from '../../dist/options.js';
import { keepFreedMemory } from '../../dist/transport/allocator.js';
import { Connection } from '../../dist/transport/connection.js';
import { Connections } from '../../dist/transport/connections.js';
import { Deadlines } from '../../dist/transport/deadlines.js';
import { Listener } from '../../dist/transport/listener.js';
import { WebSocketConnection } from '../../dist/websocket/websocket.js';

const LIMITS = { ...DEFAULT_LIMITS, pingIntervalMs: Number.POSITIVE_INFINITY };
const NOBODY = { onData() {}, onEof() {}, onDrain() {}, onDeadline() {}, onGone() {}, onShutdown() {} };
const onError = (error) => console.error(error);
const connections = new Connections(new Deadlines(), onError);

class Echo {
  #webSocket;

  constructor(connection, rest) {
    this.#webSocket = new WebSocketConnection(connection, 'server', LIMITS, this);
    this.#webSocket.start(rest);
  }

  onMessage(payload, opcode) {
    this.#webSocket.sendMessage(payload, opcode);
  }

  onBlocked() {
    this.#webSocket.pause();
  }

  onDrain() {
    this.#webSocket.resume();
  }

  onClosed() {}
}

function onSocket(socket) {
  const connection = new Connection(socket, connections, NOBODY);
  accept(connection, DEFAULT_LIMITS, {
    onRequest: (head, rest) => {
      const { key } = readUpgradeRequest(head);
      connections.markAuthorised(connection);
      connection.write(encodeUpgradeResponse(key, null, null));
      new Echo(connection, rest);
    },
    onRefused: () => connection.destroy(),
  });
  if (!connections.admit(connection)) connection.destroy();
}

keepFreedMemory();
const listener = new Listener(onSocket, onError);
await listener.listen(['127.0.0.1'], 0);
console.log(JSON.stringify({ port: listener.addresses[0].port }));
