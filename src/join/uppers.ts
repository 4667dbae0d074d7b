/** The hubs that this one joins: a link to each, and the state of all of them. */
import type { HubFeature, UpperHub } from '../protocol/hub.ts';
import type { Connection } from '../transport/connection.ts';
import { Link, type LinkOptions } from './link.ts';

export interface UpperOptions {
  readonly url: string;
  readonly token: string | null;
  /** Certificates in PEM to trust instead of Node's own; null for Node's. */
  readonly ca: string | null;
  readonly features: readonly HubFeature[];
}

export type UppersContext = Omit<LinkOptions, keyof UpperOptions | 'joinedBy'>;

/** A hub above, whose client comes on a connection that we have opened. */
export interface UpperClient {
  /** Whether the node is shared with that hub. */
  shares(nodeId: string): boolean;
  /** A request has come on the connection. */
  onUsed(): void;
}

export interface UppersEvents {
  /** The status of one of them has changed, or the reason for it. */
  onChanged(hub: UpperHub, before: UpperHub['status'], features: readonly HubFeature[]): void;
  /** Takes over a connection that one of them has asked for. */
  onDialledBack(connection: Connection, rest: Buffer, client: UpperClient): void;
}

export class Uppers {
  readonly #links: readonly Link[];

  /** @throws TypeError, with a sentence for the user, if a URL or that of a proxy cannot be used */
  constructor(uppers: readonly UpperOptions[], context: UppersContext, events: UppersEvents) {
    this.#links = uppers.map((upper) => {
      let status: UpperHub['status'] = 'connecting';
      const link: Link = new Link(
        { ...context, ...upper, joinedBy: (upperId) => this.#joinedBy(upperId) },
        {
          onStatus: (hub) => {
            const before = status;
            status = hub.status;
            events.onChanged(hub, before, upper.features);
          },
          onDialledBack: (connection, rest, onUsed) =>
            events.onDialledBack(connection, rest, { shares: (nodeId) => link.shares(nodeId), onUsed }),
        },
      );
      return link;
    });
  }

  #joinedBy(upperId: string): string | null {
    return this.#links.find((link) => link.hasJoined(upperId))?.status.url ?? null;
  }

  get up(): UpperHub[] {
    return this.#links.map(({ status }) => status);
  }

  start(): void {
    for (const link of this.#links) link.start();
  }

  stop(): void {
    for (const link of this.#links) link.stop();
  }

  /** A node of the roster is new, has changed, or is no more. */
  noteNode(id: string): void {
    for (const link of this.#links) link.noteNode(id);
  }

  /** A machine below is new, has changed, or is no more. */
  noteMachines(): void {
    for (const link of this.#links) link.noteMachines();
  }

  /** A line for each, with its line end: its status. */
  get health(): string {
    return this.up.map((hub) => `${describe(hub)}\n`).join('');
  }
}

/** `join server: joined since 2026-01-31T12:00:00Z`; with its host until its name is known. */
function describe({ name, url, status, since, reason }: UpperHub): string {
  const who = name ?? new URL(url).host;
  const when = new Date(since * 1000).toISOString().replace('.000', '');
  return `join ${who}: ${status} since ${when}${reason === undefined ? '' : `, ${reason}`}`;
}
