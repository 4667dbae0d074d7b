/**
 * The machines that are known: those whose hubs have joined this one, and those below them. Pure.
 *
 *   join ──▶ connected ──(noteLink)──▶ lost ──(noteLink)──▶ connected ──(leave)──▶ gone, with all that are below it
 *
 * Names are unique here, and so are ids, whatever the hubs say: of two that have the same, the later one gets another.
 * The id of a hub that has joined this very one is always its own.
 */
import { HUB_LIMITS, type HubFeature, type Machine, type MachineEvent, type SharedMachine } from '../protocol/hub.ts';

/** The id of a hub. */
const LIKE_AN_ID = new RegExp(`^[0-9a-f]{${HUB_LIMITS.idDigits}}$`);

type Facts = Omit<SharedMachine, 'path'>;

/** A machine, as it is found for a request. */
export interface FoundMachine {
  readonly name: string;
  /** The id of the hub, joined to this one, that it is or is below. */
  readonly hubId: string;
  /** The machine's id, as that hub knows it. */
  readonly id: string;
  readonly features: readonly HubFeature[];
  readonly isLost: boolean;
}

interface Entry {
  machine: Machine;
  readonly hub: Hub;
  /** As its hub has told it last. */
  told: SharedMachine;
}

interface Hub {
  /** The hub's own machine. */
  readonly entry: Entry;
  features: readonly HubFeature[];
  isLost: boolean;
  /** Since when it is joined, or lost. */
  since: number;
  /** The machines below it, by the ids that it tells. */
  readonly below: Map<string, Entry>;
}

export class Machines {
  readonly #ownId: string;
  readonly #ownName: string;
  readonly #onEvent: (event: MachineEvent) => void;
  readonly #hubs = new Map<string, Hub>();
  /** By the ids that are shown. */
  readonly #entries = new Map<string, Entry>();
  /** The ids that are shown, by name. */
  readonly #idByName = new Map<string, string>();
  #naming = 0;

  /** @param onEvent called with every change, in order */
  constructor(own: { id: string; name: string }, onEvent: (event: MachineEvent) => void) {
    this.#ownId = own.id;
    this.#ownName = own.name;
    this.#onEvent = onEvent;
    this.#idByName.set(own.name, own.id);
  }

  /** Another number after each change of what `nameOf` says. */
  get naming(): number {
    return this.#naming;
  }

  /** All but this one, in the order in which they came. */
  get list(): readonly Machine[] {
    return [...this.#entries.values()].map(({ machine }) => machine);
  }

  /** Likewise, as they are shared with another hub; of those that claim the same id one. */
  get shared(): SharedMachine[] {
    const own = [...this.#entries.values()].filter(({ machine, told }) => machine.id === told.id);
    return own.map(({ machine: { status, via: _via, ...facts }, told: { path } }) => ({
      ...facts,
      path,
      ...(status === 'lost' && { lost: true as const }),
    }));
  }

  /**
   * A hub joins, or has come back. Until it tells more, what is known of its machine is what it said when it joined.
   */
  join(facts: Facts): void {
    const { id, name, features } = facts;
    const hub = this.#hubs.get(id);
    if (hub !== undefined) {
      hub.features = features;
      hub.isLost = false;
      hub.since = facts.since;
      const { told } = hub.entry;
      this.#change(hub.entry, { ...told, name, version: facts.version, features });
      for (const entry of hub.below.values()) this.#change(entry, entry.told);
      return;
    }
    const claimant = this.#entries.get(id);
    if (claimant !== undefined) this.#remove(claimant);
    const entry = { told: { ...facts, path: [id] } } as Entry;
    const joined: Hub = { entry, features, isLost: false, since: facts.since, below: new Map() };
    Object.assign(entry, { hub: joined });
    this.#hubs.set(id, joined);
    this.#add(entry);
    if (claimant !== undefined) this.#add(claimant);
  }

  /** The hub tells of its own machine and of all below it. */
  tell(hubId: string, machines: readonly SharedMachine[]): void {
    const hub = this.#hubs.get(hubId);
    if (hub === undefined) return;
    const stay = new Set(machines.map(({ id }) => id));
    for (const [id, entry] of hub.below) if (!stay.has(id)) this.#removeBelow(hub, id, entry);
    for (const told of machines) {
      const known = told.id === hubId ? hub.entry : hub.below.get(told.id);
      if (known !== undefined) {
        this.#change(known, told);
        continue;
      }
      const entry = { told, hub } as Entry;
      hub.below.set(told.id, entry);
      this.#add(entry);
    }
  }

  /**
   * The connection to a hub is lost. It has come back once the hub joins again.
   *
   * @param since in Unix seconds
   */
  lose(hubId: string, since: number): void {
    const hub = this.#hubs.get(hubId);
    if (hub === undefined) return;
    hub.isLost = true;
    hub.since = since;
    for (const entry of [hub.entry, ...hub.below.values()]) this.#change(entry, entry.told);
  }

  leave(hubId: string): void {
    const hub = this.#hubs.get(hubId);
    if (hub === undefined) return;
    for (const [id, entry] of hub.below) this.#removeBelow(hub, id, entry);
    this.#hubs.delete(hubId);
    this.#remove(hub.entry);
  }

  /** The name of a hub that has joined. */
  nameOfHub(hubId: string): string {
    return this.#hubs.get(hubId)?.entry.machine.name ?? '';
  }

  /** The name of a machine that a hub has reported; the hub's own name if it has not reported that machine. */
  nameOf(hubId: string, id: string): string {
    const entry = this.#hubs.get(hubId)?.below.get(id);
    return entry === undefined ? this.nameOfHub(hubId) : entry.machine.name;
  }

  /**
   * @param nameOrId as they are shown; an id counts before a name, for anybody may choose a name
   * @returns null if there is none; `here` for this one
   */
  find(nameOrId: string): FoundMachine | 'here' | null {
    if (nameOrId === this.#ownId) return 'here';
    const entry = this.#entries.get(nameOrId) ?? this.#entries.get(this.#idByName.get(nameOrId) ?? '');
    if (entry === undefined) return nameOrId === this.#ownName ? 'here' : null;
    const { machine, hub, told } = entry;
    const { name, features } = machine;
    return { name, features, hubId: hub.entry.told.id, id: told.id, isLost: machine.status === 'lost' };
  }

  #add(entry: Entry): void {
    const { told, hub } = entry;
    const isTaken = (id: string) => id === this.#ownId || this.#entries.has(id);
    const hubName = hub.entry === entry ? '' : hub.entry.machine.name;
    const id = isTaken(told.id) ? unique(`${told.id}@${hubName}`, isTaken) : told.id;
    const name = unique(told.name, (it) => this.#isNameTaken(it));
    entry.machine = shown(entry, id, name);
    this.#entries.set(id, entry);
    this.#idByName.set(name, id);
    this.#naming++;
    this.#onEvent({ event: 'machine_joined', machine: entry.machine });
  }

  /**
   * Nobody is called like an id: a caller who means the machine with that id must not reach another while it is away.
   */
  #isNameTaken(name: string): boolean {
    return this.#idByName.has(name) || LIKE_AN_ID.test(name);
  }

  #removeBelow(hub: Hub, id: string, entry: Entry): void {
    hub.below.delete(id);
    this.#remove(entry);
  }

  #remove({ machine: { id, name } }: Entry): void {
    this.#entries.delete(id);
    this.#idByName.delete(name);
    this.#naming++;
    this.#onEvent({ event: 'machine_left', id });
  }

  #change(entry: Entry, told: SharedMachine): void {
    const before = entry.machine;
    let { name } = before;
    if (told.name !== entry.told.name) {
      this.#idByName.delete(name);
      name = unique(told.name, (it) => this.#isNameTaken(it));
      this.#idByName.set(name, before.id);
      this.#naming++;
    }
    entry.told = told;
    entry.machine = shown(entry, before.id, name);
    if (JSON.stringify(before) === JSON.stringify(entry.machine)) return;
    this.#onEvent({ event: 'machine_updated', machine: entry.machine });
    if (name === before.name || entry.hub.entry !== entry) return;
    // Those below it are said to be reached by that name.
    for (const below of entry.hub.below.values()) this.#change(below, below.told);
  }
}

/** The machine as it is shown: it lets callers do what all hubs on the way let them do. */
function shown({ told, hub }: Entry, id: string, name: string): Machine {
  const { path, features, lost, ...facts } = told;
  return {
    ...facts,
    id,
    name,
    // Below it, as it tells: on its own clock it knows when they joined.
    since: hub.isLost || path.length === 1 ? hub.since : facts.since,
    features: features.filter((feature) => hub.features.includes(feature)),
    status: hub.isLost || (lost && path.length > 1) ? 'lost' : 'connected',
    ...(path.length > 1 && { via: hub.entry.machine.name }),
  };
}

/** The text, or the first of `text-2`, `text-3`… that is not taken. */
function unique(text: string, isTaken: (text: string) => boolean): string {
  if (!isTaken(text)) return text;
  for (let n = 2; ; n++) if (!isTaken(`${text}-${n}`)) return `${text}-${n}`;
}
