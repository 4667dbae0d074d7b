/**
 * Proves the ways on which relays would dial: soon after an agent has registered, and now and then while it stays. A proof
 * is a bare TCP connection that is closed at once, to where a relay would connect, so that it costs an agent next to
 * nothing.
 *
 *   add ──▶ WAITING ──(its turn)──┬──(an address is known)──▶ KNOCKING at one address after another ──▶ RESTING
 *              ▲                  └──(a name)──▶ RESOLVING, one name at a time ──────▲                    │
 *              └──────────────────────(some minutes later; soon, if it was not reached)───────────────────┘
 *
 * However many agents come at once, only a few proofs begin in a second, those of new agents first, and results are told
 * in groups: each costs a new encoding of the roster.
 */
import { knock, type OnKnocked } from '../opening/knock.ts';
import type { Connections } from '../transport/connections.ts';
import { Deadline } from '../transport/deadlines.ts';
import { addressesOf, addressesOfName, type Surroundings, type Target } from './destination.ts';
import { HANDSHAKE_FAILED } from './dial.ts';
import { DialError } from './error.ts';
import type { LookUp, Resolver } from './resolver.ts';

/** So many proofs may begin in each of these intervals: fifty a second. */
const BEAT_MS = 100;
const BEGUN_A_BEAT = 5;
const MAX_KNOCKING = 16;
/** A look-up without an answer occupies a thread of Node's pool, which relays need too: there is one at a time. */
const LOOK_UP_MS = 30_000;
/** Results that come within so long are told together. */
const TOLD_EACH_MS = 1000;
/** The first pause after an agent was not reached; it doubles. */
const RETRY_MS = 15_000;
/** Pauses vary by so much either way, so that agents that came together are not proven together. */
const JITTER = 0.25;

export interface ProverLimits {
  /** For all addresses of one agent together. */
  readonly dialTimeoutMs: number;
  /** About how long a proof holds; Infinity for ever. */
  readonly proofIntervalMs: number;
}

export interface ProverContext {
  readonly connections: Connections;
  readonly resolver: Resolver;
  readonly surroundings: Surroundings;
  readonly limits: ProverLimits;
  /** @returns where a relay would dial it now; null if that registration is no more */
  readonly targetOf: (nodeId: string, registration: Registration) => Target | null;
  /** @param sentence why it was not reached; null if it was */
  readonly onProved: (nodeId: string, registration: Registration, sentence: string | null) => void;
}

/** Whoever registered the agent: compared by identity only. */
type Registration = object;

interface Result {
  readonly registration: Registration;
  readonly sentence: string | null;
}

export class Prover {
  readonly #context: ProverContext;
  readonly #proofs = new Map<string, Proof>();
  /** In the order in which they came: those that were never tried, and the others. */
  readonly #new = new Set<Proof>();
  readonly #again = new Set<Proof>();
  readonly #names = new Set<Proof>();
  readonly #beat = new Deadline({ onDeadline: () => this.#begin() });
  readonly #telling = new Deadline({ onDeadline: () => this.#tell() });
  readonly #results = new Map<string, Result>();
  readonly #onRested = (proof: Proof) => this.#wait(proof);
  #lookUp: LookUp | null = null;
  #knocking = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(context: ProverContext) {
    this.#context = context;
  }

  /** How many agents are proven, or are to be. */
  get size(): number {
    return this.#proofs.size;
  }

  /** The agent has registered, and relays to it dial. A proof for a former registration is given up. */
  add(nodeId: string, registration: Registration): void {
    this.#remove(nodeId);
    const proof = new Proof(nodeId, registration, this.#onRested);
    this.#proofs.set(nodeId, proof);
    this.#wait(proof);
  }

  /** Something became of the agent: it is proven no more, unless its registration is still this one. */
  keepOnly(nodeId: string, registration: Registration | null): void {
    if (this.#proofs.get(nodeId)?.registration !== registration) this.#remove(nodeId);
  }

  /** A relay has dialled it, which proves as much, and is told at once. @param sentence as that of `onProved` */
  noteDial(nodeId: string, registration: Registration, sentence: string | null): void {
    const proof = this.#proofs.get(nodeId);
    if (proof?.registration !== registration) return;
    this.#rest(proof, sentence);
    this.#results.delete(nodeId);
    this.#context.onProved(nodeId, registration, sentence);
  }

  /** Gives up everything. */
  close(): void {
    for (const nodeId of [...this.#proofs.keys()]) this.#remove(nodeId);
    const { deadlines } = this.#context.connections;
    deadlines.clear(this.#beat);
    deadlines.clear(this.#telling);
    this.#lookUp?.cancel();
    this.#lookUp = null;
  }

  #remove(nodeId: string): void {
    const proof = this.#proofs.get(nodeId);
    if (proof === undefined) return;
    this.#proofs.delete(nodeId);
    this.#results.delete(nodeId);
    this.#leave(proof);
    this.#context.connections.deadlines.clear(proof.rest);
  }

  /** Gives up what is under way for it. A look-up goes on, since nothing can end it; nobody hears of it. */
  #leave(proof: Proof): void {
    this.#new.delete(proof);
    this.#again.delete(proof);
    this.#names.delete(proof);
    if (proof.knock === null) return;
    this.#knocking--;
    proof.knock.cancel();
    proof.knock = null;
  }

  #wait(proof: Proof): void {
    (proof.wasTried ? this.#again : this.#new).add(proof);
    this.#beatLater();
  }

  #beatLater(): void {
    if (this.#beat.slot < 0 && this.#new.size + this.#again.size > 0) {
      this.#context.connections.deadlines.set(this.#beat, BEAT_MS);
    }
  }

  #begin(): void {
    const { surroundings } = this.#context;
    for (let begun = 0; begun < BEGUN_A_BEAT && this.#knocking < MAX_KNOCKING; begun++) {
      const proof = this.#next(begun === 0 ? this.#again : this.#new);
      if (proof === null) break;
      this.#attempt(proof, (target) => {
        const addresses = addressesOf(target, surroundings);
        if (addresses !== null) this.#knock(proof, target.port, addresses);
        else this.#names.add(proof);
      });
    }
    this.#lookUpNext();
    this.#beatLater();
  }

  /** New agents are served first, but the others are not forgotten over them. */
  #next(preferred: Set<Proof>): Proof | null {
    const [proof = null] = preferred.size > 0 ? preferred : preferred === this.#new ? this.#again : this.#new;
    if (proof !== null) this.#leave(proof);
    return proof;
  }

  /** @param step given the target as it is now; a DialError that it throws is the result */
  #attempt(proof: Proof, step: (target: Target) => void): void {
    const target = this.#context.targetOf(proof.nodeId, proof.registration);
    if (target === null) {
      this.#remove(proof.nodeId);
      return;
    }
    try {
      step(target);
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      this.#settle(proof, error.message);
    }
  }

  #lookUpNext(): void {
    const { resolver, surroundings } = this.#context;
    while (this.#lookUp === null) {
      const [proof] = this.#names;
      if (proof === undefined) return;
      this.#attempt(proof, ({ machine }) => {
        this.#lookUp = resolver.lookUp(machine, LOOK_UP_MS, (found) => {
          this.#lookUp = null;
          // It may have been proven otherwise meanwhile, or be gone.
          if (this.#names.delete(proof)) {
            this.#attempt(proof, (target) => {
              this.#knock(proof, target.port, addressesOfName(target, surroundings, found));
            });
          }
          this.#lookUpNext();
        });
      });
    }
  }

  /** @param addresses at least one; tried in turn, each with its share of the time */
  #knock(proof: Proof, port: number, addresses: readonly string[]): void {
    const { connections, limits } = this.#context;
    const shareMs = limits.dialTimeoutMs / addresses.length;
    let next = 0;
    let reason = '';
    const onKnocked: OnKnocked = (why) => {
      if (why === null) {
        this.#settle(proof, null);
        return;
      }
      // Silence tells more than a refusal.
      if (reason === '' || why === 'timed out') reason = why;
      if (next < addresses.length) tryNext();
      else this.#settle(proof, `Cannot reach agent: ${reason}`);
    };
    const tryNext = () => {
      proof.knock = knock(addresses[next++] as string, port, connections, shareMs, onKnocked);
    };
    if (connections.hasRoom()) {
      this.#knocking++;
      tryNext();
    } else {
      // That says nothing of the agent.
      connections.deadlines.set(proof.rest, RETRY_MS);
    }
  }

  /** What was to be found out is. */
  #settle(proof: Proof, sentence: string | null): void {
    const { deadlines } = this.#context.connections;
    this.#rest(proof, sentence);
    this.#results.set(proof.nodeId, { registration: proof.registration, sentence });
    if (this.#telling.slot < 0) {
      deadlines.set(this.#telling, Math.max(0, this.#toldAt + TOLD_EACH_MS - deadlines.now()));
    }
  }

  #rest(proof: Proof, sentence: string | null): void {
    const { connections, limits } = this.#context;
    const { proofIntervalMs } = limits;
    this.#leave(proof);
    proof.wasTried = true;
    proof.failures = sentence === null ? 0 : proof.failures + 1;
    // A connection without a handshake proves nothing against a handshake that has failed.
    const isFinal = sentence === null || sentence.startsWith(HANDSHAKE_FAILED);
    const pauseMs = isFinal ? proofIntervalMs : Math.min(proofIntervalMs, RETRY_MS * 2 ** (proof.failures - 1));
    connections.deadlines.set(proof.rest, pauseMs * (1 - JITTER + 2 * JITTER * Math.random()));
  }

  #tell(): void {
    this.#toldAt = this.#context.connections.deadlines.now();
    const results = [...this.#results];
    this.#results.clear();
    for (const [nodeId, { registration, sentence }] of results) this.#context.onProved(nodeId, registration, sentence);
  }
}

/** One agent's. */
class Proof {
  readonly nodeId: string;
  readonly registration: Registration;
  /** Set while it rests. */
  readonly rest: Deadline;
  /** Null unless it is knocking. */
  knock: { cancel(): void } | null = null;
  wasTried = false;
  /** In a row, up to now. */
  failures = 0;

  constructor(nodeId: string, registration: Registration, onRested: (proof: Proof) => void) {
    this.nodeId = nodeId;
    this.registration = registration;
    this.rest = new Deadline({ onDeadline: () => onRested(this) });
  }
}
