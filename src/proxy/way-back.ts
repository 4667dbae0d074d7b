/**
 * The way to an agent that cannot be dialled, because it is behind NAT or listens only on loopback. On request it opens
 * a connection to the daemon, and then the roles change: the daemon is the client on that connection, and the agent
 * serves it as if the agent had accepted it. So a relay over it is like any other.
 *
 *   ask ──(ticket, over the agent's registration)──▶ agent ──(GET /ws/back/{ticket})──▶ arrive
 *
 *   arrive ──(a relay waits)──▶ 101 and the opening handshake of that relay, in one segment
 *      └─────(none waits)─────▶ 101, and the connection is the spare
 *
 *   The spare:  WANTED ──(arrive)──▶ HELD ──(a relay takes it, or it ends)──▶ WANTED
 *
 * With a spare a relay costs one round trip. The daemon asks for the first spare as soon as the agent has registered,
 * which proves the way. It asks again when a spare is used or lost. If a spare was soon lost or never came, it asks
 * after a pause, which doubles.
 */
import { encodeUpgradeResponse, type UpgradeRequest } from '../http/handshake.ts';
import {
  type Attempt,
  type ConnectFailure,
  type ConnectLimits,
  type ConnectSink,
  type Opened,
  shakeHands,
} from '../opening/connect.ts';
import type { Connection, ConnectionHandler } from '../transport/connection.ts';
import { Deadline, type Deadlines } from '../transport/deadlines.ts';
import { readAsDialled } from '../transport/open.ts';
import { type AgentRequest, type DialSink, handshakeRequest, sentenceFor } from './dial.ts';
import type { TicketHolder, Tickets } from './tickets.ts';

/** The most valid tickets of one agent, so that an agent need not serve a flood. Further relays wait. */
const MAX_TICKETS = 16;
/** A spare that lasted this long resets the pause. Proxies cut connections that are silent for a minute. */
const LASTING_MS = 10_000;
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 5 * 60_000;
/** The share of a relay's time in which the spare must answer. If the spare is dead, enough is left for another. */
const SPARE_SHARE = 0.4;

/** The name of the agent in sentences for clients. */
const AGENT = 'it';
const noConnectionOf = (name: string) => `Cannot reach agent: ${name} opened no connection`;
/** The reason why a way is not proven. */
export const NO_CONNECTION = noConnectionOf(AGENT);

const NOTHING = Buffer.alloc(0);

export interface WayBackContext {
  readonly deadlines: Deadlines;
  readonly tickets: Tickets<WayBack>;
  readonly limits: ConnectLimits & { readonly pingIntervalMs: number };
}

export interface WayBackOwner {
  /** Asks the agent for a connection. */
  ask(ticket: string): void;
  /** Called when a connection was opened, or was not. */
  onProved(works: boolean): void;
}

export class WayBack implements TicketHolder {
  readonly #context: WayBackContext;
  readonly #owner: WayBackOwner;
  readonly #tickets = new Set<string>();
  /** The relays that wait for a connection, in the order of their arrival. */
  readonly #waiting = new Set<Passage>();
  readonly #retry = new Deadline({ onDeadline: () => this.#askForSpare() });
  #spare: Spare | null = null;
  #pauseMs = FIRST_PAUSE_MS;
  #isClosed = false;
  /** The name, in sentences for clients, of the program that opens the connections. */
  readonly name: string;

  constructor(context: WayBackContext, owner: WayBackOwner, name = AGENT) {
    this.#context = context;
    this.#owner = owner;
    this.name = name;
  }

  get hasSpare(): boolean {
    return this.#spare !== null;
  }

  /** The sentence for the client. It names the program that opens the connections, unless that is the agent itself. */
  sentenceFor(failure: ConnectFailure, request: AgentRequest): string {
    const sentence = sentenceFor(failure, request);
    return this.name === AGENT ? sentence : `${sentence} (at ${this.name})`;
  }

  /** Asks for the first connection. */
  start(): void {
    this.#askForSpare();
  }

  /** Tries the way, unless a waiting connection proves it. */
  prove(): void {
    if (this.hasSpare) this.#owner.onProved(true);
    else this.#askForSpare();
  }

  /** Closes the way, because the agent has left or another has its place. Open relays stay. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { deadlines, tickets } = this.#context;
    deadlines.clear(this.#retry);
    for (const ticket of this.#tickets) tickets.redeem(ticket);
    this.#tickets.clear();
    this.#dropSpare();
    for (const passage of this.#waiting) passage.fail(`Cannot reach agent: ${this.name} has left`);
  }

  /**
   * Opens a connection to the agent, and performs the opening handshake.
   *
   * @param timeoutMs the time limit for both together
   * @throws TypeError if the request cannot be written
   */
  open(request: AgentRequest, timeoutMs: number, sink: DialSink): { cancel(): void } {
    const passage = new Passage(this, this.#context, request, timeoutMs, sink);
    passage.start();
    return passage;
  }

  /**
   * Takes over the connection of the agent that presented a ticket of this way. Nothing has been written to it.
   *
   * @param subprotocol the chosen subprotocol; null for none
   * @param rest the bytes after the agent's request; there must be none, because the daemon speaks first
   */
  arrive(
    connection: Connection,
    { key }: UpgradeRequest,
    subprotocol: string | null,
    ticket: string,
    rest: Buffer,
  ): void {
    this.#tickets.delete(ticket);
    if (rest.length > 0) {
      connection.destroy();
      this.#askLater();
      return;
    }
    this.#owner.onProved(true);
    readAsDialled(connection);
    const answer = encodeUpgradeResponse(key, subprotocol, null);
    const [first] = this.#waiting;
    if (first !== undefined) {
      this.#waiting.delete(first);
      first.begin(connection, answer);
    } else {
      // The younger of two spares is more likely to be alive.
      this.#dropSpare();
      connection.write(answer);
      this.#spare = new Spare(connection, this.#context.limits.pingIntervalMs, (spare) => this.#onSpareLost(spare));
    }
    this.#ask();
  }

  // TicketHolder

  onExpired(ticket: string): void {
    this.#tickets.delete(ticket);
    this.#owner.onProved(false);
    this.#askLater();
  }

  // For the passages of this way

  /** @returns the spare; null if there is none */
  takeSpare(): Connection | null {
    const spare = this.#spare;
    if (spare === null) return null;
    this.#spare = null;
    this.#pauseMs = FIRST_PAUSE_MS;
    const connection = spare.release();
    this.#askForSpare();
    return connection;
  }

  wait(passage: Passage): void {
    if (this.#isClosed) {
      passage.fail(`Cannot reach agent: ${this.name} has left`);
      return;
    }
    this.#waiting.add(passage);
    this.#ask();
  }

  leave(passage: Passage): void {
    this.#waiting.delete(passage);
  }

  #onSpareLost(spare: Spare): void {
    if (this.#spare !== spare) return;
    this.#spare = null;
    if (spare.ageMs < LASTING_MS) {
      this.#askLater();
    } else {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#askForSpare();
    }
  }

  #dropSpare(): void {
    const spare = this.#spare;
    this.#spare = null;
    spare?.release().destroy();
  }

  #askLater(): void {
    if (this.#isClosed) return;
    this.#context.deadlines.set(this.#retry, this.#pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_PAUSE_MS);
  }

  #askForSpare(): void {
    if (this.#isClosed) return;
    this.#context.deadlines.clear(this.#retry);
    this.#ask();
  }

  /** Sends one ticket for each waiting relay, and one for the spare, except during a pause. */
  #ask(): void {
    const wantsSpare = this.#spare === null && this.#retry.slot < 0;
    const wanted = Math.min(this.#waiting.size + (wantsSpare ? 1 : 0), MAX_TICKETS);
    while (this.#tickets.size < wanted) {
      const ticket = this.#context.tickets.issue(this);
      this.#tickets.add(ticket);
      this.#owner.ask(ticket);
    }
  }
}

/** A connection that waits for a relay. It is not pinged, because the agent waits for a request on it. */
class Spare implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #openedAt: number;
  readonly #onLost: (spare: Spare) => void;
  #isHeld = true;

  /**
   * @param probeAfterMs the silence before the kernel probes the peer, so that a NAT keeps the connection, or is
   * noticed
   */
  constructor(connection: Connection, probeAfterMs: number, onLost: (spare: Spare) => void) {
    this.#connection = connection;
    this.#openedAt = connection.now;
    this.#onLost = onLost;
    connection.handler = this;
    connection.clearDeadline();
    connection.probe(probeAfterMs);
  }

  get ageMs(): number {
    return this.#connection.now - this.#openedAt;
  }

  /** Gives the connection to the relay that takes it. */
  release(): Connection {
    this.#isHeld = false;
    return this.#connection;
  }

  /** Bytes from the agent are an error, because it was not asked anything. */
  onData(): void {
    this.#connection.destroy();
  }

  onEof(): void {
    this.#connection.destroy();
  }

  onDrain(): void {}

  onDeadline(): void {}

  onGone(): void {
    if (this.#isHeld) this.#onLost(this);
  }

  onShutdown(): void {
    this.#connection.destroy();
  }
}

/**
 * The passage of one relay to the agent.
 *
 *   ┌─(a spare)──▶ HANDSHAKING ──(opened)──▶ OVER: the sink gets the leg
 *   │                  │   ▲ └──(failed, and it was the spare that died)──┐
 *   │                  │   └──(begin)── WAITING ◀────────────────────────┤
 *   └─(none)───────────┼──────────────────▲                              │
 *                      └──(failed), or WAITING ──(the deadline)──▶ OVER: the sink gets the reason
 */
class Passage implements ConnectSink {
  readonly #way: WayBack;
  readonly #context: WayBackContext;
  readonly #request: AgentRequest;
  readonly #sink: DialSink;
  readonly #deadline = new Deadline({ onDeadline: () => this.fail(noConnectionOf(this.#way.name)) });
  readonly #endsAt: number;
  #attempt: Attempt | null = null;
  #isSpare = false;
  #isOver = false;

  constructor(way: WayBack, context: WayBackContext, request: AgentRequest, timeoutMs: number, sink: DialSink) {
    this.#way = way;
    this.#context = context;
    this.#request = request;
    this.#sink = sink;
    this.#endsAt = context.deadlines.now() + timeoutMs;
  }

  start(): void {
    const spare = this.#way.takeSpare();
    if (spare === null) {
      this.#wait();
      return;
    }
    this.#isSpare = true;
    this.#shakeHands(spare, NOTHING, this.#remainingMs * SPARE_SHARE);
  }

  /** Takes a connection that has come. @param answer the 101 for it */
  begin(connection: Connection, answer: Buffer): void {
    this.#context.deadlines.clear(this.#deadline);
    this.#isSpare = false;
    this.#shakeHands(connection, answer, this.#remainingMs);
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#end();
    this.#attempt?.cancel();
  }

  fail(sentence: string): void {
    if (this.#isOver) return;
    this.#end();
    this.#sink.onUnreachable(sentence);
  }

  // ConnectSink

  onOpened(leg: Opened): void {
    this.#end();
    this.#sink.onReached(leg);
  }

  onFailed(failure: ConnectFailure): void {
    const didNotAnswer = failure.status === null && this.#isSpare && this.#remainingMs > 0;
    if (didNotAnswer) this.#wait();
    else this.fail(this.#way.sentenceFor(failure, this.#request));
  }

  get #remainingMs(): number {
    return this.#endsAt - this.#context.deadlines.now();
  }

  #wait(): void {
    this.#context.deadlines.set(this.#deadline, Math.max(0, this.#remainingMs));
    this.#way.wait(this);
  }

  #shakeHands(connection: Connection, before: Buffer, timeoutMs: number): void {
    const request = handshakeRequest(this.#request, 'localhost');
    this.#attempt = shakeHands(connection, request, before, timeoutMs, this, this.#context.limits);
  }

  #end(): void {
    this.#isOver = true;
    this.#context.deadlines.clear(this.#deadline);
    this.#way.leave(this);
  }
}
