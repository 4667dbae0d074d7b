/**
 * Proves that relays can dial an agent, soon after it has registered, and from time to time while it stays. A proof is
 * a bare TCP connection to the address that a relay would dial. It is closed at once, so it costs an agent almost
 * nothing.
 *
 *   add ──▶ WAITING ──(its turn)──┬──(an address is known)──▶ KNOCKING at one address after another ──▶ RESTING
 *              ▲                  └──(a name)──▶ RESOLVING, one name at a time ──────▲                    │
 *              └──────────────────────(some minutes later; sooner if it was not reached)──────────────────┘
 *
 * Even if many agents come at once, only a few proofs begin in a second. New agents go first. Results are published in
 * groups, because each group costs a new encoding of the roster.
 */
import { knock, type OnKnocked } from '../opening/knock.ts';
import type { Connections } from '../transport/connections.ts';
import { Deadline } from '../transport/deadlines.ts';
import { addressesOf, addressesOfName, type Surroundings, type Target } from './destination.ts';
import { HANDSHAKE_FAILED } from './dial.ts';
import { DialError } from './error.ts';
import type { LookUp, Resolver } from './resolver.ts';

/** The most proofs that begin in each interval: fifty per second. */
const BEAT_MS = 100;
const BEGUN_A_BEAT = 5;
const MAX_KNOCKING = 16;
/** The longest time for which agents that register one after the other put off the next proofs. */
const RUSH_MS = 1000;
/**
 * The time limit of a look-up. There is one at a time, because each occupies a thread of Node's pool, which relays
 * need.
 */
const LOOK_UP_MS = 30_000;
/** Results that come within this time are published together. */
const TOLD_EACH_MS = 1000;
/** The first pause after an agent was not reached. It doubles. */
const RETRY_MS = 15_000;
/** Pauses vary by this share either way, so that agents that came together are not proven together. */
const JITTER = 0.25;

export interface ProverLimits {
  /** The time limit for all addresses of one agent together. */
  readonly dialTimeoutMs: number;
  /** About how long a proof is valid; Infinity for ever. */
  readonly proofIntervalMs: number;
}

export interface ProverContext {
  readonly connections: Connections;
  readonly resolver: Resolver;
  readonly surroundings: Surroundings;
  readonly limits: ProverLimits;
  /** @returns the address that a relay would dial now; null if the registration has ended */
  readonly targetOf: (nodeId: string, registration: Registration) => Target | null;
  /** @param sentence why the agent was not reached; null if it was */
  readonly onProved: (nodeId: string, registration: Registration, sentence: string | null) => void;
}

/** The connection that registered the agent. Owners are compared by identity only. */
type Registration = object;

interface Result {
  readonly registration: Registration;
  readonly sentence: string | null;
}

export class Prover {
  readonly #context: ProverContext;
  readonly #proofs = new Map<string, Proof>();
  /** The agents that were never tried, and the others, both in the order of their arrival. */
  readonly #new = new Set<Proof>();
  readonly #again = new Set<Proof>();
  readonly #names = new Set<Proof>();
  readonly #beat = new Deadline({ onDeadline: () => this.#begin() });
  readonly #telling = new Deadline({ onDeadline: () => this.#tell() });
  readonly #results = new Map<string, Result>();
  readonly #onRested = (proof: Proof) => this.#wait(proof);
  #lookUp: LookUp | null = null;
  #knocking = 0;
  /** The next proofs begin at this time at the latest. */
  #beatsBy = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(context: ProverContext) {
    this.#context = context;
  }

  /** The number of agents that are proven, or will be. */
  get size(): number {
    return this.#proofs.size;
  }

  /** Adds an agent that has registered and is dialled by relays. A proof for its former registration ends. */
  add(nodeId: string, registration: Registration): void {
    this.#remove(nodeId);
    const proof = new Proof(nodeId, registration, this.#onRested);
    this.#proofs.set(nodeId, proof);
    this.#wait(proof);
    this.#postponeBeat();
  }

  /** Ends the agent's proofs unless they belong to this registration. */
  keepOnly(nodeId: string, registration: Registration | null): void {
    if (this.#proofs.get(nodeId)?.registration !== registration) this.#remove(nodeId);
  }

  /** Takes the result of a relay's dial as a proof, and publishes it at once. @param sentence see `onProved` */
  noteDial(nodeId: string, registration: Registration, sentence: string | null): void {
    const proof = this.#proofs.get(nodeId);
    if (proof?.registration !== registration) return;
    this.#rest(proof, sentence);
    this.#results.delete(nodeId);
    this.#context.onProved(nodeId, registration, sentence);
  }

  /** Ends all proofs. */
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

  /** Ends the agent's current proof. A look-up cannot be ended, so its result is ignored. */
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
    if (this.#beat.slot >= 0 || this.#new.size + this.#again.size === 0) return;
    const { deadlines } = this.#context.connections;
    this.#beatsBy = deadlines.now() + RUSH_MS;
    deadlines.set(this.#beat, BEAT_MS);
  }

  /** While agents come one after the other, their registrations go first. */
  #postponeBeat(): void {
    const { deadlines } = this.#context.connections;
    const leftMs = this.#beatsBy - deadlines.now();
    if (leftMs > BEAT_MS) deadlines.set(this.#beat, BEAT_MS);
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

  /** Takes the next agent. New agents are served first, but the others have their turn too. */
  #next(preferred: Set<Proof>): Proof | null {
    const [proof = null] = preferred.size > 0 ? preferred : preferred === this.#new ? this.#again : this.#new;
    if (proof !== null) this.#leave(proof);
    return proof;
  }

  /** @param step called with the current target; a DialError that it throws is the result */
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
          // The agent may have been proven by a relay meanwhile, or may be gone.
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

  /** @param addresses at least one address; they are tried in turn, each with its share of the time */
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
      // Silence says more than a refusal.
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
      // Such a failure says nothing about the agent.
      connections.deadlines.set(proof.rest, RETRY_MS);
    }
  }

  /** Ends a proof with its result. */
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

/** The state of one agent's proofs. */
class Proof {
  readonly nodeId: string;
  readonly registration: Registration;
  /** Set in RESTING. */
  readonly rest: Deadline;
  /** Null except in KNOCKING. */
  knock: { cancel(): void } | null = null;
  wasTried = false;
  /** The number of failures in a row. */
  failures = 0;

  constructor(nodeId: string, registration: Registration, onRested: (proof: Proof) => void) {
    this.nodeId = nodeId;
    this.registration = registration;
    this.rest = new Deadline({ onDeadline: () => onRested(this) });
  }
}
