/**
 * One client's way to an agent, from its upgrade request to the end:
 *
 *   RESOLVING ──(addresses)──▶ WAITING ──(its turn)──▶ DIALLING ──(reached)──▶ OPEN: 101 to the client, splice
 *       └──────────────────────────┴───────────────────────┴──(error)───────▶ REFUSED: 101, {"error": …}, close
 *   any state but OPEN and REFUSED ──(the client leaves, shutdown)──▶ LEFT: nothing is told
 *
 * The client gets its 101 only once the agent's has been checked, and with what the agent chose. What it sends meanwhile
 * is kept, up to a bound, and its leaving ends the dial.
 */
import { encodeUpgradeResponse, type UpgradeRequest } from '../http/handshake.ts';
import type { ConnectLimits, Opened } from '../opening/connect.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import type { Connections } from '../transport/connections.ts';
import { addressesOf, addressesOfName, type Surroundings, type Target } from './destination.ts';
import { Dial, type DialSink } from './dial.ts';
import { DialError } from './error.ts';
import { refuse } from './refusal.ts';
import type { LookUp, Resolver } from './resolver.ts';
import { type SpliceLimits, splice } from './splice.ts';
import type { Turn, Turns } from './turns.ts';

export interface RelayLimits extends ConnectLimits, SpliceLimits {
  /** For finding, waiting for, connecting to and shaking hands with the agent together. */
  dialTimeoutMs: number;
  /** What a client may send before its 101, in bytes. */
  maxEarlyBytes: number;
}

/** How much of the dial's time looking up a name may take: a name server that says nothing leaves enough for the guess. */
const LOOK_UP_SHARE = 0.4;

/** What all relays share. */
export interface RelayContext {
  connections: Connections;
  resolver: Resolver;
  turns: Turns;
  limits: RelayLimits;
  /** What is known of this machine. */
  surroundings: Surroundings;
}

/** What the client asks the agent for, without anything that is meant for the daemon. */
export interface RelayOffer extends UpgradeRequest {
  /** What the client is answered with if the agent chooses none; null for nothing. */
  fallbackSubprotocol: string | null;
  /** What it is answered with if there is no relay; null for nothing. */
  refusalSubprotocol: string | null;
  dialKey: string | null;
}

export interface RelayEvents {
  onOpened: () => void;
  /** Both connections of an opened relay are gone. */
  onClosed: () => void;
  /** There is no relay; the client was told this sentence. */
  onRefused: (sentence: string) => void;
}

const State = {
  RESOLVING: 'resolving',
  WAITING: 'waiting',
  DIALLING: 'dialling',
  OPEN: 'open',
  REFUSED: 'refused',
  LEFT: 'left',
} as const;
type State = (typeof State)[keyof typeof State];

const NOTHING = Buffer.alloc(0);

export class Relay implements ConnectionHandler, DialSink {
  readonly #client: Connection;
  readonly #context: RelayContext;
  readonly #offer: RelayOffer;
  readonly #events: RelayEvents;
  readonly #endsAt: number;
  #state: State = State.RESOLVING;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #lookUp: LookUp | null = null;
  #turn: Turn | null = null;
  #dial: Dial | null = null;

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
    this.#endsAt = client.now + context.limits.dialTimeoutMs;
    client.handler = this;
    client.setDeadline(context.limits.dialTimeoutMs);
    this.#keep(rest);
    if (typeof target === 'string') this.#refuse(target);
    else this.#attempt(() => this.#resolve(target));
  }

  // ConnectionHandler, until the splice takes over

  onData(chunk: Buffer): void {
    this.#keep(chunk);
    if (this.#earlyBytes > this.#context.limits.maxEarlyBytes) this.#client.pause();
  }

  onEof(): void {
    this.#leave();
  }

  onDrain(): void {}

  onDeadline(): void {
    this.#refuse(
      this.#state === State.WAITING
        ? 'Cannot reach agent: too many are being dialled'
        : 'Cannot reach agent: timed out',
    );
  }

  onGone(): void {
    this.#leave();
  }

  onShutdown(): void {
    this.#leave();
  }

  // DialSink

  onReached(leg: Opened): void {
    this.#stop(State.OPEN);
    const { key, fallbackSubprotocol } = this.#offer;
    const client = this.#client;
    client.write(encodeUpgradeResponse(key, leg.subprotocol ?? fallbackSubprotocol, leg.extensions));
    splice(client, this.#takeEarly(), leg.connection, leg.rest, this.#context.limits, this.#events.onClosed);
    this.#events.onOpened();
  }

  onUnreachable(sentence: string): void {
    this.#refuse(sentence);
  }

  // The way from state to state

  #resolve(target: Target): void {
    const { surroundings, resolver, limits } = this.#context;
    const addresses = addressesOf(target, surroundings);
    if (addresses !== null) {
      this.#wait(target, addresses);
      return;
    }
    const shareMs = limits.dialTimeoutMs * LOOK_UP_SHARE;
    this.#lookUp = resolver.lookUp(target.machine, shareMs, (found) => {
      this.#lookUp = null;
      this.#attempt(() => this.#wait(target, addressesOfName(target, surroundings, found)));
    });
  }

  #wait(target: Target, addresses: readonly string[]): void {
    this.#state = State.WAITING;
    this.#turn = this.#context.turns.wait(this.#client.remoteAddress, () => {
      this.#attempt(() => this.#begin(target, addresses));
    });
  }

  #begin({ machine, port }: Target, addresses: readonly string[]): void {
    this.#state = State.DIALLING;
    const { connections, limits } = this.#context;
    const { dialKey, subprotocols, extensions } = this.#offer;
    const request = { machine, port, dialKey, subprotocols, extensions };
    // From here on the dial's own deadlines hold.
    this.#client.clearDeadline();
    this.#dial = new Dial(addresses, request, connections, limits, this.#endsAt - this.#client.now, this);
  }

  /** What goes wrong is told to the client: a fault of ours in no words. */
  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof DialError)) this.#context.connections.onFault(error);
      this.#refuse(error instanceof DialError ? error.message : 'Cannot reach agent');
    }
  }

  #refuse(sentence: string): void {
    if (!this.#isUnderWay) return;
    this.#stop(State.REFUSED);
    const { key, refusalSubprotocol } = this.#offer;
    this.#client.write(encodeUpgradeResponse(key, refusalSubprotocol, null));
    refuse(this.#client, this.#takeEarly(), sentence, this.#context.limits.closingTimeoutMs);
    this.#events.onRefused(sentence);
  }

  #leave(): void {
    if (!this.#isUnderWay) return;
    this.#stop(State.LEFT);
    this.#client.destroy();
  }

  get #isUnderWay(): boolean {
    const state = this.#state;
    return state === State.RESOLVING || state === State.WAITING || state === State.DIALLING;
  }

  /** Nothing of the way is left under way. */
  #stop(state: State): void {
    this.#state = state;
    this.#lookUp?.cancel();
    this.#turn?.end();
    this.#dial?.cancel();
    this.#client.clearDeadline();
  }

  #keep(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#client.keepChunk();
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
  }

  #takeEarly(): Buffer {
    if (this.#earlyBytes === 0) return NOTHING;
    const early = Buffer.concat(this.#early);
    this.#early = [];
    return early;
  }
}
