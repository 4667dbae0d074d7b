/**
 * Listens on one port of one or more addresses, on all of them or on none.
 */
import net from 'node:net';
import { SOCKET_OPTIONS } from './connection.ts';

/** The number of further tries if a free port of the first address is in use on the second. */
const FREE_PORT_TRIES = 20;

/**
 * The number of connections that may wait to be accepted. After a restart all clients reconnect at once. The system
 * limits the queue further (somaxconn). If it is full, the kernel drops connections that their clients believe to be
 * open, and those clients wait for seconds.
 */
const BACKLOG = 4096;

export class Listener {
  readonly #onSocket: (socket: net.Socket) => void;
  readonly #onError: (error: Error) => void;
  #servers: net.Server[] = [];
  #port: number | null = null;

  /**
   * @param onError called with errors after the listener has started. A lack of descriptors is not among them: libuv
   *   keeps one descriptor in reserve, with which it accepts and closes the waiting connections.
   */
  constructor(onSocket: (socket: net.Socket) => void, onError: (error: Error) => void) {
    this.#onSocket = onSocket;
    this.#onError = onError;
  }

  /**
   * The port that it listens on; null before `listen` and after `close`. Every relay reads it, so it costs no system
   * call.
   */
  get port(): number | null {
    return this.#port;
  }

  /** The addresses that it listens on; empty before `listen` and after `close`. */
  get addresses(): net.AddressInfo[] {
    return this.#servers.map((server) => server.address() as net.AddressInfo);
  }

  /**
   * Starts to listen.
   *
   * @param hosts the addresses. The first must work; another is skipped if this machine does not have it. Undefined is
   *   every interface, over both IPv6 and IPv4 if the machine has both.
   * @param port the port; 0 takes a port that is free on every host
   * @throws the system's error, with its `code`
   */
  async listen(hosts: readonly (string | undefined)[], port: number): Promise<void> {
    for (let tries = FREE_PORT_TRIES; ; tries--) {
      try {
        this.#port = await this.#listenOnAll(hosts, port);
        return;
      } catch (error) {
        this.close();
        if (port !== 0 || tries === 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
  }

  async #listenOnAll(hosts: readonly (string | undefined)[], wantedPort: number): Promise<number> {
    let port = wantedPort;
    for (const host of hosts) {
      const server = net.createServer(SOCKET_OPTIONS, this.#onSocket);
      try {
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen({ host, port, backlog: BACKLOG }, resolve);
        });
      } catch (error) {
        if (this.#servers.length > 0 && isMissingAddress(error)) continue;
        throw error;
      }
      server.removeAllListeners('error');
      server.on('error', this.#onError);
      this.#servers.push(server);
      port = (server.address() as net.AddressInfo).port;
    }
    return port;
  }

  /** Stops accepting. Open connections stay open. */
  close(): void {
    const servers = this.#servers;
    this.#servers = [];
    this.#port = null;
    // The port is free at once. The callback of `server.close`, which waits for all connections, is not needed.
    for (const server of servers) server.close();
  }
}

function isMissingAddress(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL';
}
