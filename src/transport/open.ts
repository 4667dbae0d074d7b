/** Opens a connection to an address. Only this file and probe.ts connect to anything. */
import net from 'node:net';
import { Connection, type ConnectionHandler, SOCKET_OPTIONS } from './connection.ts';
import type { Connections } from './connections.ts';
import { ReadBuffer } from './read-buffer.ts';

/** The options that Node itself sets in its copy. */
type CopyOptions = { autoDestroy: true; decodeStrings: false; emitClose: false };
type ConnectOptions = typeof SOCKET_OPTIONS & net.NetConnectOpts & CopyOptions;

/**
 * Opens a connection.
 *
 * @param host an IP address, or a name that the system looks up
 * @param onOpen called once the peer has accepted; if that fails, the handler's `onGone` is called instead
 */
export function openConnection(
  host: string,
  port: number,
  all: Connections,
  handler: ConnectionHandler,
  onOpen: () => void,
): Connection {
  const readBuffer = new ReadBuffer();
  const onread = readInto(readBuffer, () => connection);
  const { allowHalfOpen, highWaterMark, noDelay } = SOCKET_OPTIONS;
  const options: ConnectOptions = {
    allowHalfOpen,
    highWaterMark,
    noDelay,
    host,
    port,
    onread,
    // Node copies the options and sets these three in the copy. V8 in Node 20 makes a new hidden class for each copy to
    // which a property is added, and then each of some thirty look-ups in it is a slow one.
    autoDestroy: true,
    decodeStrings: false,
    emitClose: false,
  };
  const socket = net.connect(options);
  const connection = new Connection(socket, all, handler, readBuffer);
  socket.once('connect', onOpen);
  return connection;
}

/**
 * Makes an accepted connection read into a ReadBuffer, as dialled connections do. Node allocates a buffer for every
 * read of a socket that its server accepted, and has no public way to change that. If a future Node differs, this
 * function changes nothing, and the connection reads as before.
 */
export function readAsDialled(connection: Connection): void {
  const readBuffer = new ReadBuffer();
  connection.replaceSocket((socket) => {
    const accepted = socket as AcceptedSocket;
    const handle = accepted._handle;
    if (handle === undefined || handle === null) return socket;
    accepted._handle = null;
    socket.destroy();
    const options: AdoptOptions = { ...SOCKET_OPTIONS, handle, onread: readInto(readBuffer, () => connection) };
    return new net.Socket(options);
  }, readBuffer);
}

interface AcceptedSocket extends net.Socket {
  _handle?: unknown;
}

/** The options that Node itself passes for the sockets of its servers. */
interface AdoptOptions extends net.SocketConstructorOpts {
  handle: unknown;
  onread: net.OnReadOpts;
}

function readInto(readBuffer: ReadBuffer, connection: () => Connection): net.OnReadOpts {
  return {
    buffer: () => readBuffer.next(),
    callback: (length) => {
      connection().received(readBuffer.chunk(length));
      return !connection().paused;
    },
  };
}
