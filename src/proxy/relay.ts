/**
 * A client's relay to an agent, from the upgrade request to the end:
 *
 *   RESOLVING ──(addresses)──▶ WAITING ──(its turn)──▶ DIALLING ──(reached)──▶ OPEN: 101 to the client, splice
 *       └──────────────────────────┴───────────────────────┴──(error)───────▶ REFUSED: 101, {"error": …}, close
 *   an agent with a way back skips RESOLVING, and is asked for a connection instead of being dialled
 *   any state but OPEN and REFUSED ──(the client leaves, shutdown)──▶ LEFT: no answer
 *
 * The client gets its 101 only after the agent's 101 has been checked, and with the agent's choices. Bytes that the
 * client sends before that are kept, up to a bound. If the client leaves, the dial ends.
 */
import { encodeUpgradeResponse, type UpgradeRequest } from '../http/handshake.ts';
import type { ConnectLimits, Opened } from '../opening/connect.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import type { Connections } from '../transport/connections.ts';
import { addressesOf, addressesOfName, isNextDoor, type Surroundings, type Target } from './destination.ts';
import { type AgentRequest, Dial, type DialSink } from './dial.ts';
import { DialError } from './error.ts';
import { refuse } from './refusal.ts';
import type { LookUp, Resolver } from './resolver.ts';
import { type SpliceLimits, splice } from './splice.ts';
import type { Turn, Turns } from './turns.ts';
import type { WayBack } from './way-back.ts';

export interface RelayLimits extends ConnectLimits, SpliceLimits {
  /** The time limit for finding, waiting for, connecting to and shaking hands with the agent together. */
  dialTimeoutMs: number;
  /** The most that a client may send before its 101, in bytes. */
  maxEarlyBytes: number;
}

/** The share of the dial's time for looking up a name. If the name server is silent, enough is left for the guess. */
const LOOK_UP_SHARE = 0.4;

/** The parts that all relays share. */
export interface RelayContext {
  connections: Connections;
  resolver: Resolver;
  turns: Turns;
  limits: RelayLimits;
  /** The facts about this machine. */
  surroundings: Surroundings;
}

/** The client's request to the agent, without the parts for the daemon. */
export interface RelayRequest extends UpgradeRequest {
  /** The subprotocol in the 101 if the agent chooses none; null for none. */
  fallbackSubprotocol: string | null;
  /** The subprotocol in the 101 of a refusal; null for none. */
  refusalSubprotocol: string | null;
  /** The name of this hub, if another hub asks for its client: a refusal says where it comes from. Null otherwise. */
  hubName: string | null;
  dialKey: string | null;
}

export interface RelayEvents {
  onOpened: () => void;
  /** Called when both connections of an opened relay are gone. */
  onClosed: () => void;
  /** Called with the sentence for a refused client. */
  onRefused: (sentence: string) => void;
  /** Called after the agent was dialled. @param sentence why it was not reached; null if it was */
  onDialled: (sentence: string | null) => void;
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
const NOWHERE: Pick<Target, 'machine' | 'port' | 'path'> = { machine: '', port: 0 };

export class Relay implements ConnectionHandler, DialSink {
  readonly #client: Connection;
  readonly #context: RelayContext;
  readonly #request: RelayRequest;
  readonly #agentRequest: AgentRequest;
  readonly #events: RelayEvents;
  readonly #endsAt: number;
  #state: State = State.RESOLVING;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #lookUp: LookUp | null = null;
  #turn: Turn | null = null;
  /** The current attempt: a dial, or the way back. */
  #dial: { cancel(): void } | null = null;
  /** The way back to try if the dial fails; null for none. */
  #otherWay: WayBack | null = null;
  #isDialled = false;

  /**
   * Takes over the client's connection, to which nothing has been written.
   *
   * @param target the agent's address, or the sentence that says why the agent cannot be reached
   * @param rest the bytes that came after the request
   */
  constructor(
    client: Connection,
    context: RelayContext,
    request: RelayRequest,
    target: Target | string,
    rest: Buffer,
    events: RelayEvents,
  ) {
    this.#client = client;
    this.#context = context;
    this.#request = request;
    this.#events = events;
    const { machine, port, path = '/' } = typeof target === 'string' ? NOWHERE : target;
    const { dialKey, subprotocols, extensions } = request;
    this.#agentRequest = { machine, port, path, dialKey, subprotocols, extensions };
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
    if (this.#isDialled) this.#events.onDialled(null);
    this.#stop(State.OPEN);
    const { key, fallbackSubprotocol } = this.#request;
    const client = this.#client;
    client.write(encodeUpgradeResponse(key, leg.subprotocol ?? fallbackSubprotocol, leg.extensions));
    splice(client, this.#takeEarly(), leg.connection, leg.rest, this.#context.limits, this.#events.onClosed);
    this.#events.onOpened();
  }

  onUnreachable(sentence: string): void {
    if (this.#isDialled) this.#events.onDialled(sentence);
    const wayBack = this.#otherWay;
    this.#otherWay = null;
    if (wayBack === null) this.#refuse(sentence);
    else this.#openBack(wayBack);
  }

  // Transitions

  #resolve(target: Target): void {
    const { surroundings, resolver, limits } = this.#context;
    const { wayBack } = target;
    if (wayBack !== null && !isNextDoor(target)) {
      this.#wait(() => this.#openBack(wayBack));
      return;
    }
    // An agent that came through a tunnel or a proxy on this machine may have this machine's name.
    this.#otherWay = wayBack;
    const addresses = addressesOf(target, surroundings);
    if (addresses !== null) {
      this.#wait(() => this.#openTo(addresses));
      return;
    }
    const shareMs = limits.dialTimeoutMs * LOOK_UP_SHARE;
    this.#lookUp = resolver.lookUp(target.machine, shareMs, (found) => {
      this.#lookUp = null;
      this.#attempt(() => {
        const addresses = addressesOfName(target, surroundings, found);
        this.#wait(() => this.#openTo(addresses));
      });
    });
  }

  #wait(begin: () => void): void {
    this.#state = State.WAITING;
    this.#turn = this.#context.turns.wait(this.#client.remoteAddress, () => {
      this.#state = State.DIALLING;
      // From here on the deadlines of the dial apply.
      this.#client.clearDeadline();
      this.#attempt(begin);
    });
  }

  #openTo(addresses: readonly string[]): void {
    const { connections, limits } = this.#context;
    this.#isDialled = true;
    const dial = new Dial(addresses, this.#agentRequest, connections, limits, this.#remainingMs, this);
    // The dial may have failed at once, and the way back may have been started.
    this.#dial ??= dial;
  }

  #openBack(wayBack: WayBack): void {
    this.#isDialled = false;
    this.#dial = wayBack.open(this.#agentRequest, this.#remainingMs, this);
  }

  get #remainingMs(): number {
    return this.#endsAt - this.#client.now;
  }

  /** Refuses the client with the error's sentence. A fault of this program is named without its details. */
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
    const { key, refusalSubprotocol } = this.#request;
    this.#client.write(encodeUpgradeResponse(key, refusalSubprotocol, null));
    const { hubName } = this.#request;
    const told = hubName === null ? sentence : `${sentence} (at ${hubName})`;
    refuse(this.#client, this.#takeEarly(), told, this.#context.limits.closingTimeoutMs);
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

  /** Ends the current attempt, look-up or wait. */
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
