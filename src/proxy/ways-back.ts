/** The ways back of all agents that offer one. Each belongs to one registration, and ends with it. */
import type { UpgradeRequest } from '../http/handshake.ts';
import type { Connection } from '../transport/connection.ts';
import { Tickets } from './tickets.ts';
import { WayBack, type WayBackContext, type WayBackOwner } from './way-back.ts';

/** The connection that registered the agent. Owners are compared by identity only. */
type Registration = object;

interface Entry {
  readonly registration: Registration;
  readonly way: WayBack;
}

export class WaysBack {
  readonly #context: WayBackContext;
  readonly #entries = new Map<string, Entry>();
  #ticketsRefused = 0;

  constructor(context: Omit<WayBackContext, 'tickets'>) {
    this.#context = { ...context, tickets: new Tickets(context.deadlines) };
  }

  /** The number of refused tickets: guessed, used before, late, or of an agent that has left. */
  get ticketsRefused(): number {
    return this.#ticketsRefused;
  }

  /** The number of agents that offer a way back. */
  get size(): number {
    return this.#entries.size;
  }

  /** The number of agents with a connection that waits for a relay. */
  get spares(): number {
    return [...this.#entries.values()].filter(({ way }) => way.hasSpare).length;
  }

  /** Adds an agent that has registered and offers a way back. `start` of the result asks for the first connection. */
  add(nodeId: string, registration: Registration, owner: WayBackOwner): WayBack {
    this.#remove(nodeId);
    const way = new WayBack(this.#context, owner);
    this.#entries.set(nodeId, { registration, way });
    return way;
  }

  /** Ends the agent's way unless it belongs to this registration. */
  keepOnly(nodeId: string, registration: Registration | null): void {
    if (this.#entries.get(nodeId)?.registration !== registration) this.#remove(nodeId);
  }

  /**
   * Makes a way over another connection, whose owner starts it and closes it.
   *
   * @param name the name, in sentences for clients, of the program that opens the connections, such as `its hub laptop`
   */
  open(owner: WayBackOwner, name: string): WayBack {
    return new WayBack(this.#context, owner, name);
  }

  get(nodeId: string): WayBack | null {
    return this.#entries.get(nodeId)?.way ?? null;
  }

  /**
   * Redeems a ticket, which is valid once.
   *
   * @returns a function that takes over the agent's connection; null for an invalid ticket, which is counted
   */
  redeem(ticket: string): Arrival | null {
    const way = this.#context.tickets.redeem(ticket);
    if (way === null) {
      this.#ticketsRefused++;
      return null;
    }
    return (connection, upgrade, subprotocol, rest) => way.arrive(connection, upgrade, subprotocol, ticket, rest);
  }

  #remove(nodeId: string): void {
    this.#entries.get(nodeId)?.way.close();
    this.#entries.delete(nodeId);
  }
}

/** Takes over the connection of an agent that presented a valid ticket; see `WayBack.arrive`. */
export type Arrival = (
  connection: Connection,
  upgrade: UpgradeRequest,
  subprotocol: string | null,
  rest: Buffer,
) => void;
