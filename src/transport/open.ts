/** Opens a connection to an address: the only place where the daemon goes out. */
import net from 'node:net';
import { Connection, type ConnectionHandler, SOCKET_OPTIONS } from './connection.ts';
import type { Connections } from './connections.ts';
import { ReadBuffer } from './read-buffer.ts';

/**
 * @param host an IP address, or a name that the system looks up
 * @param onOpen called once the peer has accepted; if it never does, the handler's `onGone` is called instead
 */
export function openConnection(
  host: string,
  port: number,
  all: Connections,
  handler: ConnectionHandler,
  onOpen: () => void,
): Connection {
  const readBuffer = new ReadBuffer();
  const socket = net.connect({
    ...SOCKET_OPTIONS,
    host,
    port,
    onread: {
      buffer: () => readBuffer.next(),
      callback: (length) => {
        connection.received(readBuffer.chunk(length));
        return !connection.paused;
      },
    },
  });
  const connection = new Connection(socket, all, handler, readBuffer);
  socket.once('connect', onOpen);
  return connection;
}
