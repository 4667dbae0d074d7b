/**
 * Where connections come in: one port on one or more addresses, all of them or none.
 */
import net from 'node:net';
import { SOCKET_OPTIONS } from './connection.ts';

/** How often another free port is tried where a second address has the first one's port in use. */
const FREE_PORT_TRIES = 20;

/**
 * Connections that wait to be accepted: after a restart all come back at once. The system caps it (somaxconn). Where it is
 * too short, the kernel drops what a client believes to be a connection, and the client waits for seconds.
 */
const BACKLOG = 4096;

export class Listener {
  readonly #onSocket: (socket: net.Socket) => void;
  readonly #onError: (error: Error) => void;
  #servers: net.Server[] = [];
  #port: number | null = null;

  /**
   * @param onError what goes wrong after listening has begun. That no descriptor is free is not told: who waits then is
   *   accepted and closed by libuv, which keeps one in reserve for it.
   */
  constructor(onSocket: (socket: net.Socket) => void, onError: (error: Error) => void) {
    this.#onSocket = onSocket;
    this.#onError = onError;
  }

  /** The one port it listens on; null before `listen` and after `close`. Asked for by every relay, so no system call. */
  get port(): number | null {
    return this.#port;
  }

  /** Where it listens; empty before `listen` and after `close`. */
  get addresses(): net.AddressInfo[] {
    return this.#servers.map((server) => server.address() as net.AddressInfo);
  }

  /**
   * @param hosts the first must work; a further one whose address this machine does not have is passed over; undefined
   *   is every interface, over IPv6 and IPv4 alike where the machine has both
   * @param port 0 takes one that is free on every host
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

  /** Stops accepting. Connections that are open stay open. */
  close(): void {
    const servers = this.#servers;
    this.#servers = [];
    this.#port = null;
    // `server.close` calls back only once all its connections are gone; the port is free at once.
    for (const server of servers) server.close();
  }
}

function isMissingAddress(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL';
}
