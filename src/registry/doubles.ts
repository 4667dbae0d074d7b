/**
 * Active agents that could be mistaken for one another: they registered from the same address with the same port (behind
 * NAT, say), so whoever connects there may come to either. One that gave a `dialKey` refuses whoever does not know it, and
 * so is mistaken for nobody.
 */
export class Doubles {
  /** Ids of those without a key, by the spot. */
  readonly #keyless = new Map<string, Set<string>>();

  enter(spot: string, id: string): void {
    const ids = this.#keyless.get(spot);
    if (ids === undefined) this.#keyless.set(spot, new Set([id]));
    else ids.add(id);
  }

  leave(spot: string, id: string): void {
    const ids = this.#keyless.get(spot);
    if (ids?.delete(id) && ids.size === 0) this.#keyless.delete(spot);
  }

  /** Whether somebody else there would take whoever comes. */
  has(spot: string, id: string): boolean {
    const ids = this.#keyless.get(spot);
    return ids !== undefined && ids.size > (ids.has(id) ? 1 : 0);
  }
}
