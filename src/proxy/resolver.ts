/**
 * Names to addresses, with the system's own resolver (so that hosts files and search domains count).
 *
 * A look-up occupies a thread of Node's pool for as long as DNS takes. Look-ups of the same name are shared and their
 * number is bounded, so that dialling an unreachable name server cannot starve the pool.
 */
import { lookup } from 'node:dns/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { DialError } from './error.ts';

/** Libuv gives look-ups half of its four threads; more than this many would only queue there. */
const MAX_LOOKUPS = 32;

export class Resolver {
  readonly #underWay = new Map<string, Promise<readonly string[]>>();

  /**
   * @returns the addresses in the system's order; [] where the name does not resolve
   * @throws DialError where it takes longer, or where too many other names are being looked up
   */
  async lookUp(name: string, timeoutMs: number): Promise<readonly string[]> {
    if (!this.#underWay.has(name) && this.#underWay.size >= MAX_LOOKUPS) {
      throw new DialError('Cannot resolve agent: too many look-ups at once');
    }
    const timer = new AbortController();
    try {
      return await Promise.race([
        this.#share(name),
        delay(timeoutMs, null, { ref: false, signal: timer.signal }).then(() => {
          throw new DialError('Cannot resolve agent: timed out');
        }),
      ]);
    } finally {
      timer.abort();
    }
  }

  #share(name: string): Promise<readonly string[]> {
    const shared = this.#underWay.get(name);
    if (shared !== undefined) return shared;
    const looking = lookup(name, { all: true })
      .then(
        (found) => found.map(({ address }) => address),
        () => [],
      )
      .finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, looking);
    return looking;
  }
}
