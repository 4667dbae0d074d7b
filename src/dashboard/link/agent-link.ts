/**
 * The connection to one agent, through the daemon's relay, for the chat.
 *
 * It offers deltas and, if the chat was connected before, to go on from there; an agent that knows neither answers in
 * the classic dialect. The connection is live from the agent's first message, not from the 101: after that the daemon
 * may still send an error in words, which becomes the status.
 */
import { signal } from '@preact/signals';
import { AgentCloseCode, successorOf } from '../../protocol/agent.ts';
import { DELTA_SUBPROTOCOL, deltaSubprotocols, type Position } from '../../protocol/subprotocol.ts';
import type { Environment } from './environment.ts';
import { Link, type Traffic } from './link.ts';

/** `classic`: pi's own events, cumulative, without numbers. */
export type Dialect = 'classic' | 'delta';

export interface AgentLinkStatus {
  /** `away`: the agent is offline, so nothing is tried until the roster has it again. */
  phase: 'connecting' | 'live' | 'lost' | 'away';
  /** The dialect of the present live connection, or of the last one. */
  dialect: Dialect | null;
  /** Why it is lost, in words for people. */
  reason: string | null;
}

export interface AgentListener {
  /** The position to go on from; null to begin with a snapshot. Asked before every connection. */
  position(): Position | null;
  /** Every message, parsed, in order. All are JSON objects. */
  message(message: { type?: unknown }, dialect: Dialect): void;
  /** The session was replaced, and `successor` is about to be opened in its place. */
  replaced(successor: string): void;
}

export interface AgentLinkOptions {
  nodeId: string;
  environment: Environment;
  token(): string | null;
  address(nodeId: string): string;
  /** The session was replaced: `nodeId` is the agent that follows. */
  onSuccessor(nodeId: string): void;
}

export class AgentLink {
  readonly nodeId: string;
  readonly status = signal<AgentLinkStatus>({ phase: 'connecting', dialect: null, reason: null });
  readonly #link: Link;
  #listener: AgentListener | null = null;
  readonly #observers = new Set<(message: { type?: unknown }) => void>();
  #dialect: Dialect = 'classic';
  /** The daemon's words, if it refused a connection. */
  #refusal: string | null = null;
  #live = false;

  constructor({ nodeId, environment, token, address, onSuccessor }: AgentLinkOptions) {
    this.nodeId = nodeId;
    this.#link = new Link(environment, {
      address: () => ({
        url: address(nodeId),
        protocols: deltaSubprotocols(token(), this.#listener?.position() ?? null),
      }),
      opened: (protocol) => {
        this.#refusal = null;
        this.#live = false;
        this.#dialect = protocol === DELTA_SUBPROTOCOL ? 'delta' : 'classic';
      },
      message: (text) => this.#message(text),
      lost: (code, reason) => {
        this.#live = false;
        const successor = code === AgentCloseCode.SESSION_REPLACED ? successorOf(reason) : null;
        this.#set('lost', this.#refusal ?? lossInWords(code));
        if (successor === null) return;
        this.#listener?.replaced(successor);
        onSuccessor(successor);
      },
    });
  }

  get traffic(): Readonly<Traffic> {
    return this.#link.traffic;
  }

  /**
   * Connects, with the chat as the listener from the start, so that no message is missed.
   *
   * @returns a function that ends it
   */
  attach(listener: AgentListener): () => void {
    this.#listener = listener;
    this.#set('connecting', null);
    this.#link.start();
    return () => {
      this.#listener = null;
      this.#link.stop();
    };
  }

  /** Hears the messages as well. @returns a function that ends it */
  observe(observer: (message: { type?: unknown }) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /**
   * Sends a request as JSON, or a string as it is: a prompt in classic mode.
   *
   * @returns false if there is no live connection: nothing was sent, and nothing is kept for later
   */
  send(message: object | string): boolean {
    if (!this.#live) return false;
    return this.#link.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Makes a new connection at once: after a "try again", or if the connection to the daemon was found dead. */
  reconnect(): void {
    this.#link.replace();
  }

  /** The roster says that the agent has gone. */
  away(): void {
    if (this.#listener === null) return;
    this.#link.stop();
    this.#live = false;
    this.#set('away', null);
  }

  /** The roster says that the agent is there. */
  back(): void {
    if (this.#listener === null) return;
    if (this.status.peek().phase === 'away') {
      this.#set('connecting', null);
      this.#link.start();
    } else {
      this.#link.retryNow();
    }
  }

  #message(text: string): void {
    const message = parse(text);
    if (message === null) return;
    if (!this.#live) {
      if (typeof message.error === 'string' && message.type === undefined) {
        this.#refusal = message.error;
        return;
      }
      this.#live = true;
      this.#link.settled();
      this.#set('live', null);
    }
    this.#listener?.message(message, this.#dialect);
    for (const observer of this.#observers) observer(message);
  }

  #set(phase: AgentLinkStatus['phase'], reason: string | null): void {
    const dialect = phase === 'live' ? this.#dialect : this.status.peek().dialect;
    this.status.value = { phase, dialect, reason };
  }
}

function parse(text: string): { type?: unknown; error?: unknown } | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function lossInWords(code: number): string {
  switch (code) {
    case 1000:
      return 'The agent ended the connection.';
    case 1001:
      return 'The agent or the hypivisor is shutting down.';
    case 1008:
      return 'The agent refused what this page sent.';
    case 1009:
      return 'The message was too large for the agent.';
    case 1013:
      return 'This page fell behind the agent; it catches up.';
    case 1014:
      return 'The agent is gone, or broke the protocol.';
    case AgentCloseCode.SESSION_REPLACED:
      return 'The session was replaced by another one.';
    case AgentCloseCode.RELOADING:
      return 'The agent loads its extensions anew.';
    default:
      return `The connection to the agent was lost (${code}).`;
  }
}
