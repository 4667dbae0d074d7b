/**
 * The events of a daemon, for those that log or show them.
 */
import type { RosterEvent } from './protocol/registry.ts';

/** A process that was started here for a caller. */
export interface AgentProcess {
  /** As the caller was told, and as the agent registers with. */
  readonly spawnId: string;
  /** Who asked for it. */
  readonly remoteAddress: string;
  readonly command: readonly string[];
  readonly folder: string;
  readonly processId: number;
  /** The file that its output goes to. */
  readonly output: string;
}

export interface AgentEnd {
  /** Null if a signal ended it. */
  readonly exitCode: number | null;
  /** Null if it exited. */
  readonly signal: string | null;
  readonly durationMs: number;
}

export interface HypivisorEvents {
  /** A change of the roster. */
  roster: [event: RosterEvent];
  /** A peer began a TLS handshake, which this port does not speak. It was refused, and is not told as `refused`. */
  tlsRefused: [peer: { remoteAddress: string }];
  /** A request was refused; the connection is closing. */
  refused: [refusal: { status: number; reason: string; remoteAddress: string }];
  relayOpened: [relay: { nodeId: string; remoteAddress: string }];
  /** The client was told why there is no relay. */
  relayRefused: [relay: { nodeId: string; reason: string }];
  relayClosed: [relay: { nodeId: string }];
  /** A reader of the roster that did not read was closed. */
  laggardClosed: [];
  /** A caller had an agent started on this machine, and its process runs. */
  agentStarted: [agent: AgentProcess];
  /** The process of an agent that was started here has ended. */
  agentEnded: [agent: AgentProcess & AgentEnd];
  /** Something on this machine that somebody should mend, in one sentence; each is told once. */
  warning: [sentence: string];
  /** A fault of the daemon's own: it has cost one request or one connection. */
  fault: [error: unknown];
}

/** Tells of an event. It never throws. */
export type Tell = <E extends keyof HypivisorEvents>(event: E, ...args: HypivisorEvents[E]) => void;
