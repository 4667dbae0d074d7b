/**
 * The state of the roster. Commands and the time go in, events come out. This module knows no socket and no clock.
 *
 *                    register                      owner's connection ends
 *   (unknown) ─────────────────▶ active ──────────────────────────────────────▶ offline
 *                                  ▲   └───────────── deregister ──────┐           │
 *                                  └────────── register again ─────────┼───────────┤
 *                                                                      ▼           │ deregister, TTL
 *                                                                  (removed) ◀─────┘
 *
 * A connection owns the node that it registered, by identity, and the last registration wins. A connection whose node
 * was taken over owns nothing, so its late close changes nothing.
 *
 * Nodes that other hubs share are in the same roster, and belong to those hubs. They come and go by `share`, and never
 * take anything from a node that registered here: if both have the same id, the shared node gets another.
 */
import {
  type Node,
  NodeStatus,
  type NodeUpdated,
  PROTOCOL_VERSION,
  type Reach,
  type RosterEvent,
} from '../protocol/registry.ts';
import { Doubles } from './doubles.ts';
import { applyDetails, type DetailsChange } from './node-details.ts';
import type { NodeInfo } from './node-info.ts';
import { RpcError } from './rpc.ts';
import {
  changesBetween,
  otherId,
  type Remote,
  type RemoteNode,
  type SharingHub,
  shownNode,
  type Unproven,
} from './shared.ts';

/** The connection that registers. Owners are compared by identity only. */
export type Owner = object;

/** A moment on two clocks, in milliseconds. Nodes show the time of day, but that clock may be set back. */
export interface Moment {
  /** Since the Unix epoch. */
  readonly unixMs: number;
  /** Since some fixed moment, on a clock that is never set. The TTL is measured with it. */
  readonly steadyMs: number;
}

/** Where a registration came from. This is judged on arrival, because names and addresses of this machine change. */
export interface Registrant {
  /** The peer address, in its normal spelling. */
  readonly address: string;
  /** Whether the registration came from this machine. */
  readonly isHere: boolean;
  /** Whether the agent's `machine` is a name of this machine. */
  readonly namesHere: boolean;
}

/** How to reach an agent. */
export interface AgentAddress {
  /** The connection that registered the agent; null while the agent is offline. */
  readonly owner: Owner | null;
  readonly machine: string;
  readonly port: number;
  readonly registrant: Registrant;
  readonly dialKey: string | null;
  /** Whether a connection meant for this agent may reach another agent: see Doubles. */
  readonly hasDouble: boolean;
  /** Where it is if another hub shares it: then it is reached through that hub alone. Null if it registered here. */
  readonly remote: Remote | null;
}

/** A push to all clients, or to those that subscribed to updates. */
export type RosterChange = RosterEvent | NodeUpdated;

export type Deregistration = 'deregistered' | 'not_found';

export interface RegistryLimits {
  /** How long an offline node stays in the roster, in milliseconds. */
  nodeTtlMs: number;
  maxNodes: number;
  /** The most bytes of all nodes' JSON together. Nodes that go offline may exceed it a little. */
  maxRosterBytes: number;
}

/**
 * The part of the roster that one other hub may fill, and all of them together: agents that register here find room.
 */
const PART_OF_A_HUB = 1 / 2;
const PART_OF_ALL_HUBS = 3 / 4;

interface Encoded {
  json: string;
  /** In UTF-8. */
  jsonBytes: number;
}

/** A node is encoded once for each change, however many rosters it goes into. */
interface Entry extends Encoded {
  node: Node;
  /** Null while offline. */
  owner: Owner | null;
  place: string;
  /** Port and address of a connection to where the agent registered from: see Doubles. */
  spot: string;
  registrant: Registrant;
  dialKey: string | null;
  /** Where it comes from, if another hub shares it; null if it registered here. */
  remote: Remote | null;
}

/** The state that all nodes of other hubs share. */
const ELSEWHERE = {
  owner: null,
  place: '',
  spot: '',
  registrant: { address: '', isHere: false, namesHere: false },
  dialKey: null,
} as const;

export class Registry {
  readonly #limits: RegistryLimits;
  readonly #entries = new Map<string, Entry>();
  /** A port belongs to one process, so a place has one node. */
  readonly #idByPlace = new Map<string, string>();
  readonly #doubles = new Doubles();
  /** When each offline node expires, on the steady clock. All have the same TTL, so they expire in this order. */
  readonly #expiry = new Map<string, number>();
  /** The id that a connection registered last, even if it no longer owns that node. */
  readonly #lastIds = new WeakMap<Owner, string>();
  /** The bytes of all nodes' JSON together. */
  #jsonBytes = 0;
  /** The number of nodes that other hubs share, and the bytes of their JSON. */
  #sharedCount = 0;
  #sharedBytes = 0;
  /** Kept until a node changes. */
  #nodesJson: string | null = null;

  constructor(limits: RegistryLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The number of nodes that registered here. */
  get localSize(): number {
    return this.#entries.size - this.#sharedCount;
  }

  /** When the next offline node expires, on the steady clock; null if none is offline. */
  get nextExpiry(): number | null {
    for (const expiresAt of this.#expiry.values()) return expiresAt;
    return null;
  }

  /** @throws RpcError if the roster is full; nothing has changed then */
  register(owner: Owner, info: NodeInfo, registrant: Registrant, now: Moment): RosterEvent[] {
    const place = placeOf(info, registrant);
    // The new node replaces another node of this connection, and another node in the same place.
    const replaced = new Set<string>();
    const former = this.#ownedId(owner);
    if (former !== null && former !== info.id) replaced.add(former);
    const standing = this.#idByPlace.get(place);
    if (standing !== undefined && standing !== info.id) replaced.add(standing);

    const holder = this.#entries.get(info.id);
    // A node of another hub gives way, and goes on under another id.
    const displaced = holder?.remote ?? null;
    const before = displaced === null ? holder : undefined;
    if (before === undefined && this.#entries.size - replaced.size >= this.#limits.maxNodes) {
      throw new RpcError(`The roster is full: ${this.#limits.maxNodes} nodes`);
    }
    const node = activeNode(info, now);
    const { json, jsonBytes } = encode(node);
    let freedBytes = before?.jsonBytes ?? 0;
    for (const id of replaced) freedBytes += (this.#entries.get(id) as Entry).jsonBytes;
    this.#needRoom(jsonBytes, freedBytes);

    const events: RosterEvent[] = [];
    for (const id of replaced) events.push(this.#remove(id));
    if (before !== undefined) this.#leave(before);
    if (displaced !== null) events.push(this.#remove(info.id));
    const dialKey = info.dialKey ?? null;
    const spot = spotOf(info, registrant);
    const entry: Entry = { node, json, jsonBytes, owner, place, registrant, dialKey, spot, remote: null };
    this.#entries.set(info.id, entry);
    // The daemon does not dial an agent that opens the connections itself.
    if (dialKey === null && !isReachedBack(info, registrant)) this.#doubles.enter(entry.spot, info.id);
    this.#jsonBytes += jsonBytes;
    this.#nodesJson = null;
    this.#idByPlace.set(place, info.id);
    this.#expiry.delete(info.id);
    this.#lastIds.set(owner, info.id);
    events.push({ event: 'node_joined', node });
    if (displaced !== null) events.push(...this.#addRemote(displaced));
    return events;
  }

  /**
   * Changes the fields of the caller's node.
   *
   * @returns the push for subscribers of updates; null if nothing has changed
   * @throws RpcError if the connection owns no node, or the roster is full; nothing has changed then
   */
  update(owner: Owner, change: DetailsChange, now: Moment): NodeUpdated | null {
    const id = this.#ownedId(owner);
    if (id === null) throw new RpcError('No node is registered on this connection');
    const entry = this.#entries.get(id) as Entry;
    const { node, changed } = applyDetails(entry.node, change, toSeconds(now));
    if (Object.keys(changed).length === 0) return null;
    const encoded = encode(node);
    this.#needRoom(encoded.jsonBytes, entry.jsonBytes);
    this.#replace(entry, node, encoded);
    return { event: 'node_updated', id, ...changed };
  }

  /**
   * Notes how the daemon has opened a connection to the agent, or that it could not.
   *
   * @param why why it could not, as a sentence; null if there is nothing to say
   * @returns the push for subscribers of updates; null if nothing has changed
   */
  noteReach(id: string, reach: Reach, why: string | null, now: Moment): NodeUpdated | null {
    const entry = this.#entries.get(id);
    // How a node of another hub is reached, that hub says.
    if (entry === undefined || entry.remote !== null) return null;
    // Every dial of a relay comes here, and most say nothing new.
    if (entry.node.reach === reach && (entry.node.reach_error ?? null) === why) return null;
    const { reach_error = null, ...rest } = entry.node;
    const changed: Omit<NodeUpdated, 'event' | 'id'> = {};
    if (rest.reach !== reach) Object.assign(changed, { reach, reach_since: toSeconds(now) });
    if (reach_error !== why) changed.reach_error = why;
    const node: Node = { ...rest, ...(changed as Partial<Node>) };
    if (why === null) delete node.reach_error;
    else node.reach_error = why;
    this.#replace(entry, node, encode(node));
    return { event: 'node_updated', id, ...changed };
  }

  /**
   * A connection that has registered may deregister only its own node, and no node once its own was taken over. A
   * connection that never registered may deregister any node that registered here.
   *
   * @throws RpcError if the caller may not deregister that node
   */
  deregister(caller: Owner, id: string): { status: Deregistration; events: RosterEvent[] } {
    const lastId = this.#lastIds.get(caller);
    const entry = this.#entries.get(id);
    if (lastId !== undefined && (lastId !== id || (entry !== undefined && entry.owner !== caller))) {
      throw new RpcError('Unauthorized: cannot deregister another node');
    }
    if (entry === undefined) return { status: 'not_found', events: [] };
    if (entry.remote !== null) throw new RpcError('Unauthorized: cannot deregister a node of another machine');
    return { status: 'deregistered', events: [this.#remove(id)] };
  }

  /** Takes the node of a connection that has ended offline. The node is removed after the TTL. */
  disconnect(owner: Owner, now: Moment): RosterEvent[] {
    const id = this.#ownedId(owner);
    if (id === null) return [];
    const entry = this.#entries.get(id) as Entry;
    this.#doubles.leave(entry.spot, id);
    const seconds = toSeconds(now);
    entry.owner = null;
    const node = { ...entry.node, status: NodeStatus.OFFLINE, offline_since: seconds, last_seen: seconds };
    this.#replace(entry, node, encode(node));
    this.#expiry.set(id, now.steadyMs + this.#limits.nodeTtlMs);
    return [{ event: 'node_offline', id }];
  }

  /** Removes the nodes that have been offline for the TTL. */
  expire(now: Moment): RosterEvent[] {
    const events: RosterEvent[] = [];
    for (const [id, expiresAt] of this.#expiry) {
      if (expiresAt > now.steadyMs) break;
      events.push(this.#remove(id));
    }
    return events;
  }

  /** Whether the connection has ever registered a node. */
  hasRegistered(owner: Owner): boolean {
    return this.#lastIds.has(owner);
  }

  /**
   * Another hub says what has become of its nodes. A node that does not fit is left out, even if it was in the roster
   * before and has only grown.
   *
   * @param put new nodes, and nodes that have changed, whole
   * @param gone ids on the other hub; null if all nodes are gone that are not put
   * @returns the changes in order, and how many nodes were left out
   */
  share(
    hub: SharingHub,
    put: readonly RemoteNode[],
    gone: readonly string[] | null,
  ): { changes: RosterChange[]; leftOut: number } {
    const changes: RosterChange[] = [];
    const removeRemote = (idThere: string) => {
      const id = hub.ids.get(idThere);
      if (id !== undefined) changes.push(this.#remove(id));
    };
    if (gone === null) {
      const stay = new Set(put.map(({ node }) => node.id));
      for (const idThere of [...hub.ids.keys()]) if (!stay.has(idThere)) removeRemote(idThere);
    } else {
      gone.forEach(removeRemote);
    }
    let leftOut = 0;
    for (const { node, path } of put) {
      const caused = this.#putRemote({ hub, node, path });
      if (caused !== null) {
        changes.push(...caused);
      } else {
        leftOut++;
        removeRemote(node.id);
      }
    }
    return { changes, leftOut };
  }

  /** The names by which the machines of a hub's nodes are known have perhaps changed. */
  relabel(hub: SharingHub, nameOf: (path: readonly string[]) => string): RosterChange[] {
    return [...hub.ids.values()].flatMap((id) => {
      const entry = this.#entries.get(id) as Entry;
      const remote = entry.remote as Remote;
      const name = nameOf(remote.path);
      if (remote.node.hub === name) return [];
      entry.remote = { ...remote, node: { ...remote.node, hub: name } };
      return this.#show(entry, shownNode(entry.remote, id));
    });
  }

  /**
   * The way to another hub, over which its nodes are reached, is not proven any more, or is again.
   *
   * @param unproven null if it is, and what the hub says of its nodes' `reach` holds again
   */
  noteLink(hub: SharingHub, unproven: Unproven | null): RosterChange[] {
    if (hub.unproven?.why === unproven?.why) return [];
    hub.unproven = unproven;
    return [...hub.ids.values()].flatMap((id) => {
      const entry = this.#entries.get(id) as Entry;
      return this.#show(entry, shownNode(entry.remote as Remote, id));
    });
  }

  get(id: string): Node | null {
    return this.#entries.get(id)?.node ?? null;
  }

  /** Of all nodes, in the order in which they first came. */
  ids(): Iterable<string> {
    return this.#entries.keys();
  }

  addressOf(id: string): AgentAddress | null {
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    const { machine, port } = entry.node;
    const { owner, registrant, dialKey, spot, remote } = entry;
    return { owner, machine, port, registrant, dialKey, remote, hasDouble: this.#doubles.has(spot, id) };
  }

  /** The roster as a JSON array, in the order of the nodes' first registrations. */
  get nodesJson(): string {
    if (this.#nodesJson === null) {
      const nodes: string[] = [];
      for (const entry of this.#entries.values()) nodes.push(entry.json);
      this.#nodesJson = `[${nodes.join(',')}]`;
    }
    return this.#nodesJson;
  }

  /** The `init` push. */
  get initJson(): string {
    return encodeInit(this.nodesJson);
  }

  /** The length of `initJson` in bytes. It is computed without encoding, because every connection needs it. */
  get initBytes(): number {
    return EMPTY_INIT_BYTES + this.#jsonBytes + Math.max(0, this.size - 1);
  }

  #ownedId(owner: Owner): string | null {
    const id = this.#lastIds.get(owner);
    return id !== undefined && this.#entries.get(id)?.owner === owner ? id : null;
  }

  /** @throws RpcError if the nodes' JSON would be too long with these bytes added and freed */
  #needRoom(addedBytes: number, freedBytes: number): void {
    const { maxRosterBytes } = this.#limits;
    // A change that adds nothing is never refused.
    if (addedBytes > freedBytes && this.#jsonBytes + addedBytes - freedBytes > maxRosterBytes) {
      throw new RpcError(`The roster is full: ${maxRosterBytes} bytes`);
    }
  }

  /** @returns the changes; null if the node does not fit, and nothing has changed then */
  #putRemote(remote: Remote): RosterChange[] | null {
    const { hub } = remote;
    const id = hub.ids.get(remote.node.id);
    if (id === undefined) return this.#addRemote(remote, true);
    const entry = this.#entries.get(id) as Entry;
    const shown = shownNode(remote, id);
    const encoded = encode(shown);
    const addedBytes = encoded.jsonBytes - entry.jsonBytes;
    if (addedBytes > 0 && !this.#hasRoomFor(hub, 0, addedBytes)) return null;
    entry.remote = remote;
    return this.#show(entry, shown, encoded);
  }

  /** @param mustFit false for a node that was in the roster before; if true, null says that it does not fit */
  #addRemote(remote: Remote, mustFit: true): RosterEvent[] | null;
  #addRemote(remote: Remote, mustFit?: false): RosterEvent[];
  #addRemote(remote: Remote, mustFit = false): RosterEvent[] | null {
    const { hub, node } = remote;
    const isTaken = (id: string) => this.#entries.has(id);
    const id = isTaken(node.id) ? otherId(node.id, hub.name, isTaken) : node.id;
    if (id === null) return mustFit ? null : [];
    const shown = shownNode(remote, id);
    const encoded = encode(shown);
    if (mustFit && !this.#hasRoomFor(hub, 1, encoded.jsonBytes)) return null;
    this.#entries.set(id, { ...ELSEWHERE, ...encoded, node: shown, remote });
    hub.ids.set(node.id, id);
    this.#sharedCount++;
    this.#addBytes(hub, encoded.jsonBytes);
    return [{ event: 'node_joined', node: shown }];
  }

  #show(entry: Entry, node: Node, encoded = encode(node)): RosterChange[] {
    if (encoded.json === entry.json) return [];
    const changes = changesBetween(entry.node, node);
    if (changes.length > 0) this.#replace(entry, node, encoded);
    return changes;
  }

  #hasRoomFor(hub: SharingHub, nodes: number, bytes: number): boolean {
    const { maxNodes, maxRosterBytes } = this.#limits;
    return (
      this.#entries.size + nodes <= maxNodes &&
      this.#jsonBytes + bytes <= maxRosterBytes &&
      hub.ids.size + nodes <= maxNodes * PART_OF_A_HUB &&
      hub.jsonBytes + bytes <= maxRosterBytes * PART_OF_A_HUB &&
      this.#sharedCount + nodes <= maxNodes * PART_OF_ALL_HUBS &&
      this.#sharedBytes + bytes <= maxRosterBytes * PART_OF_ALL_HUBS
    );
  }

  /** @param hub null for a node that registered here */
  #addBytes(hub: SharingHub | null, bytes: number): void {
    this.#nodesJson = null;
    this.#jsonBytes += bytes;
    if (hub === null) return;
    this.#sharedBytes += bytes;
    hub.jsonBytes += bytes;
  }

  #replace(entry: Entry, node: Node, { json, jsonBytes }: Encoded): void {
    this.#addBytes(entry.remote?.hub ?? null, jsonBytes - entry.jsonBytes);
    entry.node = node;
    entry.json = json;
    entry.jsonBytes = jsonBytes;
  }

  #remove(id: string): RosterEvent {
    this.#leave(this.#entries.get(id) as Entry);
    this.#entries.delete(id);
    this.#expiry.delete(id);
    return { event: 'node_removed', id };
  }

  /** Forgets the bytes, place and spot of an entry that is about to be removed or replaced. */
  #leave(entry: Entry): void {
    const { remote } = entry;
    this.#addBytes(remote?.hub ?? null, -entry.jsonBytes);
    if (remote === null) {
      this.#idByPlace.delete(entry.place);
      this.#doubles.leave(entry.spot, entry.node.id);
    } else {
      remote.hub.ids.delete(remote.node.id);
      this.#sharedCount--;
    }
  }
}

/** @param nodesJson a JSON array of nodes */
export function encodeInit(nodesJson: string): string {
  return `{"event":"init","nodes":${nodesJson},"protocol_version":"${PROTOCOL_VERSION}"}`;
}

const EMPTY_INIT_BYTES = encodeInit('[]').length;

/** The node of a registration. It is active, whatever status the agent sent. */
function activeNode({ id, machine, cwd, port, pid, spawnId, details }: NodeInfo, now: Moment): Node {
  const seconds = toSeconds(now);
  const node: Node = { id, machine, cwd, port, status: NodeStatus.ACTIVE, last_seen: seconds };
  if (pid !== undefined) node.pid = pid;
  if (spawnId !== undefined) node.spawn_id = spawnId;
  return details === undefined ? node : applyDetails(node, details, seconds).node;
}

function encode(node: Node): Encoded {
  const json = JSON.stringify(node);
  return { json, jsonBytes: Buffer.byteLength(json) };
}

/** The machine and port, with the peer address, because two laptops may both be called ubuntu. */
function placeOf(info: NodeInfo, registrant: Registrant): string {
  // The port of such an agent says nothing: many agents behind one address may have the same port.
  if (isReachedBack(info, registrant)) return `back ${info.id}`;
  return `${info.port} ${registrant.address} ${info.machine}`;
}

/** Whether the agent opens the connections itself, and is not known to be on this machine. */
function isReachedBack({ dialBack }: NodeInfo, { isHere, namesHere }: Registrant): boolean {
  return dialBack === true && !(isHere && namesHere);
}

function spotOf({ port }: NodeInfo, { address }: Registrant): string {
  return `${port} ${address}`;
}

function toSeconds(now: Moment): number {
  return Math.floor(now.unixMs / 1000);
}
