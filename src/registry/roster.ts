/**
 * The roster joins the registry's state, its subscribers, and the one deadline at which offline nodes expire. Every
 * change passes through here, so subscribers get every change.
 */
import { encodeText } from '../frame/encode.ts';
import type { Node, NodeUpdated, Reach } from '../protocol/registry.ts';
import { Deadline, type Deadlines, type Expiring } from '../transport/deadlines.ts';
import { Broadcast, type Receiver, type Subscriber, type Subscription } from './broadcast.ts';
import type { DetailsChange } from './node-details.ts';
import type { NodeInfo } from './node-info.ts';
import {
  type AgentAddress,
  type Deregistration,
  encodeInit,
  type Moment,
  type Owner,
  type Registrant,
  Registry,
  type RosterChange,
} from './registry.ts';
import type { RemoteNode, SharingHub, Unproven } from './shared.ts';

export interface RosterOptions {
  nodeTtlMs: number;
  maxNodes: number;
  maxRosterBytes: number;
  backlogBudgetBytes: number;
  deadlines: Deadlines;
  /** Judges where a registration came from. The result is kept with the node. */
  judge: (machine: string, peerAddress: string) => Registrant;
  /** Called with every change, in order. */
  onEvent: (change: RosterChange) => void;
}

/** The roster that a connection gets when it registers. */
const EMPTY_INIT = encodeText('server', encodeInit('[]'));

export class Roster implements Expiring {
  readonly #options: RosterOptions;
  readonly #registry: Registry;
  readonly #broadcast: Broadcast;
  readonly #expiry = new Deadline(this);
  /** Kept until the roster changes, so a thousand dashboards that connect at once cost one encoding. */
  #initFrame: Buffer | null = null;

  constructor(options: RosterOptions) {
    this.#options = options;
    this.#registry = new Registry(options);
    this.#broadcast = new Broadcast({
      budgetBytes: options.backlogBudgetBytes,
      initBytes: () => this.#registry.initBytes,
      initFrame: () => this.#frame(),
      schedule: setImmediate,
    });
  }

  get size(): number {
    return this.#registry.size;
  }

  /** The number of nodes that registered here. */
  get localSize(): number {
    return this.#registry.localSize;
  }

  get nodesJson(): string {
    return this.#registry.nodesJson;
  }

  /** The size of an `init`, in bytes. It is computed without encoding, because every connection needs it. */
  get initBytes(): number {
    return this.#registry.initBytes;
  }

  get emptyInit(): Buffer {
    return EMPTY_INIT;
  }

  get resyncs(): number {
    return this.#broadcast.resyncs;
  }

  get(id: string): Node | null {
    return this.#registry.get(id);
  }

  /** Of all nodes, in the order in which they first came. */
  ids(): Iterable<string> {
    return this.#registry.ids();
  }

  /** The ids of the hubs that a node came through, the one that it registered with first; none if that is this one. */
  pathOf(id: string): readonly string[] {
    return this.#registry.addressOf(id)?.remote?.path ?? [];
  }

  /** See `Registry.hasRegistered`. */
  hasRegistered(owner: Owner): boolean {
    return this.#registry.hasRegistered(owner);
  }

  addressOf(id: string): AgentAddress | null {
    return this.#registry.addressOf(id);
  }

  /**
   * @param peerAddress the peer address of the connection that registers
   * @throws RpcError see `Registry.register`
   */
  register(owner: Owner, info: NodeInfo, peerAddress: string): void {
    const registrant = this.#options.judge(info.machine, peerAddress);
    this.#changed(this.#registry.register(owner, info, registrant, this.#now()));
  }

  /** @throws RpcError see `Registry.update` */
  update(owner: Owner, change: DetailsChange): void {
    this.#publishUpdate(this.#registry.update(owner, change, this.#now()));
  }

  /** See `Registry.noteReach`. */
  noteReach(id: string, reach: Reach, why: string | null = null): void {
    this.#publishUpdate(this.#registry.noteReach(id, reach, why, this.#now()));
  }

  /** @throws RpcError see `Registry.deregister` */
  deregister(caller: Owner, id: string): Deregistration {
    const { status, events } = this.#registry.deregister(caller, id);
    this.#changed(events);
    return status;
  }

  disconnect(owner: Owner): void {
    this.#changed(this.#registry.disconnect(owner, this.#now()));
    this.watchExpiry();
  }

  /** See `Registry.share`. @returns how many nodes were left out */
  share(hub: SharingHub, put: readonly RemoteNode[], gone: readonly string[] | null): number {
    const { changes, leftOut } = this.#registry.share(hub, put, gone);
    this.#changed(changes);
    return leftOut;
  }

  /** See `Registry.relabel`. */
  relabel(hub: SharingHub, nameOf: (path: readonly string[]) => string): void {
    this.#changed(this.#registry.relabel(hub, nameOf));
  }

  /** See `Registry.noteLink`. */
  noteLink(hub: SharingHub, unproven: Unproven | null): void {
    this.#changed(this.#registry.noteLink(hub, unproven));
  }

  subscribe(receiver: Receiver, subscriber: Subscriber): Subscription {
    return this.#broadcast.join(receiver, subscriber);
  }

  /** Makes the subscriber get the updates of nodes too. */
  sendUpdates(subscription: Subscription): void {
    this.#broadcast.sendUpdates(subscription);
  }

  unsubscribe(subscription: Subscription): void {
    this.#broadcast.leave(subscription);
  }

  drained(subscription: Subscription): void {
    this.#broadcast.drained(subscription);
  }

  onDeadline(): void {
    this.#changed(this.#registry.expire(this.#now()));
    this.watchExpiry();
  }

  close(): void {
    this.#options.deadlines.clear(this.#expiry);
  }

  /** Makes offline nodes expire, from now until `close`. */
  watchExpiry(): void {
    const { deadlines } = this.#options;
    const nextExpiry = this.#registry.nextExpiry;
    if (nextExpiry !== null) deadlines.set(this.#expiry, Math.max(0, nextExpiry - deadlines.now()));
  }

  #now(): Moment {
    return { unixMs: Date.now(), steadyMs: this.#options.deadlines.now() };
  }

  #publishUpdate(update: NodeUpdated | null): void {
    if (update !== null) this.#changed([update]);
  }

  #changed(changes: readonly RosterChange[]): void {
    if (changes.length === 0) return;
    this.#initFrame = null;
    this.#broadcast.publish(changes);
    for (const change of changes) this.#options.onEvent(change);
  }

  #frame(): Buffer {
    this.#initFrame ??= encodeText('server', this.#registry.initJson);
    return this.#initFrame;
  }
}
