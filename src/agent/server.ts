/**
 * The agent's own WebSocket server, on loopback, for peers that present the dial key or the token.
 *
 *   the daemon dials ───────────────────────────────▶ listener ─┐
 *   the uplink opens a connection to the daemon ──(101)─────────┴─▶ accept ─▶ gate ─▶ AgentClient
 */
import { HttpError } from '../http/error.ts';
import { createGate, type Gate } from '../http/gate.ts';
import { encodeUpgradeResponse, readUpgradeRequest } from '../http/handshake.ts';
import type { RequestHead } from '../http/message.ts';
import { encodeResponse, errorResponse } from '../http/response.ts';
import { type AcceptLimits, accept } from '../opening/accept.ts';
import {
  DELTA_SUBPROTOCOL,
  readResume,
  SUBPROTOCOL,
  TOKEN_SUBPROTOCOL_PREFIX,
  withoutTokens,
} from '../protocol/subprotocol.ts';
import { Connection, type Socket } from '../transport/connection.ts';
import type { Connections } from '../transport/connections.ts';
import { writeAndClose } from '../transport/linger.ts';
import { Listener } from '../transport/listener.ts';
import type { Agent } from './agent.ts';
import { AgentClient } from './client.ts';

const ACCEPT_LIMITS: AcceptLimits = { maxHeadBytes: 16 * 1024, maxHeadFields: 100, headTimeoutMs: 10_000 };
const LINGER = { lingerTimeoutMs: 1000, stallTimeoutMs: 5000 };
const LOOPBACK = ['127.0.0.1', '::1'];
/** The number of ports that are tried one by one before any free port is taken. */
const PORT_TRIES = 200;

export interface ServerOptions {
  readonly connections: Connections;
  readonly agent: Agent;
  /** The key that the daemon presents when it dials. */
  readonly dialKey: string;
  /** The pre-shared key; null for none. */
  readonly token: string | null;
  readonly onFault: (error: unknown) => void;
}

export class AgentServer {
  readonly #options: ServerOptions;
  readonly #listener: Listener;
  /** Listens on another address, for a daemon that does not ask for connections. */
  #outer: Listener | null = null;
  readonly #keyGate: Gate;
  readonly #tokenGate: Gate | null;
  /** The address of an older daemon, which presents no key and is recognised by its address. */
  #keylessAddress: string | null = null;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#listener = new Listener((socket) => this.#accept(socket), options.onFault);
    this.#keyGate = gateOf(options.dialKey);
    this.#tokenGate = options.token === null ? null : gateOf(options.token);
  }

  /**
   * Listens on loopback.
   *
   * @param firstPort the port to try first; the ports above it follow, and then any free port
   * @returns the port
   * @throws the system's error if no port can be opened
   */
  async listen(firstPort: number): Promise<number> {
    for (let port = firstPort; port < Math.min(firstPort + PORT_TRIES, 65_536); port++) {
      try {
        await this.#listener.listen(LOOPBACK, port);
        return port;
      } catch {
        // The port is in use, or not permitted.
      }
    }
    await this.#listener.listen(LOOPBACK, 0);
    return this.#listener.addresses[0]?.port as number;
  }

  /** Admits a daemon without a key from this address only; null admits none. */
  admitKeyless(address: string | null): void {
    this.#keylessAddress = address;
  }

  /**
   * Listens on one more address, on the same port, for a daemon on another machine that does not ask for connections.
   *
   * @throws the system's error
   */
  async listenOn(host: string, port: number): Promise<void> {
    if (this.#outer !== null || LOOPBACK.includes(host)) return;
    const outer = new Listener((socket) => this.#accept(socket), this.#options.onFault);
    await outer.listen([host], port);
    this.#outer = outer;
  }

  /**
   * Takes over a connection that the daemon asked for, as if the listener had accepted it.
   *
   * @param rest the bytes that have already come on it
   */
  serve(connection: Connection, rest: Buffer): void {
    accept(
      connection,
      // The daemon may keep the connection as a spare for any time. It ends spares itself.
      { ...ACCEPT_LIMITS, headTimeoutMs: Number.POSITIVE_INFINITY },
      {
        onRequest: (head, rest) => this.#admit(connection, head, rest),
        onRefused: (error) => this.#refuse(connection, error),
      },
      rest,
    );
  }

  close(): void {
    this.#listener.close();
    this.#outer?.close();
  }

  /** Accepts a socket. An exception here would leave Node's callback. */
  #accept(socket: Socket): void {
    try {
      this.#take(socket);
    } catch (error) {
      socket.destroy();
      this.#options.onFault(error);
    }
  }

  #take(socket: Socket): void {
    const connection = new Connection(socket, this.#options.connections);
    if (!this.#options.connections.admit(connection)) {
      this.#refuse(connection, new HttpError(503, 'Too many connections'));
      return;
    }
    accept(connection, ACCEPT_LIMITS, {
      onRequest: (head, rest) => this.#admit(connection, head, rest),
      onRefused: (error) => this.#refuse(connection, error),
    });
  }

  #admit(connection: Connection, head: RequestHead, rest: Buffer): void {
    try {
      this.#authorise(head, connection.remoteAddress);
      const { key, subprotocols } = readUpgradeRequest(head);
      this.#options.connections.markAuthorised(connection);
      const offered = withoutTokens(subprotocols);
      const isClassic = !offered.includes(DELTA_SUBPROTOCOL);
      // Clients fail if nothing of their offer is chosen.
      const plain = offered.includes(SUBPROTOCOL) ? SUBPROTOCOL : (offered[0] ?? null);
      connection.write(encodeUpgradeResponse(key, isClassic ? plain : DELTA_SUBPROTOCOL, null));
      new AgentClient(connection, isClassic).start(this.#options.agent, readResume(offered), rest);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(connection, error);
    }
  }

  /** @throws HttpError 401 or 403 */
  #authorise(head: RequestHead, remoteAddress: string): void {
    try {
      this.#keyGate.authorise(head);
      return;
    } catch {
      // The peer may have the token instead.
    }
    const isKeyless = this.#keylessAddress !== null && isSameMachine(remoteAddress, this.#keylessAddress);
    if (isKeyless && head.fields.has('origin')) throw new HttpError(403, 'Pages connect through hypivisor');
    if (isKeyless) return;
    if (this.#tokenGate === null) throw new HttpError(401, 'Connect through hypivisor');
    this.#tokenGate.authorise(head);
  }

  #refuse(connection: Connection, error: HttpError): void {
    const answer = encodeResponse(errorResponse(error), new Date().toUTCString());
    writeAndClose(connection, this.#options.connections, answer, LINGER);
  }
}

/** Whether the addresses are on the same machine. A daemon reached at `::1` may dial from 127.0.0.1. */
function isSameMachine(address: string, other: string): boolean {
  return address === other || (isLoopback(address) && isLoopback(other));
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./i.test(address);
}

function gateOf(token: string): Gate {
  return createGate({
    token,
    tokenSubprotocolPrefix: TOKEN_SUBPROTOCOL_PREFIX,
    allowOrigins: [],
    allowHosts: [],
    hostName: '',
    // With a token the gate does not check the origin.
    explain: () => 'Pages connect through hypivisor',
  });
}
