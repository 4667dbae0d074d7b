/**
 * The way to an agent that nobody can dial (behind NAT, or listening on loopback alone): it opens a connection when it is
 * asked to, and then the roles turn. The daemon is the client on that connection, and the agent serves it as if it had
 * accepted it, so a relay over it is like any other.
 *
 *   ask ──(ticket, over the agent's registration)──▶ agent ──(GET /ws/back/{ticket})──▶ arrive
 *
 *   arrive ──(a relay waits)──▶ 101 and the opening handshake of that relay, in one segment
 *      └─────(none does)──────▶ 101, and it is the spare
 *
 *   The spare:  WANTED ──(arrive)──▶ HELD ──(a relay takes it, or it ends)──▶ WANTED
 *
 * With a spare a relay costs one round trip. The first is asked for as soon as the agent has registered, which proves the
 * way. One that is used or lost is asked for anew: after a pause that doubles, if it was lost soon or never came.
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

/** So many tickets may be out at once: an agent need not serve a flood. Relays beyond that wait for the next. */
const MAX_TICKETS = 16;
/** A spare that lasted so long was a good one: proxies cut connections that are silent for a minute. */
const LASTING_MS = 10_000;
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 5 * 60_000;
/** How much of a relay's time the spare may take to answer: one that died unheard leaves enough for another. */
const SPARE_SHARE = 0.4;

/** What the sentences that clients are told call the agent. */
const AGENT = 'it';
const noConnectionOf = (name: string) => `Cannot reach agent: ${name} opened no connection`;
/** Why a way is not proved. */
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
  /** It was opened, or it was not. */
  onProved(works: boolean): void;
}

export class WayBack implements TicketHolder {
  readonly #context: WayBackContext;
  readonly #owner: WayBackOwner;
  readonly #tickets = new Set<string>();
  /** Relays that wait for a connection, in the order they came. */
  readonly #waiting = new Set<Passage>();
  readonly #retry = new Deadline({ onDeadline: () => this.#askForSpare() });
  #spare: Spare | null = null;
  #pauseMs = FIRST_PAUSE_MS;
  #isClosed = false;
  /** What opens the connections, for the sentences that clients are told. */
  readonly name: string;

  constructor(context: WayBackContext, owner: WayBackOwner, name = AGENT) {
    this.#context = context;
    this.#owner = owner;
    this.name = name;
  }

  get hasSpare(): boolean {
    return this.#spare !== null;
  }

  /** The sentence for the client. It names what opens the connections, unless that is the agent itself. */
  sentenceFor(failure: ConnectFailure, request: AgentRequest): string {
    const sentence = sentenceFor(failure, request);
    return this.name === AGENT ? sentence : `${sentence} (at ${this.name})`;
  }

  /** Asks for the first connection. */
  start(): void {
    this.#askForSpare();
  }

  /** The way is tried, unless a connection that waits proves it. */
  prove(): void {
    if (this.hasSpare) this.#owner.onProved(true);
    else this.#askForSpare();
  }

  /** The agent has left, or another has its place: nothing comes this way any more. Open relays stay. */
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
   * Opens a connection to the agent, and shakes hands.
   *
   * @param timeoutMs for all of it together
   * @throws TypeError if the request cannot be written
   */
  open(request: AgentRequest, timeoutMs: number, sink: DialSink): { cancel(): void } {
    const passage = new Passage(this, this.#context, request, timeoutMs, sink);
    passage.start();
    return passage;
  }

  /**
   * The agent has come with a ticket of this way, and nothing has been answered.
   *
   * @param subprotocol the one chosen of its offer; null for none
   * @param rest bytes behind its request: none may be there, since the daemon speaks first
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
      // Of two the younger is the one more likely to be alive.
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

  // For its passages

  /** @returns null if there is none */
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

  /** For each relay that waits, and for the spare, one ticket is out; the spare's not during a pause. */
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

/** A connection that waits for a relay. Nothing is said on it: the agent waits for a request, and would take a ping for one. */
class Spare implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #openedAt: number;
  readonly #onLost: (spare: Spare) => void;
  #isHeld = true;

  /** @param probeAfterMs of silence, by the kernels alone: so that a NAT that forgets it is noticed, or does not forget */
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

  /** Gives the connection up to whoever asked for it. */
  release(): Connection {
    this.#isHeld = false;
    return this.#connection;
  }

  /** It was not asked anything. */
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
 * One relay's way to the agent.
 *
 *   ┌─(a spare)──▶ HANDSHAKING ──(opened)──▶ OVER: the sink has the leg
 *   │                  │   ▲ └──(failed, and it was the spare that died)──┐
 *   │                  │   └──(begin)── WAITING ◀────────────────────────┤
 *   └─(none)───────────┼──────────────────▲                              │
 *                      └──(failed), or WAITING ──(the deadline)──▶ OVER: the sink is told why
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

  /** A connection has come. @param answer the 101 for it */
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
