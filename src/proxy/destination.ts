/**
 * Decides at which addresses an agent may be, by the agent's name for its machine and the address it registered from.
 *
 *   machine                                 it registered from this machine      … from elsewhere
 *   ─────────────────────────────────────── ──────────────────────────────────── ─────────────────────────
 *   localhost, this machine's own name      loopback, then where it came from     where it came from (a guess)
 *   a loopback or own address               that address                          where it came from (a guess)
 *   another name or address                 what it resolves to                   what it resolves to
 *   a name that does not resolve            where it came from, but not loopback  where it came from (a guess)
 *
 * A loopback address means a different machine on every machine, and two laptops may both be called ubuntu. An agent
 * that came through a tunnel or a proxy on this machine came from loopback, where another program may listen on its
 * port.
 *
 * Name and address are judged when the agent registers, because a laptop gets another name in another network, and its
 * agents stay there.
 *
 * Several machines may share an address (NAT). If an address is only a guess, and another agent registered from the
 * same address with the same port, the guess may lead to the other agent. It is dialled only if that agent is sure to
 * refuse.
 */
import { canonicalAddress, isIp, isLoopback } from './address.ts';
import { DialError } from './error.ts';
import type { Registrant } from './locality.ts';
import type { WayBack } from './way-back.ts';

export interface Target {
  readonly machine: string;
  readonly port: number;
  /** The path to ask for, if it is another hub that leads to the agent. */
  readonly path?: string;
  readonly registrant: Registrant;
  /** Whether another agent, which would not refuse the daemon, registered from the same address with the same port. */
  readonly hasDouble: boolean;
  /** The agent's way back; null if it offers none. */
  readonly wayBack: WayBack | null;
}

/** Whether the agent is known to be on this machine. Then it is dialled even if it offers a way back. */
export function isNextDoor({ registrant }: Target): boolean {
  return registrant.isHere && registrant.namesHere;
}

/** The facts about this machine that the addresses depend on. */
export interface Surroundings {
  isHere(address: string): boolean;
  isOwn(address: string, port: number): boolean;
  readonly onlyWhereRegistered: boolean;
}

const LOOPBACK = ['127.0.0.1', '::1'];

/**
 * @returns at least one canonical address; null if the agent's `machine` is a name that must be looked up first, for
 *   `addressesOfName`
 * @throws DialError if the agent cannot be dialled
 */
export function addressesOf(target: Target, surroundings: Surroundings): readonly string[] | null {
  const { address: from, isHere, namesHere } = target.registrant;
  if (namesHere) {
    if (!isHere) return permitted(target, surroundings, [from], true);
    return permitted(target, surroundings, isLoopback(from) ? loopbackAnd(from) : [...LOOPBACK, from], false);
  }
  const machine = canonicalAddress(target.machine);
  if (machine === '') return guess(target, surroundings, UNKNOWN_NAME);
  return isIp(machine) ? meant(target, surroundings, [machine]) : null;
}

/**
 * @param found the addresses of the name, in the order to try them; [] if it does not resolve, null if there was no
 *   answer in time
 * @returns at least one canonical address
 * @throws DialError if the agent cannot be dialled
 */
export function addressesOfName(
  target: Target,
  surroundings: Surroundings,
  found: readonly string[] | null,
): readonly string[] {
  if (found === null) return guess(target, surroundings, 'Cannot resolve agent: timed out');
  if (found.length === 0) return guess(target, surroundings, UNKNOWN_NAME);
  return meant(target, surroundings, found.map(canonicalAddress));
}

const UNKNOWN_NAME = 'Cannot resolve agent: its machine name is unknown here';

/** The only known address is the one that the agent registered from. */
function guess(target: Target, surroundings: Surroundings, sentence: string): readonly string[] {
  const { address: from } = target.registrant;
  if (isLoopback(from)) throw new DialError(sentence);
  return permitted(target, surroundings, [from], true);
}

/** If an agent elsewhere names an address that is also this machine's, it means its own machine. */
function meant(target: Target, surroundings: Surroundings, addresses: readonly string[]): readonly string[] {
  const { registrant, hasDouble } = target;
  const others = addresses.filter((address) => !surroundings.isHere(address));
  if (registrant.isHere || others.length === addresses.length) {
    return permitted(target, surroundings, unique(addresses), false);
  }
  if (hasDouble && others.length > 0) return permitted(target, surroundings, unique(others), false);
  const guessed = addresses.map((address) => (surroundings.isHere(address) ? registrant.address : address));
  return permitted(target, surroundings, unique(guessed), true);
}

function permitted(
  { port, registrant, hasDouble }: Target,
  surroundings: Surroundings,
  addresses: readonly string[],
  isGuess: boolean,
): readonly string[] {
  const { address: from, isHere } = registrant;
  if (isGuess && hasDouble) {
    throw new DialError(
      'Cannot reach agent: another came from the same address and port, and they cannot be told apart',
    );
  }
  let known = addresses;
  if (surroundings.onlyWhereRegistered) {
    known = addresses.filter((address) => address === from || (isHere && surroundings.isHere(address)));
    if (known.length === 0) {
      throw new DialError('Cannot reach agent: without a token, only where it registered from');
    }
  }
  const others = known.filter((address) => !surroundings.isOwn(address, port));
  if (others.length === 0) throw new DialError('Cannot reach agent: its address is the hypivisor itself');
  return others;
}

function loopbackAnd(from: string): readonly string[] {
  return LOOPBACK.includes(from) ? LOOPBACK : [...LOOPBACK, from];
}

function unique(addresses: readonly string[]): readonly string[] {
  return addresses.length === 1 ? addresses : [...new Set(addresses)];
}
