/**
 * What happens in a daemon, for whoever wants to log or show it.
 */
import type { RosterEvent } from './protocol/registry.ts';

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
  /** Something on this machine that somebody should mend, in one sentence; each is told once. */
  warning: [sentence: string];
  /** A fault of the daemon's own: it has cost one request or one connection. */
  fault: [error: unknown];
}

/** Tells of an event. It never throws. */
export type Tell = <E extends keyof HypivisorEvents>(event: E, ...args: HypivisorEvents[E]) => void;
