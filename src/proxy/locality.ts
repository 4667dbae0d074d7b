/** The daemon's current knowledge of its own machine. Laptops change their names and addresses. */
import os from 'node:os';
import { canonicalAddress, isLoopback, ownAddresses } from './address.ts';

/** How long the system's list of interfaces is reused. Reading it costs more than a relay. */
const BELIEVED_MS = 1000;

/** Where a registration came from, judged when it came. */
export interface Registrant {
  /** The canonical peer address. */
  readonly address: string;
  /** Whether the registration came from this machine. */
  readonly isHere: boolean;
  /** Whether the agent's `machine` is a name of this machine. */
  readonly namesHere: boolean;
}

export interface LocalityOptions {
  /** The time on a monotonic clock, in milliseconds. */
  now: () => number;
  /** The port that the daemon itself listens on; null while it does not listen. */
  ownPort: () => number | null;
  /** True without a token. Anyone may register then, so only addresses that the agent is known to have are dialled. */
  onlyWhereRegistered: boolean;
}

export class Locality {
  readonly #options: LocalityOptions;
  #addresses: ReadonlySet<string> = new Set();
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(options: LocalityOptions) {
    this.#options = options;
  }

  get onlyWhereRegistered(): boolean {
    return this.#options.onlyWhereRegistered;
  }

  /** @param peerAddress the peer address from the kernel */
  judge(machine: string, peerAddress: string): Registrant {
    const address = canonicalAddress(peerAddress);
    return { address, isHere: this.isHere(address), namesHere: isNameOf(machine, os.hostname()) };
  }

  /** @param address a canonical address */
  isHere(address: string): boolean {
    return isLoopback(address) || this.#ownAddresses().has(address);
  }

  /** Whether a connection to this address and port would reach the daemon itself. */
  isOwn(address: string, port: number): boolean {
    return this.#options.ownPort() === port && this.isHere(address);
  }

  #ownAddresses(): ReadonlySet<string> {
    const now = this.#options.now();
    if (now - this.#askedAt >= BELIEVED_MS) {
      this.#addresses = ownAddresses();
      this.#askedAt = now;
    }
    return this.#addresses;
  }
}

/** Whether the name is this machine's. An empty name is, if this machine has no name. */
function isNameOf(machine: string, hostName: string): boolean {
  const name = machine.toLowerCase().replace(/\.$/, '');
  return name === 'localhost' || name.endsWith('.localhost') || name === hostName.toLowerCase();
}
