/**
 * The messages that tell an upper hub of this hub's roster: a snapshot first, and then what has changed. Pure: changes
 * and the time go in, the next message comes out when the link can take one.
 *
 *   SNAPSHOT ──(the last part)──▶ DELTAS ──(cut, and the upper hub still has what came before)──▶ DELTAS from there on
 *      ▲                             │
 *      └──(it has not, or it says that we are out of step)
 *
 * No message is kept for a link that is cut. For each node, also for those that are no more, we remember the number of
 * the message that told it last. Nodes with a higher number than the upper hub has seen are told again. So many changes
 * of a node cost one message, and a link that is slow or away costs no memory beyond a number for each node.
 */
import { HUB_LIMITS, type SharedMachine, type SharedNode } from '../protocol/hub.ts';
import type { Node } from '../protocol/registry.ts';

/** The roster, as far as it is shared. */
export interface SharedRoster {
  ids(): Iterable<string>;
  get(id: string): Node | null;
  /** The ids of the hubs that the node came through, that of its own hub first; empty for a node of this hub. */
  pathOf(id: string): readonly string[];
}

export interface ShareOptions {
  /** Random, one for each run of this hub. */
  readonly epoch: string;
  /** Of this hub. */
  readonly ownId: string;
  /** Null if nodes are not shared. */
  readonly roster: SharedRoster | null;
  /** All machines below, and this one. */
  readonly machines: () => SharedMachine[];
  /** The longest message, in bytes; one node may exceed it. Default `HUB_LIMITS.shareBytes`. */
  readonly maxBytes?: number;
}

/** The last message that an upper hub has taken. */
export interface SharePosition {
  readonly epoch: string;
  readonly seq: number;
}

/** A moment on two clocks. */
export interface ShareMoment {
  /** Unix seconds. */
  readonly unixSeconds: number;
  /** In milliseconds, on a clock that is never set. */
  readonly steadyMs: number;
}

/** How many nodes that are no more are remembered. A link that misses more of them gets a snapshot. */
const MAX_REMEMBERED_GONE = 10_000;

/** If so many changes wait, we look for those that need not be told. */
const MANY_CHANGES = 10_000;

/** Room for the names and numbers of a message around its nodes, in bytes. */
const FRAME_BYTES = 512;

export class Share {
  readonly #options: ShareOptions;
  readonly #maxBytes: number;
  /** The id of the upper hub; null until it is known. */
  #upperId: string | null = null;
  #seq = 0;
  /** The lowest number of the upper hub from which we can go on; Infinity until a snapshot is out. */
  #floor = Number.POSITIVE_INFINITY;
  /** The number of the first message of the last snapshot. */
  #snapshotFrom = 1;
  /** The ids that the snapshot in progress has still to tell; null between snapshots. */
  #snapshot: Iterator<string> | null = null;
  /** An id that did not fit in the last part of the snapshot. */
  #leftOver: string | null = null;
  readonly #changed = new Set<string>();
  /** How many changes may wait before we look at them. */
  #maxChanges = MANY_CHANGES;
  /** The number of the last message that had the node. */
  readonly #told = new Map<string, number>();
  /** The same for nodes that are no more, in that order. */
  readonly #gone = new Map<string, number>();
  /** The machines that were told last, without and with their numbers. */
  #machineFacts = '';
  #machineNumbers = '';
  #machinesToldAt = Number.NEGATIVE_INFINITY;

  constructor(options: ShareOptions) {
    this.#options = options;
    this.#maxBytes = (options.maxBytes ?? HUB_LIMITS.shareBytes) - FRAME_BYTES;
  }

  /** The number of the last message. */
  get seq(): number {
    return this.#seq;
  }

  /** How many changes wait. */
  get waiting(): number {
    return this.#changed.size;
  }

  /** The number of nodes that the upper hub has. */
  get size(): number {
    return this.#told.size;
  }

  /**
   * The link is up.
   *
   * @param held the last message that the upper hub has taken, if it still has the nodes; null if not
   */
  begin(upperId: string, held: SharePosition | null): void {
    const isSame = upperId === this.#upperId;
    this.#upperId = upperId;
    const { epoch } = this.#options;
    if (held !== null && isSame && held.epoch === epoch && held.seq >= this.#floor && held.seq <= this.#seq) {
      this.#resume(held.seq);
    } else {
      this.#restart();
    }
  }

  /**
   * The upper hub says that it cannot follow.
   *
   * @param seq of the message that it refused: those behind it are refused too, and one snapshot answers all of them
   * @returns whether a new snapshot begins
   */
  outOfStep(seq: number): boolean {
    if (seq < this.#snapshotFrom) return false;
    this.#restart();
    return true;
  }

  /** Starts a new snapshot. */
  #restart(): void {
    this.#snapshotFrom = this.#seq + 1;
    this.#floor = Number.POSITIVE_INFINITY;
    // Ids may come and go while the parts are on their way.
    this.#snapshot = [...(this.#options.roster?.ids() ?? [])].values();
    this.#leftOver = null;
    this.#changed.clear();
    this.#told.clear();
    this.#gone.clear();
    this.#machineFacts = '';
    this.#machineNumbers = '';
  }

  /** The node is new, has changed, or is no more. */
  note(id: string): void {
    // A snapshot follows once the upper hub is known.
    if (this.#options.roster === null || this.#upperId === null) return;
    this.#changed.add(id);
    if (this.#changed.size > this.#maxChanges) this.#forgetUntold();
  }

  /** While a link is away or slow, any number of nodes may come and go. */
  #forgetUntold(): void {
    for (const id of this.#changed) {
      if (!this.#told.has(id) && this.#options.roster?.get(id) === null) this.#changed.delete(id);
    }
    this.#maxChanges = Math.max(MANY_CHANGES, 2 * this.#changed.size);
  }

  /** Whether a node is shared with this upper hub now. */
  shares(id: string): boolean {
    return this.#read(id) !== null;
  }

  /**
   * The next message: the params of a `share`, as JSON.
   *
   * @returns null if there is nothing to tell
   */
  next(now: ShareMoment): string | null {
    if (this.#upperId === null) return null;
    const machines = this.#machines(now.steadyMs);
    return this.#snapshot === null ? this.#nextDelta(machines, now) : this.#nextPart(this.#snapshot, machines, now);
  }

  /** Returns to the upper hub's state after that message, and sends all later changes again. */
  #resume(seq: number): void {
    for (const [id, toldIn] of this.#told) if (toldIn > seq) this.#changed.add(id);
    for (const [id, toldIn] of this.#gone) {
      if (toldIn <= seq) continue;
      // The upper hub may still have it.
      this.#gone.delete(id);
      this.#told.set(id, toldIn);
      this.#changed.add(id);
    }
    this.#seq = seq;
    // Machines are few, and may have been in a message that was lost.
    this.#machineFacts = '';
    this.#machineNumbers = '';
  }

  #nextPart(ids: Iterator<string>, machines: string | null, now: ShareMoment): string {
    const seq = ++this.#seq;
    const put: string[] = [];
    let bytes = machines?.length ?? 0;
    let isWhole = false;
    for (;;) {
      const id = this.#leftOver ?? nextOf(ids);
      this.#leftOver = null;
      if (id === null) {
        isWhole = true;
        break;
      }
      const json = this.#read(id);
      if (json === null) {
        this.#changed.delete(id);
        continue;
      }
      bytes += Buffer.byteLength(json) + 1;
      if (bytes > this.#maxBytes && put.length > 0) {
        this.#leftOver = id;
        break;
      }
      put.push(json);
      this.#changed.delete(id);
      this.#told.set(id, seq);
    }
    if (isWhole) {
      this.#snapshot = null;
      this.#floor = seq;
    }
    return this.#encode(seq, now, machines, isWhole ? '"all":true' : '"all":true,"more":true', put, []);
  }

  #nextDelta(machines: string | null, now: ShareMoment): string | null {
    const seq = this.#seq + 1;
    const put: string[] = [];
    const gone: string[] = [];
    let bytes = machines?.length ?? 0;
    for (const id of this.#changed) {
      const json = this.#read(id);
      bytes += Buffer.byteLength(json ?? id) + 3;
      if (bytes > this.#maxBytes && put.length + gone.length > 0) break;
      this.#changed.delete(id);
      if (json !== null) {
        put.push(json);
        this.#told.set(id, seq);
        this.#gone.delete(id);
      } else if (this.#told.delete(id)) {
        gone.push(JSON.stringify(id));
        this.#remember(id, seq);
      }
    }
    // Nodes that came and went in between are not told.
    if (put.length === 0 && gone.length === 0 && machines === null) return null;
    this.#seq = seq;
    return this.#encode(seq, now, machines, '', put, gone);
  }

  #remember(id: string, seq: number): void {
    this.#gone.set(id, seq);
    if (this.#gone.size <= MAX_REMEMBERED_GONE) return;
    const [oldest] = this.#gone;
    if (oldest === undefined) return;
    this.#gone.delete(oldest[0]);
    this.#floor = Math.max(this.#floor, oldest[1]);
  }

  /** @returns the node as it is shared, as JSON; null if there is none for that upper hub */
  #read(id: string): string | null {
    const { roster, ownId } = this.#options;
    const node = roster?.get(id) ?? null;
    if (roster === null || node === null) return null;
    const path = [...roster.pathOf(id), ownId];
    // The upper hub has it already, or it has come too far.
    if (path.includes(this.#upperId as string) || path.length > HUB_LIMITS.path) return null;
    const shared: SharedNode = { ...node, path };
    return JSON.stringify(shared);
  }

  /** @returns the machines as JSON, if the upper hub must get them now */
  #machines(steadyMs: number): string | null {
    const upperId = this.#upperId as string;
    const machines = this.#options
      .machines()
      .filter(({ id, path }) => id !== upperId && !path.includes(upperId) && path.length <= HUB_LIMITS.path);
    const numbers = JSON.stringify(machines);
    if (numbers === this.#machineNumbers) return null;
    const facts = JSON.stringify(
      machines.map(({ id, name, version, features, path, lost }) => [id, name, version, features, path, lost]),
    );
    const isDue = steadyMs - this.#machinesToldAt >= HUB_LIMITS.loadIntervalMs;
    if (facts === this.#machineFacts && !isDue) return null;
    this.#machineFacts = facts;
    this.#machineNumbers = numbers;
    this.#machinesToldAt = steadyMs;
    return numbers;
  }

  #encode(
    seq: number,
    { unixSeconds }: ShareMoment,
    machines: string | null,
    flags: string,
    put: readonly string[],
    gone: readonly string[],
  ): string {
    const fields = [`"epoch":${JSON.stringify(this.#options.epoch)},"seq":${seq},"now":${unixSeconds}`];
    if (flags !== '') fields.push(flags);
    if (machines !== null) fields.push(`"machines":${machines}`);
    if (put.length > 0) fields.push(`"put":[${put.join(',')}]`);
    if (gone.length > 0) fields.push(`"gone":[${gone.join(',')}]`);
    return `{${fields.join(',')}}`;
  }
}

function nextOf(ids: Iterator<string>): string | null {
  const { done, value } = ids.next();
  return done === true ? null : value;
}
