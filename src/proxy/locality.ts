/** The daemon's knowledge of its own machine, as it is now: laptops change their names and addresses. */
import os from 'node:os';
import { canonicalAddress, isLoopback, ownAddresses } from './address.ts';

/** Asking the system for its interfaces costs more than a relay does, so an answer is believed for this long. */
const BELIEVED_MS = 1000;

/** The origin of a registration, as it was judged at that moment. */
export interface Registrant {
  /** The peer address, canonical. */
  readonly address: string;
  /** It came from this machine. */
  readonly isHere: boolean;
  /** The agent's `machine` is a name of this machine. */
  readonly namesHere: boolean;
}

export interface LocalityOptions {
  /** In milliseconds, monotonic. */
  now: () => number;
  /** The port that the daemon itself listens on; null while it does not. */
  ownPort: () => number | null;
  /** Without a token anyone may register anything: only addresses that the agent is known to have are dialled. */
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

  /** @param peerAddress as the kernel tells it */
  judge(machine: string, peerAddress: string): Registrant {
    const address = canonicalAddress(peerAddress);
    return { address, isHere: this.isHere(address), namesHere: isNameOf(machine, os.hostname()) };
  }

  /** @param address canonical */
  isHere(address: string): boolean {
    return isLoopback(address) || this.#ownAddresses().has(address);
  }

  /** Whether a connection to there would come to the daemon itself. */
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

/** An empty name too is this machine's, while this machine has none. */
function isNameOf(machine: string, hostName: string): boolean {
  const name = machine.toLowerCase().replace(/\.$/, '');
  return name === 'localhost' || name.endsWith('.localhost') || name === hostName.toLowerCase();
}
