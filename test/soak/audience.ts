/** The dashboards beside the one that watches: some stay, some come and go, some hardly read. */
import type { Node } from '../../src/protocol/registry.ts';
import { Dashboard } from './dashboard.ts';
import type { Faults } from './faults.ts';

const STEADY = 3;
/** Come every second, to stay for eight. */
const COMING = 2;
const STAY_SECONDS = 8;
/**
 * How long each slow one sleeps between two chunks, in milliseconds. The first fall a little behind for ever; those who
 * sleep long never catch up, are closed for it, and come back.
 */
const NAPS_MS = [300, 300, 300, 25_000, 25_000, 120_000];
const LONG_NAP_MS = 25_000;

export class Audience {
  readonly #port: number;
  readonly #faults: Faults;
  readonly #steady = new Set<Dashboard>();
  readonly #visitors: Dashboard[] = [];
  /** What wakes each slow one. */
  readonly #sleepers = new Set<() => void>();
  #over = false;
  /** Slow ones that were closed for not reading. */
  turnedOut = 0;
  visits = 0;
  #resyncs = 0;

  constructor(port: number, faults: Faults) {
    this.#port = port;
    this.#faults = faults;
  }

  get size(): number {
    return this.#steady.size + this.#visitors.length;
  }

  /** How often a slow one was brought up to date by a whole roster. */
  get resyncs(): number {
    let resyncs = this.#resyncs;
    for (const { inits } of this.#steady) resyncs += Math.max(0, inits - 1);
    return resyncs;
  }

  async come(): Promise<void> {
    await Promise.all([
      ...Array.from({ length: STEADY }, () => this.#open(0)),
      ...NAPS_MS.map((napMs) => this.#open(napMs)),
    ]);
  }

  /** Once a second: some come, and those who came first leave. */
  turnOver(): void {
    for (let i = 0; i < COMING; i++) {
      const visitor = new Dashboard(this.#faults);
      this.visits++;
      visitor.open(this.#port).then(() => this.#visitors.push(visitor), this.#faults.catch);
    }
    while (this.#visitors.length > COMING * STAY_SECONDS) this.#visitors.shift()?.leave(this.visits % 4 === 0);
  }

  /** The slow ones read on from now on. */
  wake(): void {
    this.#over = true;
    for (const wake of this.#sleepers) wake();
    this.#sleepers.clear();
  }

  /** How many of those present have another roster than this one. */
  disagreeing(nodes: ReadonlyMap<string, Node>): number {
    return [...this.#steady, ...this.#visitors].filter(({ roster }) => !isSame(roster, nodes)).length;
  }

  async #open(napMs: number): Promise<void> {
    const dashboard = new Dashboard(this.#faults);
    if (napMs >= LONG_NAP_MS) {
      dashboard.onTurnedOut = () => {
        this.turnedOut++;
        this.#steady.delete(dashboard);
        this.#resyncs += Math.max(0, dashboard.inits - 1);
        this.#open(napMs).catch(this.#faults.catch);
      };
    }
    const peer = await dashboard.open(this.#port);
    this.#steady.add(dashboard);
    if (napMs > 0 && !this.#over) this.#sleepers.add(peer.napAfterReads(napMs));
  }
}

export function isSame(roster: ReadonlyMap<string, Node>, nodes: ReadonlyMap<string, Node>): boolean {
  if (roster.size !== nodes.size) return false;
  for (const [id, node] of nodes) {
    const other = roster.get(id);
    if (other === undefined || told(other) !== told(node)) return false;
  }
  return true;
}

/** A node as dashboards are told it that did not subscribe to updates: how it was reached comes as an update alone. */
function told({ reach: _, reach_since: __, reach_error: ___, ...node }: Node): string {
  return JSON.stringify(node);
}
