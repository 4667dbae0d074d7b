/**
 * One client's way to an agent, from its upgrade request to the end:
 *
 *   find the destination ─▶ dial ─▶ 101 to the client ─▶ splice
 *            │                │
 *            └───── error ────┴──▶ 101, {"error": …}, close
 *
 * The client gets its 101 only once the agent's has been checked, and with what the agent chose. What it sends meanwhile
 * is kept, up to a bound, and its leaving ends the dial.
 */
import { encodeUpgradeResponse, type UpgradeRequest } from '../http/handshake.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import type { Connections } from '../transport/connections.ts';
import { findDestination, type Locality, type Target } from './destination.ts';
import { type AgentLeg, type DialLimits, dial } from './dial.ts';
import { DialError } from './error.ts';
import { refuse } from './refusal.ts';
import type { Resolver } from './resolver.ts';
import { type SpliceLimits, splice } from './splice.ts';

export interface RelayLimits extends DialLimits, SpliceLimits {
  /** For finding, connecting to and shaking hands with the agent together. */
  dialTimeoutMs: number;
  /** What a client may send before its 101, in bytes. */
  maxEarlyBytes: number;
}

/** What all relays share. */
export interface RelayContext {
  connections: Connections;
  resolver: Resolver;
  limits: RelayLimits;
  /** What is known of this machine, now. */
  locality: () => Locality;
}

/** What the client asks the agent for, without anything that is meant for the daemon. */
export interface RelayOffer extends UpgradeRequest {
  /** What is chosen where the agent chooses none, or is not reached; null for nothing. */
  fallbackSubprotocol: string | null;
  dialKey: string | null;
}

export interface RelayEvents {
  onOpened: () => void;
  /** Both connections of an opened relay are gone. */
  onClosed: () => void;
  /** There is no relay; the client was told this sentence. */
  onRefused: (sentence: string) => void;
}

export class Relay implements ConnectionHandler {
  readonly #client: Connection;
  readonly #context: RelayContext;
  readonly #offer: RelayOffer;
  readonly #events: RelayEvents;
  readonly #abort = new AbortController();
  #early: Buffer[];
  #earlyBytes: number;

  /**
   * Takes the client's connection over; nothing has been written to it.
   *
   * @param target where the agent is, or the sentence that says why there is none
   * @param rest bytes that came behind the request
   */
  constructor(
    client: Connection,
    context: RelayContext,
    offer: RelayOffer,
    target: Target | string,
    rest: Buffer,
    events: RelayEvents,
  ) {
    this.#client = client;
    this.#context = context;
    this.#offer = offer;
    this.#events = events;
    this.#early = [rest];
    this.#earlyBytes = rest.length;
    client.keepChunk();
    client.handler = this;
    client.clearDeadline();
    if (typeof target === 'string') this.#refuse(target);
    else {
      this.#open(target).catch((error: unknown) => {
        context.connections.onFault(error);
        client.destroy();
      });
    }
  }

  // ConnectionHandler, until the splice takes over

  onData(chunk: Buffer): void {
    this.#client.keepChunk();
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes > this.#context.limits.maxEarlyBytes) this.#client.pause();
  }

  onEof(): void {
    this.#leave();
  }

  onDrain(): void {}

  onDeadline(): void {}

  onGone(): void {
    this.#abort.abort();
  }

  onShutdown(): void {
    this.#leave();
  }

  #leave(): void {
    this.#abort.abort();
    this.#client.destroy();
  }

  async #open(target: Target): Promise<void> {
    let leg: AgentLeg;
    try {
      leg = await this.#dial(target);
    } catch (error) {
      if (!(error instanceof DialError)) this.#context.connections.onFault(error);
      if (!this.#abort.signal.aborted) this.#refuse(error instanceof DialError ? error.message : 'Cannot reach agent');
      return;
    }
    if (this.#abort.signal.aborted) leg.connection.destroy();
    else this.#join(leg);
  }

  async #dial(target: Target): Promise<AgentLeg> {
    const { connections, resolver, limits, locality } = this.#context;
    const endsAt = connections.deadlines.now() + limits.dialTimeoutMs;
    const addresses = await findDestination(target, locality(), (name) => resolver.lookUp(name, limits.dialTimeoutMs));
    const remainingMs = endsAt - connections.deadlines.now();
    const offer = { ...this.#offer, machine: target.machine };
    return dial(addresses, { port: target.port, offer, limits, connections, signal: this.#abort.signal }, remainingMs);
  }

  #join(leg: AgentLeg): void {
    const { key, fallbackSubprotocol } = this.#offer;
    const client = this.#client;
    client.write(encodeUpgradeResponse(key, leg.subprotocol ?? fallbackSubprotocol, leg.extensions));
    splice(client, this.#takeEarly(), leg.connection, leg.rest, this.#context.limits, this.#events.onClosed);
    this.#events.onOpened();
  }

  #refuse(sentence: string): void {
    const { key, fallbackSubprotocol } = this.#offer;
    this.#client.write(encodeUpgradeResponse(key, fallbackSubprotocol, null));
    refuse(this.#client, this.#takeEarly(), sentence, this.#context.limits.closingTimeoutMs);
    this.#events.onRefused(sentence);
  }

  #takeEarly(): Buffer {
    const early = Buffer.concat(this.#early);
    this.#early = [];
    return early;
  }
}
