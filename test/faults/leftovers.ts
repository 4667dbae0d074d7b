/** What a daemon in this process leaves behind once it is closed: timers, sockets, descriptors, listeners. */
import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, footprint } from '../support/measure.ts';

/** The wheel's timers keep no process alive, so `getActiveResourcesInfo` does not show them: they are told by who made them. */
const WHEEL = /transport\/deadlines\.js$/;

export class Leftovers {
  readonly #descriptors: number;
  readonly #resources: Record<string, number>;
  readonly #timers: Set<number>;
  readonly #warnings: Error[];
  readonly #stop: () => void;

  private constructor(descriptors: number, timers: Set<number>, warnings: Error[], stop: () => void) {
    this.#descriptors = descriptors;
    this.#resources = resources();
    this.#timers = timers;
    this.#warnings = warnings;
    this.#stop = stop;
  }

  /** Watches from now on. */
  static async watch(): Promise<Leftovers> {
    const timers = new Set<number>();
    const hook = createHook({
      init(id, type) {
        if (type === 'Timeout' && isCalledFrom(WHEEL)) timers.add(id);
      },
      destroy: (id) => void timers.delete(id),
    });
    const warnings: Error[] = [];
    // Node warns of emitters with more listeners than anyone should need.
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    hook.enable();
    return new Leftovers(await fewestDescriptors(), timers, warnings, () => {
      hook.disable();
      process.off('warning', onWarning);
    });
  }

  /** How many timers the wheel has: one at the most. */
  get timers(): number {
    return this.#timers.size;
  }

  /** The daemon is closed, and so is everything of the test's own. */
  async assertNone(): Promise<void> {
    await eventually(async () => {
      assert.equal(this.#timers.size, 0, 'a timer of the wheel');
      assert.deepEqual(resources(), this.#resources, 'sockets and servers');
      const { descriptors } = await footprint(process.pid);
      assert.ok(descriptors <= this.#descriptors, `${descriptors} descriptors, and ${this.#descriptors} before`);
    });
    this.#stop();
    assert.deepEqual(this.#warnings, []);
  }
}

/** Modules may be loading yet, each from a file that is open. */
async function fewestDescriptors(): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  for (let looks = 0; looks < 10; looks++) {
    fewest = Math.min(fewest, (await footprint(process.pid)).descriptors);
    await delay(20);
  }
  return fewest;
}

/** Tests make many timers, so the stack is looked at and not printed. */
function isCalledFrom(file: RegExp): boolean {
  const { prepareStackTrace } = Error;
  Error.prepareStackTrace = (_error, callSites) => callSites.some((site) => file.test(site.getFileName() ?? ''));
  try {
    return Boolean(new Error().stack);
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
  }
}

/** Sockets and servers that are open, by type. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const type of process.getActiveResourcesInfo()) {
    if (/^(TCP|Pipe|UDP)/.test(type)) counts[type] = (counts[type] ?? 0) + 1;
  }
  return counts;
}
