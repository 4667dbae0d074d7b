/**
 * Tickets for connections that agents open when they are asked to: 128 random bits each, good once, for ten seconds, and for
 * the registration that it was issued to.
 */
import { randomBytes } from 'node:crypto';
import { Deadline, type Deadlines } from '../transport/deadlines.ts';

const TICKET_BYTES = 16;
const TICKET_LIFE_MS = 10_000;

/** To whom a ticket is issued. */
export interface TicketHolder {
  /** Nobody came with it in time. */
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

  /** How many may still be used. */
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

  /** It is good no more, whether or not it was. @returns to whom it was issued; null if it is not good */
  redeem(ticket: string): H | null {
    const issued = this.#issued.get(ticket);
    if (issued === undefined) return null;
    this.#issued.delete(ticket);
    this.#deadlines.clear(issued.deadline);
    return issued.holder;
  }
}
