/**
 * Finds active agents that could be mistaken for one another. They registered from the same address with the same port
 * (behind NAT, for example), so a connection to that address and port may reach either of them. An agent with a
 * `dialKey` refuses connections that do not present it, so it is never mistaken for another.
 */
export class Doubles {
  /** The agent without a key in each spot, which is a port and an address. Nearly all spots have one agent. */
  readonly #keyless = new Map<string, string>();
  /** The other agents without a key, in the spots that have several. */
  readonly #others = new Map<string, Set<string>>();

  enter(spot: string, id: string): void {
    const first = this.#keyless.get(spot);
    if (first === undefined) {
      this.#keyless.set(spot, id);
    } else if (first !== id) {
      const others = this.#others.get(spot);
      if (others === undefined) this.#others.set(spot, new Set([id]));
      else others.add(id);
    }
  }

  leave(spot: string, id: string): void {
    const others = this.#others.get(spot);
    if (this.#keyless.get(spot) !== id) {
      others?.delete(id);
    } else if (others === undefined) {
      this.#keyless.delete(spot);
    } else {
      const [next] = others;
      this.#keyless.set(spot, next as string);
      others.delete(next as string);
    }
    if (others?.size === 0) this.#others.delete(spot);
  }

  /** Whether another agent in this spot would accept a connection meant for this one. */
  has(spot: string, id: string): boolean {
    const first = this.#keyless.get(spot);
    return first !== undefined && (first !== id || this.#others.has(spot));
  }
}
