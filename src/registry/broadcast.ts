/**
 * Sends the changes of the roster to all subscribers. Each change is encoded once, order is kept, and all changes of a
 * tick go out in one write.
 *
 *   event ───▶ pending ──(end of the tick)──▶ one Buffer ─▶ every subscriber's connection
 *   update ──▶    │                                └──────▶ or its backlog, while that is blocked
 *                 └──(with the updates)──▶ another Buffer ─▶ likewise, every subscriber that asked for updates
 *
 * All updates of a node within a tick are merged into one, unless another event of that node lies between them.
 *
 * A subscriber that does not read has a backlog: references to Buffers that all subscribers share, up to a byte budget.
 * Past the budget the backlog is dropped. Once the connection drains, the subscriber gets one fresh `init` instead: a
 * roster is state, so only the latest counts.
 */
import { encodeText } from '../frame/encode.ts';
import type { NodeUpdated, RosterEvent } from '../protocol/registry.ts';

/**
 * Takes a subscriber's bytes. The connection itself is passed, because with thousands of subscribers every object in
 * between costs time.
 */
export interface Receiver {
  /** True until the kernel has taken the last write. Then `Broadcast.drained` must be called. */
  readonly blocked: boolean;
  write(bytes: Buffer): void;
}

export interface Subscriber {
  /** Called when the subscriber's backlog is dropped. A fresh `init` follows once its connection has drained. */
  onLagging(): void;
}

/** The state of one subscriber. */
export class Subscription {
  readonly receiver: Receiver;
  readonly subscriber: Subscriber;
  /** True if the subscriber also gets the updates of nodes. */
  wantsUpdates = false;
  /** The number of updates that the subscriber's last `init` includes. */
  updatesInInit = 0;
  backlog: Buffer[] = [];
  backlogBytes = 0;
  /**
   * True if the subscriber is over its budget: it gets nothing until its connection drains, and then a fresh `init`.
   */
  lagging = false;

  constructor(receiver: Receiver, subscriber: Subscriber) {
    this.receiver = receiver;
    this.subscriber = subscriber;
  }
}

export interface BroadcastOptions {
  /** The largest backlog of one subscriber, in bytes. If an `init` is larger, the size of the `init` is the bound. */
  budgetBytes: number;
  /** The current size of an `init`, in bytes. */
  initBytes: () => number;
  /** Encodes an `init` of the current roster. */
  initFrame: () => Buffer;
  /** Runs a function once, at the end of the tick. */
  schedule: (flush: () => void) => void;
}

/**
 * The most bytes of a backlog in one write. Few writes are needed then, and a slow connection still shows progress
 * between them.
 */
const MAX_WRITE_BYTES = 256 * 1024;

export class Broadcast {
  readonly #options: BroadcastOptions;
  readonly #subscriptions = new Set<Subscription>();
  #pending: (RosterEvent | NodeUpdated)[] = [];
  /** The pending updates that a later update of the same node can be merged into, by node id. */
  readonly #openUpdates = new Map<string, NodeUpdated>();
  /** The number of updates so far. */
  #updates = 0;
  /** How many times a backlog was dropped for a fresh `init`. */
  resyncs = 0;

  constructor(options: BroadcastOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  publish(changes: readonly (RosterEvent | NodeUpdated)[]): void {
    for (const change of changes) {
      if (change.event === 'node_updated') {
        this.publishUpdate(change);
      } else {
        this.#add(change);
        this.#openUpdates.delete(change.event === 'node_joined' ? change.node.id : change.id);
      }
    }
  }

  publishUpdate(update: NodeUpdated): void {
    this.#updates++;
    const open = this.#openUpdates.get(update.id);
    if (open !== undefined) {
      Object.assign(open, update);
      return;
    }
    this.#add(update);
    this.#openUpdates.set(update.id, update);
  }

  /** Sends everything pending to the current subscribers. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const pending = this.#pending;
    const withUpdates = new Pushes(pending);
    const forAll = pending.some(isUpdate) ? new Pushes(pending.filter((push) => !isUpdate(push))) : withUpdates;
    this.#pending = [];
    this.#openUpdates.clear();
    for (const subscription of this.#subscriptions) {
      if (subscription.lagging) continue;
      const pushes = subscription.wantsUpdates ? withUpdates : forAll;
      if (pushes.isEmpty) continue;
      const { receiver } = subscription;
      if (!receiver.blocked && subscription.backlogBytes === 0) receiver.write(pushes.bytes);
      else this.#keep(subscription, pushes.waitingBytes);
    }
  }

  /** Adds a subscriber, which gets the roster now and every change from now on. */
  join(receiver: Receiver, subscriber: Subscriber): Subscription {
    // The new subscriber's roster already includes everything pending, so only the earlier subscribers get that.
    this.flush();
    const subscription = new Subscription(receiver, subscriber);
    this.#subscriptions.add(subscription);
    this.#sendInit(subscription);
    return subscription;
  }

  /**
   * Makes the subscriber get the updates of nodes too. If it has missed updates since its last `init`, it gets a fresh
   * `init` first.
   */
  sendUpdates(subscription: Subscription): void {
    if (subscription.wantsUpdates) return;
    // A fresh `init` would already include everything pending.
    this.flush();
    subscription.wantsUpdates = true;
    if (subscription.lagging || subscription.updatesInInit === this.#updates) return;
    // The fresh `init` includes the whole backlog.
    subscription.backlog = [];
    subscription.backlogBytes = 0;
    this.#sendInit(subscription);
  }

  leave(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    subscription.backlog = [];
    subscription.backlogBytes = 0;
  }

  /** Must be called when the kernel has taken everything that was written to the receiver. */
  drained(subscription: Subscription): void {
    if (subscription.lagging) {
      // This subscriber's `init` will include everything pending, so the others get that first.
      this.flush();
      subscription.lagging = false;
      this.#sendInit(subscription);
    } else {
      pump(subscription);
    }
  }

  #sendInit(subscription: Subscription): void {
    subscription.updatesInInit = this.#updates;
    subscription.receiver.write(this.#options.initFrame());
  }

  #add(push: RosterEvent | NodeUpdated): void {
    if (this.#pending.length === 0) this.#options.schedule(() => this.flush());
    this.#pending.push(push);
  }

  /** Adds to the backlog. Past the budget the backlog is dropped. */
  #keep(subscription: Subscription, bytes: Buffer): void {
    subscription.backlog.push(bytes);
    subscription.backlogBytes += bytes.length;
    const { budgetBytes, initBytes } = this.#options;
    if (subscription.backlogBytes > Math.max(budgetBytes, initBytes())) {
      // No byte of the frames in a backlog has been written, so dropping it cuts no frame.
      subscription.backlog = [];
      subscription.backlogBytes = 0;
      subscription.lagging = true;
      this.resyncs++;
      subscription.subscriber.onLagging();
    }
  }
}

/** Pushes that are sent together. They are encoded when the first subscriber needs them. */
class Pushes {
  readonly #pushes: readonly (RosterEvent | NodeUpdated)[];
  #bytes: Buffer | null = null;
  #waitingBytes: Buffer | null = null;

  constructor(pushes: readonly (RosterEvent | NodeUpdated)[]) {
    this.#pushes = pushes;
  }

  get isEmpty(): boolean {
    return this.#pushes.length === 0;
  }

  get bytes(): Buffer {
    this.#bytes ??= encodeAll(this.#pushes);
    return this.#bytes;
  }

  /** The same bytes, for backlogs. */
  get waitingBytes(): Buffer {
    this.#waitingBytes ??= copyOf(this.bytes);
    return this.#waitingBytes;
  }
}

function isUpdate({ event }: RosterEvent | NodeUpdated): boolean {
  return event === 'node_updated';
}

/** The frames are pushed, not mapped: V8 in Node 20 then compiles the flush once and not three times. */
function encodeAll(pushes: readonly (RosterEvent | NodeUpdated)[]): Buffer {
  const frames: Buffer[] = [];
  for (const push of pushes) frames.push(encodeText('server', JSON.stringify(push)));
  return frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames);
}

/**
 * Copies the bytes into memory of their own, once for all backlogs. A small Buffer is a part of Node's pool and keeps
 * the whole pool from being freed, so backlogs would hold many times the bytes that they are counted as.
 */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Writes the backlog until the receiver is blocked again. */
function pump(subscription: Subscription): void {
  const { receiver, backlog } = subscription;
  let written = 0;
  while (written < backlog.length && !receiver.blocked) {
    const from = written;
    let bytes = 0;
    do bytes += (backlog[written++] as Buffer).length;
    while (written < backlog.length && bytes + (backlog[written] as Buffer).length <= MAX_WRITE_BYTES);
    subscription.backlogBytes -= bytes;
    receiver.write(
      written - from === 1 ? (backlog[from] as Buffer) : Buffer.concat(backlog.slice(from, written), bytes),
    );
  }
  backlog.splice(0, written);
}
