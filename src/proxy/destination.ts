/**
 * Where is this agent? From what it said of itself (`machine`), and from where it said it, to the addresses to dial.
 *
 *   machine                                 it registered from this machine      … from elsewhere
 *   ─────────────────────────────────────── ──────────────────────────────────── ─────────────────────────
 *   localhost, this machine's own name      loopback, then where it came from     where it came from
 *   a loopback or own address               that address                          where it came from
 *   another name or address                 what it resolves to                   what it resolves to
 *   a name that does not resolve            where it came from, but not loopback  where it came from
 *
 * A loopback address means another machine on every machine, and two laptops may both be called ubuntu. An agent that
 * came through a tunnel or a proxy on this machine came from loopback, where somebody else listens.
 */
import { isIP } from 'node:net';
import { canonicalAddress, isLoopback } from './address.ts';
import { DialError } from './error.ts';

export interface Target {
  machine: string;
  port: number;
  /** The peer address the agent registered from. */
  registeredFrom: string;
}

/** What the daemon knows of the machine it runs on. */
export interface Locality {
  hostName: string;
  ownAddresses: ReadonlySet<string>;
  /** The ports the daemon itself listens on. */
  ownPorts: ReadonlySet<number>;
  /** Without a token anyone may register anything: only addresses where the agent is known to be are dialled. */
  onlyWhereRegistered: boolean;
}

/**
 * @param lookUp resolves a name to addresses, in the order to try them; [] where it does not resolve
 * @returns canonical addresses, at least one
 * @throws DialError where there is none to dial
 */
export async function findDestination(
  target: Target,
  locality: Locality,
  lookUp: (name: string) => Promise<readonly string[]>,
): Promise<string[]> {
  const from = canonicalAddress(target.registeredFrom);
  const isHere = (address: string) => isLoopback(address) || locality.ownAddresses.has(address);
  const fromHere = isHere(from);
  const machine = canonicalAddress(target.machine);

  let addresses: readonly string[];
  if (isNameOfThisMachine(machine, locality.hostName)) {
    addresses = fromHere ? ['127.0.0.1', '::1', from] : [from];
  } else if (isIP(machine) !== 0) {
    addresses = [machine];
  } else {
    addresses = machine === '' ? [] : (await lookUp(machine)).map(canonicalAddress);
    if (addresses.length === 0) {
      if (isLoopback(from)) throw new DialError('Cannot resolve agent: its machine name is unknown here');
      addresses = [from];
    }
  }
  // Also a name, or a number, that turns out to be this machine.
  const meant = new Set(addresses.map((address) => (isHere(address) && !fromHere ? from : address)));

  const known = [...meant].filter(
    (address) => !locality.onlyWhereRegistered || address === from || (fromHere && isHere(address)),
  );
  if (known.length === 0) {
    throw new DialError('Cannot reach agent: without a token, only where it registered from');
  }
  const others = known.filter((address) => !(isHere(address) && locality.ownPorts.has(target.port)));
  if (others.length === 0) throw new DialError('Cannot reach agent: its address is the hypivisor itself');
  return others;
}

function isNameOfThisMachine(machine: string, hostName: string): boolean {
  const name = machine.toLowerCase().replace(/\.$/, '');
  return name === 'localhost' || name.endsWith('.localhost') || name === hostName.toLowerCase();
}
