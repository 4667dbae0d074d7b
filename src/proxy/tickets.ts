/**
 * Tickets for the connections that agents open on request. Each has 128 random bits, and is valid once, for ten
 * seconds, and for the registration to which it was issued.
 */
import { randomBytes } from 'node:crypto';
import { Deadline, type Deadlines } from '../transport/deadlines.ts';

const TICKET_BYTES = 16;
const TICKET_LIFE_MS = 10_000;

/** The owner of a ticket. */
export interface TicketHolder {
  /** Called when the ticket was not used in time. */
  onExpired(ticket: string): void;
}

interface Issued<H> {
  readonly holder: H;
  readonly deadline: Deadline;
}

export class Tickets<H extends TicketHolder> {
  readonly #deadlines: Deadlines;
  readonly #issued = new Map<string, Issued<H>>();

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  /** The number of valid tickets. */
  get size(): number {
    return this.#issued.size;
  }

  issue(holder: H): string {
    const ticket = randomBytes(TICKET_BYTES).toString('base64url');
    const deadline = new Deadline({
      onDeadline: () => {
        this.#issued.delete(ticket);
        holder.onExpired(ticket);
      },
    });
    this.#issued.set(ticket, { holder, deadline });
    this.#deadlines.set(deadline, TICKET_LIFE_MS);
    return ticket;
  }

  /** Makes the ticket invalid. @returns its owner; null if it was not valid */
  redeem(ticket: string): H | null {
    const issued = this.#issued.get(ticket);
    if (issued === undefined) return null;
    this.#issued.delete(ticket);
    this.#deadlines.clear(issued.deadline);
    return issued.holder;
  }
}
