/**
 * The front desk receives every connection, and hands it on to the room that its request asks for.
 *
 *   socket ─▶ admission ─▶ head ─▶ gate ─▶ route ─┬▶ registry endpoint
 *                                                 ├▶ relay
 *                                                 ├▶ way back of an agent
 *                                                 └▶ page, health, refusal
 */
import type { Tell } from './events.ts';
import { HttpError, TlsHelloError } from './http/error.ts';
import type { Gate } from './http/gate.ts';
import { encodeUpgradeResponse, readUpgradeRequest, wantsUpgrade } from './http/handshake.ts';
import type { RequestHead } from './http/message.ts';
import { encodeResponse, errorResponse, type Response, respond, textResponse } from './http/response.ts';
import { Assets } from './http/static.ts';
import type { Hubs } from './join/hubs.ts';
import type { UpperClient } from './join/uppers.ts';
import { accept } from './opening/accept.ts';
import type { Limits } from './options.ts';
import { DEFAULT_PORT, NodeStatus, REGISTRY_PATH, RELAY_PATH_PREFIX } from './protocol/registry.ts';
import { SUBPROTOCOL, withoutTokens } from './protocol/subprotocol.ts';
import type { Target } from './proxy/destination.ts';
import type { Prover } from './proxy/prover.ts';
import { Relay, type RelayContext } from './proxy/relay.ts';
import type { WaysBack } from './proxy/ways-back.ts';
import { type EndpointContext, RegistryEndpoint } from './registry/endpoint.ts';
import type { AgentAddress } from './registry/registry.ts';
import { isOpen, routeOf } from './route.ts';
import { Connection, type Socket } from './transport/connection.ts';
import type { Connections } from './transport/connections.ts';
import { writeAndClose } from './transport/linger.ts';

/** The rooms that get the connections, and the settings for the steps before. */
export interface FrontDeskContext {
  readonly connections: Connections;
  readonly gate: Gate;
  readonly endpoints: EndpointContext;
  readonly relays: RelayContext;
  readonly prover: Prover;
  readonly waysBack: WaysBack;
  readonly hubs: Hubs;
  readonly limits: Limits;
  readonly version: string;
  /** The name of this hub. */
  readonly hubName: string;
  /** Lines about the state of the daemon, each with its end: they follow `ok` on `/healthz`, and contain no secret. */
  readonly health: () => string;
  readonly tell: Tell;
}

/** How much of the time of a hub above we take to find an agent: so that it hears from us what has failed. */
const SHARE_OF_DIAL_TIME = 0.9;

export class FrontDesk {
  /** The dashboard's files. Empty until they are loaded, and if no dashboard was built. */
  assets = new Assets();
  readonly #context: FrontDeskContext;
  readonly #relaysForUpper: RelayContext;

  constructor(context: FrontDeskContext) {
    this.#context = context;
    const { relays } = context;
    const dialTimeoutMs = relays.limits.dialTimeoutMs * SHARE_OF_DIAL_TIME;
    this.#relaysForUpper = { ...relays, limits: { ...relays.limits, dialTimeoutMs } };
  }

  /** Takes over a socket that was just accepted. */
  receive(socket: Socket): void {
    const { connections, limits } = this.#context;
    const connection = new Connection(socket, connections);
    if (!connections.admit(connection)) {
      this.#refuse(connection, new HttpError(503, 'Too many connections'));
      return;
    }
    accept(connection, limits, {
      onRequest: (head, rest) => this.#serveCorked(connection, head, rest),
      onRefused: (error) => this.#refuse(connection, error),
    });
  }

  /**
   * Takes over a connection that was opened because a hub above asked for it. It serves one relay, to an agent that is
   * shared with that hub, and waits for its request as long as it takes.
   *
   * @param rest bytes that have come on it already
   */
  receiveBack(connection: Connection, rest: Buffer, upper: UpperClient): void {
    const { limits } = this.#context;
    // Silence is all right, but a NAT must not forget the connection unnoticed.
    connection.probe(limits.pingIntervalMs);
    const sink = {
      onRequest: (head: RequestHead, rest: Buffer) => {
        upper.onUsed();
        this.#serveUpper(connection, head, rest, upper);
      },
      onRefused: (error: HttpError) => this.#refuse(connection, error),
    };
    accept(connection, { ...limits, headTimeoutMs: Number.POSITIVE_INFINITY }, sink, rest);
  }

  /** No gate: who asks has what we have opened. */
  #serveUpper(connection: Connection, head: RequestHead, rest: Buffer, upper: UpperClient): void {
    const route = routeOf(head.path, this.assets);
    try {
      if (route.kind !== 'relay') throw new HttpError(404, 'Not Found');
      this.#openRelay(connection, head, rest, route.nodeId, upper);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(connection, error, head.method === 'HEAD');
    }
  }

  /** Serves a request with the connection corked, so a 101 and the first message after it leave in one write. */
  #serveCorked(connection: Connection, head: RequestHead, rest: Buffer): void {
    connection.cork();
    try {
      this.#serve(connection, head, rest);
    } finally {
      connection.uncork();
    }
  }

  /**
   * Checks the request at the gate, then follows its route. The 401 comes first, so without the token nobody learns
   * which paths exist, except the open routes.
   */
  #serve(connection: Connection, head: RequestHead, rest: Buffer): void {
    const { gate } = this.#context;
    const route = routeOf(head.path, this.assets);
    const upgrades = wantsUpgrade(head);
    try {
      if (route.kind === 'back' && upgrades && this.#openWayBack(connection, head, rest, route.ticket)) return;
      if (upgrades || !isOpen(route)) gate.authorise(head);
      if (upgrades) gate.admit(head);
      switch (route.kind) {
        case 'registry':
          this.#openRegistry(connection, head, rest);
          break;
        case 'relay':
          this.#openRelay(connection, head, rest, route.nodeId);
          break;
        case 'missing-node-id':
          throw new HttpError(400, 'Missing node ID');
        case 'back':
        case 'unknown':
          throw new HttpError(404, 'Not Found');
        default:
          if (upgrades) throw new HttpError(404, 'Not Found');
          this.#answer(connection, head);
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#refuse(connection, error, head.method === 'HEAD');
    }
  }

  #openRegistry(connection: Connection, head: RequestHead, rest: Buffer): void {
    const { connections, endpoints } = this.#context;
    const upgrade = readUpgradeRequest(head);
    connections.markAuthorised(connection);
    const subprotocols = withoutTokens(upgrade.subprotocols);
    connection.write(encodeUpgradeResponse(upgrade.key, readableSubprotocol(subprotocols), null));
    new RegistryEndpoint(connection, endpoints, head.fields.has('origin'), rest);
  }

  /** @param upper the hub above that asks for a client of its own; null if the client has come here */
  #openRelay(
    connection: Connection,
    head: RequestHead,
    rest: Buffer,
    nodeId: string,
    upper: UpperClient | null = null,
  ): void {
    const { connections, endpoints, hubName, prover, relays, tell } = this.#context;
    const upgrade = readUpgradeRequest(head);
    connections.markAuthorised(connection);
    const { remoteAddress } = connection;
    const isShared = upper === null || upper.shares(nodeId);
    const address = isShared ? endpoints.roster.addressOf(nodeId) : null;
    const subprotocols = withoutTokens(upgrade.subprotocols);
    // Written out and not spread, as in #targetOf: see openConnection.
    const request = {
      key: upgrade.key,
      subprotocols,
      extensions: upgrade.extensions,
      fallbackSubprotocol: plainSubprotocol(subprotocols),
      refusalSubprotocol: readableSubprotocol(subprotocols),
      dialKey: address?.dialKey ?? null,
      hubName: upper === null ? null : hubName,
    };
    const context = upper === null ? relays : this.#relaysForUpper;
    new Relay(connection, context, request, this.#targetOf(nodeId, address), rest, {
      onOpened: () => tell('relayOpened', { nodeId, remoteAddress }),
      onRefused: (reason) => tell('relayRefused', { nodeId, reason }),
      onClosed: () => tell('relayClosed', { nodeId }),
      onDialled: (sentence) => {
        if (address?.owner) prover.noteDial(nodeId, address.owner, sentence);
      },
    });
  }

  /**
   * Hands over the connection of an agent that presents a ticket. A valid ticket replaces the check of token and
   * Origin.
   *
   * @returns false if the ticket is invalid; the request is then treated like any other request to an unknown path
   */
  #openWayBack(connection: Connection, head: RequestHead, rest: Buffer, ticket: string): boolean {
    const { connections, waysBack } = this.#context;
    const arrive = waysBack.redeem(ticket);
    if (arrive === null) return false;
    const upgrade = readUpgradeRequest(head);
    connections.markAuthorised(connection);
    arrive(connection, upgrade, readableSubprotocol(withoutTokens(upgrade.subprotocols)), rest);
    return true;
  }

  /** @returns the agent's address, or the sentence that says why the agent cannot be reached */
  #targetOf(nodeId: string, address: AgentAddress | null): Target | string {
    if (address === null) return 'Agent not found';
    if (this.#context.endpoints.roster.get(nodeId)?.status === NodeStatus.OFFLINE) return 'Agent is offline';
    const { remote } = address;
    if (remote === null) {
      const { machine, port, registrant, hasDouble } = address;
      return { machine, port, registrant, hasDouble, wayBack: this.#context.waysBack.get(nodeId) };
    }
    const wayBack = this.#context.hubs.wayTo(remote.hub);
    if (typeof wayBack === 'string') return wayBack;
    // The other hub answers as it answers any client.
    const path = RELAY_PATH_PREFIX + encodeURIComponent(remote.node.id);
    return { ...address, machine: 'localhost', port: DEFAULT_PORT, path, wayBack };
  }

  /** @throws HttpError 405 */
  #answer(connection: Connection, head: RequestHead): void {
    const response = respond(head, () => this.assets.get(head) ?? this.#text(head.path));
    this.#end(connection, response, head.method === 'HEAD');
  }

  #text(path: string): Response {
    const { version, health } = this.#context;
    const page = `hypivisor ${version}: the control plane of your coding agents. Agents and dashboards connect to ${REGISTRY_PATH}.`;
    return textResponse(200, path === '/' ? page : health());
  }

  #refuse(connection: Connection, error: HttpError, isHead = false): void {
    const { tell } = this.#context;
    const { status, message } = error;
    const { remoteAddress } = connection;
    if (error instanceof TlsHelloError) tell('tlsRefused', { remoteAddress });
    else tell('refused', { status, reason: message, remoteAddress });
    this.#end(connection, errorResponse(error), isHead);
  }

  #end(connection: Connection, response: Response, isHead: boolean): void {
    const { connections, limits } = this.#context;
    const date = new Date().toUTCString();
    writeAndClose(connection, connections, encodeResponse(response, date, isHead), limits);
  }
}

/** The subprotocol of an agent that chose none. */
function plainSubprotocol(offered: readonly string[]): string | null {
  return offered.includes(SUBPROTOCOL) ? SUBPROTOCOL : null;
}

/**
 * The subprotocol for the daemon's own messages. Clients fail without reading them if nothing of their offer is chosen.
 */
function readableSubprotocol(offered: readonly string[]): string | null {
  return plainSubprotocol(offered) ?? offered[0] ?? null;
}
