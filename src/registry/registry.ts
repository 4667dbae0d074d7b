/**
 * Who is in the roster: state and commands in, events out. No socket, no clock: `now` comes in, in milliseconds since
 * the Unix epoch.
 *
 *                    register                      owner's connection ends
 *   (unknown) ─────────────────▶ active ──────────────────────────────────────▶ offline
 *                                  ▲   └───────────── deregister ──────┐           │
 *                                  └────────── register again ─────────┼───────────┤
 *                                                                      ▼           │ deregister, TTL
 *                                                                  (removed) ◀─────┘
 *
 * A connection owns the node it registered, by identity, and the last registration wins: a connection whose node was
 * taken over owns nothing, so its late close changes nothing.
 */
import { type Node, NodeStatus, PROTOCOL_VERSION, type RosterEvent } from '../protocol/registry.ts';
import type { NodeInfo } from './node-info.ts';
import { RpcError } from './rpc.ts';

/** Whoever registers: compared by identity only. */
export type Owner = object;

/** How to reach an agent. */
export interface AgentAddress {
  machine: string;
  port: number;
  /** The peer address its registration came from. */
  registeredFrom: string;
  dialKey: string | null;
}

export type Deregistration = 'deregistered' | 'not_found';

export interface RegistryLimits {
  /** How long an offline node stays in the roster. */
  nodeTtlMs: number;
  maxNodes: number;
}

interface Entry {
  node: Node;
  /** The node as JSON, encoded once per change however many rosters it goes into. */
  json: string;
  /** Null while offline. */
  owner: Owner | null;
  place: string;
  registeredFrom: string;
  dialKey: string | null;
}

export class Registry {
  readonly #limits: RegistryLimits;
  readonly #entries = new Map<string, Entry>();
  /** A port belongs to one process, so a place holds one node. */
  readonly #idByPlace = new Map<string, string>();
  /** When each offline node expires. All wait equally long, so insertion order is the order they expire in. */
  readonly #expiry = new Map<string, number>();
  /** The id a connection registered last, also once it owns it no more. */
  readonly #lastIds = new WeakMap<Owner, string>();
  #initJson: string | null = null;

  constructor(limits: RegistryLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** When the next offline node expires, in the same time as `now`; null if none is offline. */
  get nextExpiry(): number | null {
    for (const expiresAt of this.#expiry.values()) return expiresAt;
    return null;
  }

  /**
   * @param registeredFrom the peer address of the connection
   * @throws RpcError where the roster is full; nothing has changed then
   */
  register(owner: Owner, info: NodeInfo, registeredFrom: string, now: number): RosterEvent[] {
    const place = placeOf(info, registeredFrom);
    // What it replaces: the connection's former node under another id, and whoever stood in its place.
    const replaced = new Set<string>();
    const former = this.#ownedId(owner);
    if (former !== null && former !== info.id) replaced.add(former);
    const standing = this.#idByPlace.get(place);
    if (standing !== undefined && standing !== info.id) replaced.add(standing);

    const isNew = !this.#entries.has(info.id);
    if (isNew && this.#entries.size - replaced.size >= this.#limits.maxNodes) {
      throw new RpcError(`The roster is full: ${this.#limits.maxNodes} nodes`);
    }
    const events: RosterEvent[] = [];
    for (const id of replaced) events.push(this.#remove(id));

    const before = this.#entries.get(info.id);
    if (before !== undefined) this.#leavePlace(before);
    const node: Node = {
      id: info.id,
      machine: info.machine,
      cwd: info.cwd,
      port: info.port,
      status: NodeStatus.ACTIVE,
      last_seen: toSeconds(now),
    };
    if (info.pid !== undefined) node.pid = info.pid;
    const dialKey = info.dialKey ?? null;
    this.#entries.set(info.id, { node, json: JSON.stringify(node), owner, place, registeredFrom, dialKey });
    this.#idByPlace.set(place, info.id);
    this.#expiry.delete(info.id);
    this.#lastIds.set(owner, info.id);
    this.#initJson = null;
    events.push({ event: 'node_joined', node });
    return events;
  }

  /**
   * An agent may deregister only itself, and one that was superseded none; who never registered may deregister any.
   *
   * @throws RpcError where it is not the caller's to deregister
   */
  deregister(caller: Owner, id: string): { status: Deregistration; events: RosterEvent[] } {
    const lastId = this.#lastIds.get(caller);
    const entry = this.#entries.get(id);
    if (lastId !== undefined && (lastId !== id || (entry !== undefined && entry.owner !== caller))) {
      throw new RpcError('Unauthorized: cannot deregister another node');
    }
    if (entry === undefined) return { status: 'not_found', events: [] };
    return { status: 'deregistered', events: [this.#remove(id)] };
  }

  /** The connection has ended. What it owns is offline from now on, and is removed after the TTL. */
  disconnect(owner: Owner, now: number): RosterEvent[] {
    const id = this.#ownedId(owner);
    if (id === null) return [];
    const entry = this.#entries.get(id) as Entry;
    const seconds = toSeconds(now);
    entry.owner = null;
    entry.node = { ...entry.node, status: NodeStatus.OFFLINE, offline_since: seconds, last_seen: seconds };
    entry.json = JSON.stringify(entry.node);
    this.#expiry.set(id, now + this.#limits.nodeTtlMs);
    this.#initJson = null;
    return [{ event: 'node_offline', id }];
  }

  /** Removes what has been offline for the TTL. */
  expire(now: number): RosterEvent[] {
    const events: RosterEvent[] = [];
    for (const [id, expiresAt] of this.#expiry) {
      if (expiresAt > now) break;
      events.push(this.#remove(id));
    }
    return events;
  }

  /** Has this connection ever registered a node? */
  hasRegistered(owner: Owner): boolean {
    return this.#lastIds.has(owner);
  }

  get(id: string): Node | null {
    return this.#entries.get(id)?.node ?? null;
  }

  addressOf(id: string): AgentAddress | null {
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    const { machine, port } = entry.node;
    return { machine, port, registeredFrom: entry.registeredFrom, dialKey: entry.dialKey };
  }

  /** The roster as a JSON array, in the order the nodes first came. */
  get nodesJson(): string {
    const nodes: string[] = [];
    for (const entry of this.#entries.values()) nodes.push(entry.json);
    return `[${nodes.join(',')}]`;
  }

  /** The `init` push; the same string until the roster changes. */
  get initJson(): string {
    this.#initJson ??= encodeInit(this.nodesJson);
    return this.#initJson;
  }

  #ownedId(owner: Owner): string | null {
    const id = this.#lastIds.get(owner);
    return id !== undefined && this.#entries.get(id)?.owner === owner ? id : null;
  }

  #remove(id: string): RosterEvent {
    this.#leavePlace(this.#entries.get(id) as Entry);
    this.#entries.delete(id);
    this.#expiry.delete(id);
    this.#initJson = null;
    return { event: 'node_removed', id };
  }

  #leavePlace(entry: Entry): void {
    if (this.#idByPlace.get(entry.place) === entry.node.id) this.#idByPlace.delete(entry.place);
  }
}

/** @param nodesJson a JSON array of nodes */
export function encodeInit(nodesJson: string): string {
  return `{"event":"init","nodes":${nodesJson},"protocol_version":"${PROTOCOL_VERSION}"}`;
}

/** The same machine and port from the same peer address: two laptops may both be called ubuntu. */
function placeOf(info: NodeInfo, registeredFrom: string): string {
  return `${info.port} ${registeredFrom} ${info.machine}`;
}

function toSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
