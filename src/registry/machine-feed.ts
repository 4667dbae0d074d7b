/**
 * The events of machines for a client that is slow to read: for each machine only the net change, so that there are
 * never more of them than machines. Pure.
 */
import type { MachineEvent } from '../protocol/hub.ts';

export class MachineFeed {
  /** By the machine's id. */
  readonly #kept = new Map<string, MachineEvent>();

  get isEmpty(): boolean {
    return this.#kept.size === 0;
  }

  keep(event: MachineEvent): void {
    const id = event.event === 'machine_left' ? event.id : event.machine.id;
    const before = this.#kept.get(id);
    const merged = before === undefined ? event : merge(before, event);
    if (merged === null) this.#kept.delete(id);
    else this.#kept.set(id, merged);
  }

  take(): MachineEvent[] {
    const events = [...this.#kept.values()];
    this.#kept.clear();
    return events;
  }
}

/** @returns null if there is nothing to tell: it came and went */
function merge(before: MachineEvent, after: MachineEvent): MachineEvent | null {
  const isNew = before.event === 'machine_joined';
  if (after.event === 'machine_left') return isNew ? null : after;
  return { event: isNew ? 'machine_joined' : 'machine_updated', machine: after.machine };
}
