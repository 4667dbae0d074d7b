/**
 * The events of a daemon, for programs that log or show them.
 */
import type { HubFeature, UpperHub } from './protocol/hub.ts';
import type { RosterEvent } from './protocol/registry.ts';

/** A process that was started here for a caller. */
export interface AgentProcess {
  /** The id in the answer to the caller, and in the agent's registration. */
  readonly spawnId: string;
  /** The address of the caller. */
  readonly remoteAddress: string;
  readonly command: readonly string[];
  readonly folder: string;
  readonly processId: number;
  /** The path of the output file. */
  readonly output: string;
}

export interface AgentEnd {
  /** Null if a signal ended it. */
  readonly exitCode: number | null;
  /** Null if it exited. */
  readonly signal: string | null;
  readonly durationMs: number;
}

/** A hub that has joined this one. */
export interface JoinedHub {
  readonly id: string;
  /** The name by which it is known here. */
  readonly name: string;
}

export interface HypivisorEvents {
  /** A change of the roster. */
  roster: [event: RosterEvent];
  /** A peer began a TLS handshake, which this port does not speak, and was refused. No `refused` is emitted for it. */
  tlsRefused: [peer: { remoteAddress: string }];
  /** A request was refused; the connection is closing. */
  refused: [refusal: { status: number; reason: string; remoteAddress: string }];
  relayOpened: [relay: { nodeId: string; remoteAddress: string }];
  /** The client got a sentence that says why it cannot have a relay. */
  relayRefused: [relay: { nodeId: string; reason: string }];
  relayClosed: [relay: { nodeId: string }];
  /** A reader of the roster that did not read was closed. */
  laggardClosed: [];
  /** An agent was started on this machine for a caller, and its process runs. */
  agentStarted: [agent: AgentProcess];
  /** The process of an agent that was started here has ended. */
  agentEnded: [agent: AgentProcess & AgentEnd];
  /** Another hub has joined this one. */
  hubJoined: [hub: JoinedHub & { version: string; features: readonly HubFeature[]; remoteAddress: string }];
  /** The connection to a hub that had joined has ended. Its nodes stay for a while. */
  hubLost: [hub: JoinedHub];
  /** A hub that was lost has not come back, and its nodes are removed. */
  hubLeft: [hub: JoinedHub];
  /** The roster does not take so many nodes of a hub. Emitted once each time that the hub joins. */
  sharedLeftOut: [hub: JoinedHub & { nodes: number }];
  /** This hub has joined another, which may do from now on what `features` says. */
  joined: [upper: UpperHub & { features: readonly HubFeature[] }];
  /** The link to a hub that was joined is lost, and is tried again. */
  joinLost: [upper: UpperHub];
  /** A hub refuses to be joined, and is asked again from time to time. Told when the reason changes. */
  joinRefused: [upper: UpperHub];
  /** A hub that is to be joined cannot be reached, and is tried again. Told when the reason changes. */
  joinFailed: [upper: UpperHub];
  /** A problem on this machine that a person should fix, in one sentence. Each is emitted once. */
  warning: [sentence: string];
  /** A fault of the daemon's own, which has cost one request or one connection. */
  fault: [error: unknown];
}

/** Emits an event. It never throws. */
export type Tell = <E extends keyof HypivisorEvents>(event: E, ...args: HypivisorEvents[E]) => void;
