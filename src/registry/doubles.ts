/**
 * Finds active agents that could be mistaken for one another. They registered from the same address with the same port
 * (behind NAT, for example), so a connection to that address and port may reach either of them. An agent with a
 * `dialKey` refuses connections that do not present it, so it is never mistaken for another.
 */
export class Doubles {
  /** The ids of the agents without a key, by their spot: port and address. */
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

  /** Whether another agent in this spot would accept a connection meant for this one. */
  has(spot: string, id: string): boolean {
    const ids = this.#keyless.get(spot);
    return ids !== undefined && ids.size > (ids.has(id) ? 1 : 0);
  }
}
