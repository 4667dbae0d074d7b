/**
 * Names to addresses, with the system's own resolver (so that hosts files and search domains count).
 *
 * A look-up occupies a thread of Node's pool for as long as DNS takes. Look-ups of the same name are shared and their
 * number is bounded, so that dialling an unreachable name server cannot starve the pool.
 */
import { lookup } from 'node:dns/promises';
import { DialError } from './error.ts';

/** Libuv gives look-ups half of its four threads; more than this many would only queue there. */
const MAX_LOOKUPS = 32;

export class Resolver {
  readonly #underWay = new Map<string, Promise<readonly string[]>>();

  /**
   * @returns the addresses in the system's order; [] where the name does not resolve
   * @throws DialError where too many other names are being looked up
   */
  lookUp(name: string): Promise<readonly string[]> {
    const shared = this.#underWay.get(name);
    if (shared !== undefined) return shared;
    if (this.#underWay.size >= MAX_LOOKUPS) {
      return Promise.reject(new DialError('Cannot resolve agent: too many look-ups at once'));
    }
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
