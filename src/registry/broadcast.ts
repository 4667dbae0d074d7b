/**
 * Roster pushes: encoded once, written together, in order, to every subscriber.
 *
 *   event ───▶ pending ──(end of the tick)──▶ one Buffer ─▶ every subscriber's connection
 *   update ──▶    │                                └──────▶ or its backlog, while that is blocked
 *                 └──(with the updates)──▶ another Buffer ─▶ those that asked for updates, likewise
 *
 * Of all updates of a node within a tick one is sent, unless something else happened to the node in between.
 *
 * A subscriber that does not read costs a list of references to Buffers it shares with all others, up to a byte budget.
 * Past the budget the backlog is dropped: a roster is state, only its latest matters, and once the connection drains it
 * gets one fresh `init` in place of all it missed.
 */
import { encodeText } from '../frame/encode.ts';
import type { NodeUpdated, RosterEvent } from '../protocol/registry.ts';

/** Where a subscriber's bytes go. It is the connection itself, as among thousands each object on the way costs time. */
export interface Receiver {
  /** True while the last write is not out; `Broadcast.drained` is to be called when it is. */
  readonly blocked: boolean;
  write(bytes: Buffer): void;
}

export interface Subscriber {
  /** Its backlog was dropped; the next it gets, once it has drained, is a fresh `init`. */
  onLagging(): void;
}

/** One subscriber's place in the broadcast. */
export class Subscription {
  readonly receiver: Receiver;
  readonly subscriber: Subscriber;
  /** It also gets the updates of nodes. */
  wantsUpdates = false;
  /** How many updates there had been when it got its last `init`. */
  updatesInInit = 0;
  backlog: Buffer[] = [];
  backlogBytes = 0;
  /** Over its budget: it gets nothing until its connection drains, then a fresh `init`. */
  lagging = false;

  constructor(receiver: Receiver, subscriber: Subscriber) {
    this.receiver = receiver;
    this.subscriber = subscriber;
  }
}

export interface BroadcastOptions {
  /** What may wait for one subscriber, in bytes; never less than the `init` that would take its place. */
  budgetBytes: number;
  /** The size of the `init` of this moment. */
  initBytes: () => number;
  /** The `init` frame of this moment. */
  initFrame: () => Buffer;
  /** Runs a function once, at the end of the tick. */
  schedule: (flush: () => void) => void;
}

/** A backlog is joined up to so much a write: few writes to catch up, and a slow connection shows progress in between. */
const MAX_WRITE_BYTES = 256 * 1024;

export class Broadcast {
  readonly #options: BroadcastOptions;
  readonly #subscriptions = new Set<Subscription>();
  #pending: (RosterEvent | NodeUpdated)[] = [];
  /** The updates among them that a later one of the same node may still become part of. */
  readonly #openUpdates = new Map<string, NodeUpdated>();
  /** How many updates there have been in all. */
  #updates = 0;
  /** How often a backlog was dropped for a fresh `init`. */
  resyncs = 0;

  constructor(options: BroadcastOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  publish(events: readonly RosterEvent[]): void {
    for (const event of events) {
      this.#add(event);
      this.#openUpdates.delete(event.event === 'node_joined' ? event.node.id : event.id);
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

  /** Sends what is pending to those who are subscribed now. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    this.#openUpdates.clear();
    const events = pending.filter((push) => push.event !== 'node_updated');
    const forAll = new Pushes(events);
    const withUpdates = events.length === pending.length ? forAll : new Pushes(pending);
    for (const subscription of this.#subscriptions) {
      if (subscription.lagging) continue;
      const pushes = subscription.wantsUpdates ? withUpdates : forAll;
      if (pushes.isEmpty) continue;
      const { receiver } = subscription;
      if (!receiver.blocked && subscription.backlogBytes === 0) receiver.write(pushes.bytes);
      else this.#keep(subscription, pushes.waitingBytes);
    }
  }

  /** Sends the roster, and every change from now on. */
  join(receiver: Receiver, subscriber: Subscriber): Subscription {
    // What is pending is in the roster already: it belongs to those who were here before.
    this.flush();
    const subscription = new Subscription(receiver, subscriber);
    this.#subscriptions.add(subscription);
    this.#sendInit(subscription);
    return subscription;
  }

  /** Sends the updates of nodes too from now on, and a fresh roster if some were missed since the last. */
  sendUpdates(subscription: Subscription): void {
    if (subscription.wantsUpdates) return;
    // What is pending is in the fresh roster, if it gets one.
    this.flush();
    subscription.wantsUpdates = true;
    if (subscription.lagging || subscription.updatesInInit === this.#updates) return;
    // Nothing waits for it that is not in the fresh roster.
    subscription.backlog = [];
    subscription.backlogBytes = 0;
    this.#sendInit(subscription);
  }

  leave(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    subscription.backlog = [];
    subscription.backlogBytes = 0;
  }

  /** The subscription's connection has written all it had. */
  drained(subscription: Subscription): void {
    if (subscription.lagging) {
      // What is pending is in this `init` too: it goes to the others first.
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

  /** In its backlog, or, past the budget, in the `init` to come. */
  #keep(subscription: Subscription, bytes: Buffer): void {
    subscription.backlog.push(bytes);
    subscription.backlogBytes += bytes.length;
    const { budgetBytes, initBytes } = this.#options;
    if (subscription.backlogBytes > Math.max(budgetBytes, initBytes())) {
      // Whole frames, none of them begun: what else goes to the connection meanwhile finds no frame cut in two.
      subscription.backlog = [];
      subscription.backlogBytes = 0;
      subscription.lagging = true;
      this.resyncs++;
      subscription.subscriber.onLagging();
    }
  }
}

/** Frames that leave together, encoded when the first subscriber needs them. */
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

  /** The same, for those that have to wait. */
  get waitingBytes(): Buffer {
    this.#waitingBytes ??= copyOf(this.bytes);
    return this.#waitingBytes;
  }
}

function encodeAll(pushes: readonly (RosterEvent | NodeUpdated)[]): Buffer {
  const frames = pushes.map((push) => encodeText('server', JSON.stringify(push)));
  return frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames);
}

/**
 * One for all who have to wait. A small Buffer is part of Node's pool, all of which it would keep from being freed: backlogs
 * would hold many times what they are counted as.
 */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Writes from the backlog until the receiver is blocked again. */
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
