/**
 * Roster pushes: encoded once, written together, in order, to every subscriber.
 *
 *   event ─▶ pending ──(end of the tick)──▶ one Buffer ─▶ every subscriber's connection
 *                                                └──────▶ or its backlog, while that is blocked
 *
 * A subscriber that does not read costs a list of references to Buffers it shares with all others, up to a byte budget.
 * Past the budget the backlog is dropped: a roster is state, only its latest matters, and once the connection drains it
 * gets one fresh `init` in place of all it missed.
 */
import { encodeText } from '../frame/encode.ts';
import type { RosterEvent } from '../protocol/registry.ts';

/** Where a subscriber's bytes go: its connection itself, for among thousands each object on the way is one more to fetch. */
export interface Outlet {
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
  readonly outlet: Outlet;
  readonly subscriber: Subscriber;
  backlog: Buffer[] = [];
  backlogBytes = 0;
  /** Over its budget: it gets nothing until its connection drains, then a fresh `init`. */
  lagging = false;

  constructor(outlet: Outlet, subscriber: Subscriber) {
    this.outlet = outlet;
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
  #pending: Buffer[] = [];
  /** How often a backlog was dropped for a fresh `init`. */
  resyncs = 0;

  constructor(options: BroadcastOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  publish(events: readonly RosterEvent[]): void {
    if (events.length === 0) return;
    if (this.#pending.length === 0) this.#options.schedule(() => this.flush());
    for (const event of events) this.#pending.push(encodeText('server', JSON.stringify(event)));
  }

  /** Sends what is pending to those who are subscribed now. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = this.#pending.length === 1 ? (this.#pending[0] as Buffer) : Buffer.concat(this.#pending);
    this.#pending = [];
    let waiting: Buffer | null = null;
    for (const subscription of this.#subscriptions) {
      if (subscription.lagging) continue;
      const { outlet } = subscription;
      if (!outlet.blocked && subscription.backlogBytes === 0) {
        outlet.write(bytes);
      } else {
        waiting ??= copyOf(bytes);
        this.#keep(subscription, waiting);
      }
    }
  }

  /** Sends the roster, and every change from now on. */
  join(outlet: Outlet, subscriber: Subscriber): Subscription {
    // What is pending is in the roster already: it belongs to those who were here before.
    this.flush();
    const subscription = new Subscription(outlet, subscriber);
    this.#subscriptions.add(subscription);
    outlet.write(this.#options.initFrame());
    return subscription;
  }

  leave(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    subscription.backlog = [];
    subscription.backlogBytes = 0;
  }

  /** The outlet's connection has written all it had. */
  drained(subscription: Subscription): void {
    if (subscription.lagging) {
      // What is pending is in this `init` too: it goes to the others first.
      this.flush();
      subscription.lagging = false;
      subscription.outlet.write(this.#options.initFrame());
    } else {
      pump(subscription);
    }
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

/**
 * One for all who have to wait. A small Buffer is part of Node's pool, all of which it would keep from being freed: backlogs
 * would hold many times what they are counted as.
 */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Writes from the backlog until the outlet is blocked again. */
function pump(subscription: Subscription): void {
  const { outlet, backlog } = subscription;
  let written = 0;
  while (written < backlog.length && !outlet.blocked) {
    const from = written;
    let bytes = 0;
    do bytes += (backlog[written++] as Buffer).length;
    while (written < backlog.length && bytes + (backlog[written] as Buffer).length <= MAX_WRITE_BYTES);
    subscription.backlogBytes -= bytes;
    outlet.write(written - from === 1 ? (backlog[from] as Buffer) : Buffer.concat(backlog.slice(from, written), bytes));
  }
  backlog.splice(0, written);
}
