/**
 * The nodes of other hubs, as the registry keeps them: each belongs to the hub that shares it, and only that hub
 * changes it. Pure.
 *
 *   what a hub says ──(readSharedNode)──▶ RemoteNode ──(shownNode)──▶ Node, under an id that is free in this roster
 */
import { type Node, NodeStatus, type NodeUpdated, Reach, type RosterEvent } from '../protocol/registry.ts';

/** How many ids are tried for a node whose own one is taken. */
const MAX_ID_TRIES = 1000;

/** A node as another hub shares it. */
export interface RemoteNode {
  /** Its times are on this daemon's clock, and `hub` is the name by which its machine is known here. */
  readonly node: Node;
  /** The ids of the hubs it came through, the one that it registered with first. */
  readonly path: readonly string[];
}

export interface Unproven {
  /** Unix seconds. */
  readonly since: number;
  /** As a client would be told: `Cannot reach agent: …`. */
  readonly why: string;
}

/** The registry's state of one hub. It is compared by identity. */
export class SharingHub {
  readonly id: string;
  /** The name by which it is known here. */
  name: string;
  /** From the ids of its nodes there to their ids here. */
  readonly ids = new Map<string, string>();
  /** Of its nodes' JSON. */
  jsonBytes = 0;
  /** Why the way to it, and so to its nodes, is not proven; null if what it says of its nodes holds. */
  unproven: Unproven | null = null;

  constructor(id: string, name: string) {
    this.id = id;
    this.name = name;
  }
}

/** Where a node is that another hub shares. */
export interface Remote extends RemoteNode {
  readonly hub: SharingHub;
}

/** The node as this roster shows it. */
export function shownNode({ node, hub: { unproven } }: Remote, id: string): Node {
  const shown = { ...node, id };
  if (unproven === null || node.reach === Reach.UNPROVEN) return shown;
  const { since, why } = unproven;
  return { ...shown, reach: Reach.UNPROVEN, reach_since: since, reach_error: why };
}

/**
 * An id for a node whose own one is taken: `<id>@<hub>`, or with a number behind it.
 *
 * @returns null if a thousand of them are taken
 */
export function otherId(id: string, hubName: string, isTaken: (id: string) => boolean): string | null {
  const named = `${id}@${hubName}`;
  for (let n = 1; n <= MAX_ID_TRIES; n++) {
    const tried = n === 1 ? named : `${named}-${n}`;
    if (!isTaken(tried)) return tried;
  }
  return null;
}

/** A change of these is a new registration; of the others an update. */
const IDENTITY = ['machine', 'cwd', 'port', 'pid', 'spawn_id', 'status', 'last_seen'] as const;
const NOTHING: ReadonlySet<string> = new Set();
/** Changes of these go without saying when a node goes offline. */
const OFFLINE_FIELDS: ReadonlySet<string> = new Set(['status', 'offline_since', 'last_seen']);

/** The events for clients when a node changes from one state to another. */
export function changesBetween(before: Node, after: Node): (RosterEvent | NodeUpdated)[] {
  const { id, status } = after;
  if (status === NodeStatus.ACTIVE) {
    const isNew = IDENTITY.some((field) => before[field] !== after[field]);
    return isNew ? [{ event: 'node_joined', node: after }] : updateBetween(before, after, NOTHING);
  }
  if (before.status === NodeStatus.OFFLINE) return updateBetween(before, after, NOTHING);
  return [{ event: 'node_offline', id }, ...updateBetween(before, after, OFFLINE_FIELDS)];
}

function updateBetween(before: Node, after: Node, unsaid: ReadonlySet<string>): NodeUpdated[] {
  const [old, fresh] = [before, after] as unknown as [Record<string, unknown>, Record<string, unknown>];
  const changed: Record<string, unknown> = {};
  let isSame = true;
  const note = (field: string, value: unknown) => {
    if (unsaid.has(field)) return;
    changed[field] = value;
    isSame = false;
  };
  for (const field in fresh) if (differ(old[field], fresh[field])) note(field, fresh[field]);
  for (const field in old) if (fresh[field] === undefined) note(field, null);
  return isSame ? [] : [{ event: 'node_updated', id: after.id, ...changed }];
}

/** Of values as JSON has them. Most fields are no objects, and there may be ten thousand nodes. */
function differ(one: unknown, other: unknown): boolean {
  if (one === other) return false;
  return typeof one !== 'object' || typeof other !== 'object' || JSON.stringify(one) !== JSON.stringify(other);
}
