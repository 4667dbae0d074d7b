/**
 * Dials an agent at one address after another, until one answers as an agent must. All attempts share one time limit,
 * of which each address has its part.
 *
 *   ┌─▶ TRYING an address ──(opened)──▶ the sink gets the leg
 *   └──────────┤ failed
 *              └──(none left, or no time)──▶ the sink gets the failure of the attempt that got farthest
 *
 * opening/connect opens and checks each connection.
 */
import { parseAuthority } from '../http/authority.ts';
import {
  type Attempt,
  type ConnectFailure,
  type ConnectLimits,
  type ConnectSink,
  ConnectState,
  connect,
  type HandshakeRequest,
  type Opened,
} from '../opening/connect.ts';
import type { Connections } from '../transport/connections.ts';

/** The request to the agent. */
export interface AgentRequest {
  /** The agent's own name for its machine, which is the Host that it expects if it is a host name. */
  readonly machine: string;
  readonly port: number;
  /** An origin-form; `/` if missing. */
  readonly path?: string;
  /** Proves to the agent that this is the daemon with which it registered; null if the agent gave no key. */
  readonly dialKey: string | null;
  readonly subprotocols: readonly string[];
  readonly extensions: string | null;
}

/** One of the two is called, once, unless the dial is cancelled. */
export interface DialSink {
  /** Called with the agent's side of the relay. The connection is paused until it gets its handler. */
  onReached(leg: Opened): void;
  /** @param sentence the sentence for the client: `Cannot reach agent…` or `Agent handshake failed…` */
  onUnreachable(sentence: string): void;
}

/** One dial, from the addresses to the end of the opening handshake. */
export function handshakeRequest(request: AgentRequest, address: string): HandshakeRequest {
  const { machine, port, path = '/', dialKey, subprotocols, extensions } = request;
  const host = parseAuthority(machine)?.port === null ? machine : address;
  return { host, port, path, bearer: dialKey, subprotocols, extensions };
}

export class Dial implements ConnectSink {
  readonly #addresses: readonly string[];
  readonly #request: AgentRequest;
  readonly #connections: Connections;
  readonly #limits: ConnectLimits;
  readonly #sink: DialSink;
  readonly #endsAt: number;
  #next = 0;
  #attempt: Attempt | null = null;
  #failure: ConnectFailure | null = null;

  /**
   * @param addresses at least one IP address; they are tried in turn
   * @param timeoutMs the time limit for all of them together
   * @throws TypeError if the request cannot be written
   */
  constructor(
    addresses: readonly string[],
    request: AgentRequest,
    connections: Connections,
    limits: ConnectLimits,
    timeoutMs: number,
    sink: DialSink,
  ) {
    this.#addresses = addresses;
    this.#request = request;
    this.#connections = connections;
    this.#limits = limits;
    this.#sink = sink;
    this.#endsAt = connections.deadlines.now() + timeoutMs;
    this.#tryNext();
  }

  /** Ends the dial without calling the sink. It does nothing once the dial has ended. */
  cancel(): void {
    this.#next = this.#addresses.length;
    this.#attempt?.cancel();
  }

  // ConnectSink

  onOpened(leg: Opened): void {
    this.#sink.onReached(leg);
  }

  onFailed(failure: ConnectFailure): void {
    if (this.#failure === null || rankOf(failure) > rankOf(this.#failure)) this.#failure = failure;
    this.#tryNext();
  }

  #tryNext(): void {
    const connections = this.#connections;
    const address = this.#addresses[this.#next];
    const remainingMs = this.#endsAt - connections.deadlines.now();
    if (address === undefined || remainingMs <= 0) {
      this.#sink.onUnreachable(sentenceFor(this.#failure, this.#request));
      return;
    }
    if (!connections.hasRoom()) {
      this.#sink.onUnreachable('Cannot reach agent: too many connections');
      return;
    }
    const shareMs = remainingMs / (this.#addresses.length - this.#next);
    this.#next++;
    const request = handshakeRequest(this.#request, address);
    const target = { host: address, port: this.#request.port, tls: null, proxy: null, request };
    this.#attempt = connect(target, connections, shareMs, this, this.#limits);
  }
}

/** How much a failure says about the agent: a wrong answer says more than silence, and silence more than a refusal. */
function rankOf({ state, reason }: ConnectFailure): number {
  if (state === ConnectState.HANDSHAKING) return 2;
  return reason === 'timed out' ? 1 : 0;
}

/** The beginning of the sentence if a peer accepted the connection. */
export const HANDSHAKE_FAILED = 'Agent handshake failed';

/** The sentence for the client. Null if no address was tried. */
export function sentenceFor(failure: ConnectFailure | null, { dialKey }: AgentRequest): string {
  if (failure === null) return 'Cannot reach agent: no time left';
  const { state, reason, status } = failure;
  if (state !== ConnectState.HANDSHAKING) return `Cannot reach agent: ${reason}`;
  // The agent itself gave the key, so a peer that refuses it is another program.
  const isAnother = dialKey !== null && (status === 401 || status === 403);
  return `${HANDSHAKE_FAILED}: ${reason}${isAnother ? ', so another agent is there' : ''}`;
}
