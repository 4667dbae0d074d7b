/**
 * The hubs that have joined this one: their names, the nodes and machines that they share, the connections that they
 * open for relays, and the requests to them.
 *
 *   join ──▶ JOINED ──(share)──▶ SHARING ──(the connection ends)──▶ LOST ──(hubTtlMs)──▶ gone, with its nodes
 *              └───────────────────────────(likewise)────────────────▲ │
 *              └──────────────────────────────(join)──────────────────┘
 *
 * A hub's nodes stay while it is lost, as unproven. If it comes back and goes on from its last message, nothing is sent
 * again; otherwise it sends a snapshot, and subscribers are told the differences.
 */
import {
  HubFeature as Has,
  type HubFeature,
  type HubRequest,
  type HubRequestMethod,
  type JoinResult,
  type Machine,
  type MachineEvent,
  type SharedMachine,
  type ShareResult,
  type UpperHub,
} from '../protocol/hub.ts';
import type { SpawnEnded } from '../protocol/registry.ts';
import type { WayBack } from '../proxy/way-back.ts';
import type { WaysBack } from '../proxy/ways-back.ts';
import {
  isHubRequestMethod,
  type JoinInfo,
  paramsFor,
  readAnswer,
  readJoin,
  readMachines,
  readResponse,
  readShare,
  readSharedNode,
  type Share,
  type ShareReader,
} from '../registry/hub-params.ts';
import { type FoundMachine, Machines } from '../registry/machines.ts';
import type { Ask, Caller, HubDesk } from '../registry/methods.ts';
import type { Roster } from '../registry/roster.ts';
import { RpcError } from '../registry/rpc.ts';
import { type RemoteNode, SharingHub, type Unproven } from '../registry/shared.ts';
import { isText } from '../registry/values.ts';
import { Deadline, type Deadlines } from '../transport/deadlines.ts';

type Fields = Record<string, unknown>;

/** Requests of one hub that wait for its answers. */
const MAX_REQUESTS = 256;
/** Agents started on one hub whose end is still to be told. The oldest are forgotten. */
const MAX_SPAWNS = 1024;
/** The unfinished snapshots of all hubs together may be so many times as large as the roster. */
const MAX_SNAPSHOTS = 2;
/** A clock that differs by less, in seconds, is taken to be the same. */
const SAME_CLOCK = 2;
const MAX_NAME_BYTES = 1024;

export interface HubsLimits {
  readonly maxHubs: number;
  readonly hubTtlMs: number;
  readonly hubRequestTimeoutMs: number;
  readonly maxNodes: number;
  readonly maxRosterBytes: number;
}

/** This hub itself. */
export interface OwnHub {
  readonly id: string;
  readonly name: string;
  /** What its host calls itself. */
  readonly host: string;
  readonly version: string;
  /** Since when it runs, in Unix seconds. */
  readonly since: number;
  vitals(): { load: number; cpus: number; memory_free: number | null; memory: number };
  /** The hubs that it joins. */
  up(): UpperHub[];
}

export interface JoinedHubInfo {
  readonly id: string;
  readonly name: string;
}

export interface HubsEvents {
  onJoined: (hub: JoinedHubInfo & { version: string; features: readonly HubFeature[]; remoteAddress: string }) => void;
  /** Its connection has ended. */
  onLost: (hub: JoinedHubInfo) => void;
  /** It has not come back. */
  onLeft: (hub: JoinedHubInfo) => void;
  /** `nodes` of its nodes are not in the roster. Told once for each join. */
  onLeftOut: (hub: JoinedHubInfo & { nodes: number }) => void;
  /** A machine is new, has changed, or is no more. */
  onMachinesChanged: () => void;
}

export interface HubsContext {
  readonly own: OwnHub;
  readonly roster: Roster;
  readonly waysBack: WaysBack;
  readonly deadlines: Deadlines;
  readonly limits: HubsLimits;
  readonly events: HubsEvents;
}

export class Hubs implements HubDesk {
  readonly #context: HubsContext;
  readonly #machines: Machines;
  readonly #hubs = new Map<string, JoinedHub>();
  readonly #byCaller = new Map<Caller, JoinedHub>();
  #naming = 0;
  /** How large the unfinished snapshots of all hubs are. */
  snapshotBytes = 0;
  /** The subscribers of events about machines. */
  readonly #watchers = new Set<Caller>();

  constructor(context: HubsContext) {
    this.#context = context;
    this.#machines = new Machines(context.own, (event) => {
      context.events.onMachinesChanged();
      this.#tellOfMachine(event);
    });
  }

  // HubDesk

  join(caller: Caller, params: Fields): JoinResult {
    const { own, roster, limits, events } = this.#context;
    const info = readJoin(params);
    if (roster.hasRegistered(caller)) throw new RpcError('An agent cannot join as a hub');
    if (info.id === own.id) throw new RpcError('Joining would make a loop: this is the hub itself');
    // Hubs below may claim any id, but one that joins none is below none.
    if (info.below.includes(own.id) && own.up().length > 0) {
      throw new RpcError(`Joining would make a loop: ${own.name} has joined ${info.name}, or a hub below it`);
    }
    let hub = this.#hubs.get(info.id);
    if (hub?.isProven && !info.isProven) throw new RpcError('Another hub has this id');
    if (hub === undefined && this.#hubs.size >= limits.maxHubs && !this.#forgetLost()) {
      throw new RpcError(`Too many hubs have joined: ${limits.maxHubs}`);
    }
    if (hub !== undefined && hub.caller !== caller && !hub.mayJoinAgain()) {
      throw new RpcError(`${info.name} joins too often`);
    }
    const former = this.#byCaller.get(caller);
    if (former !== undefined && former !== hub) this.#remove(former);
    if (hub?.caller && hub.caller !== caller) {
      const replaced = hub.caller;
      this.#byCaller.delete(replaced);
      replaced.dismiss('another hub has joined with this id');
    }
    // The hub that has had the id so far has not proven it.
    if (hub !== undefined && hub.isProven !== info.isProven) {
      this.#remove(hub);
      hub = undefined;
    }
    this.#machines.join({ ...factsOf(info), since: now() });
    const name = this.#machines.nameOfHub(info.id);
    hub ??= new JoinedHub(info, name, this.#context, this);
    hub.attach(caller, info, name);
    this.#hubs.set(info.id, hub);
    this.#byCaller.set(caller, hub);
    caller.onJoined();
    this.#relabel();
    events.onJoined({
      id: info.id,
      name,
      version: info.version,
      features: info.features,
      remoteAddress: caller.remoteAddress,
    });
    const { id, name: ownName, version } = own;
    return { status: 'joined', id, name: ownName, version, ...hub.position };
  }

  share(caller: Caller, params: Fields): ShareResult {
    const hub = this.#hubOf(caller);
    const share = readShare(params);
    try {
      return hub.share(share, this.#machines);
    } finally {
      this.#relabel();
    }
  }

  respond(caller: Caller, params: Fields): void {
    this.#hubOf(caller).respond(params);
  }

  listMachines(): Machine[] {
    return [this.#here(), ...this.#machines.list];
  }

  watch(caller: Caller): void {
    this.#watchers.add(caller);
  }

  leave(caller: Caller): void {
    this.#watchers.delete(caller);
    const hub = this.#byCaller.get(caller);
    if (hub === undefined) return;
    this.#byCaller.delete(caller);
    this.#machines.lose(hub.id, now());
    hub.detach();
    this.#context.events.onLost(hub);
  }

  elsewhere(method: string, params: Fields, caller: Caller): Ask | null {
    if (!isHubRequestMethod(method)) return null;
    const { machine } = params;
    if (machine === undefined || machine === null) return null;
    if (!isText(machine, MAX_NAME_BYTES)) throw new RpcError('Invalid params: machine');
    const found = this.#machines.find(machine);
    if (found === null) throw new RpcError(`No machine called ${machine}`);
    if (found === 'here') return null;
    const { name, features, hubId, isLost } = found;
    const hub = this.#hubs.get(hubId);
    if (isLost || hub === undefined) throw new RpcError(notConnected(name));
    if (!features.includes(Has.SPAWN)) throw new RpcError(`Machine ${name} does not let others start agents on it`);
    return () => hub.ask(method, params, found, caller);
  }

  // For the relay, and for hubs that this one joins

  /** @returns the way to the nodes of a hub, or the sentence that says why there is none */
  wayTo({ id, name }: SharingHub): WayBack | string {
    const hub = this.#hubs.get(id);
    if (hub === undefined || hub.caller === null) return notReached(name);
    return hub.way ?? noRelayBy(name);
  }

  /** The ids of all hubs below this one. */
  get below(): string[] {
    return this.#machines.shared.map(({ id }) => id);
  }

  /** The machines below this one, as it shares them with another hub. */
  sharedMachines(): SharedMachine[] {
    return this.#machines.shared;
  }

  /** Tells of a change of this machine's own entry: the state of its links to hubs above. */
  noteOwnChange(): void {
    if (this.#watchers.size > 0) this.#tellOfMachine({ event: 'machine_updated', machine: this.#here() });
  }

  get size(): number {
    return this.#hubs.size;
  }

  close(): void {
    for (const hub of [...this.#hubs.values()]) this.#remove(hub);
  }

  // For its hubs

  /** It has not come back, or shares nothing. */
  onExpired(hub: JoinedHub): void {
    if (hub.caller !== null) return;
    this.#remove(hub);
    this.#context.events.onLeft(hub);
  }

  #remove(hub: JoinedHub): void {
    if (hub.caller !== null) this.#byCaller.delete(hub.caller);
    hub.remove();
    this.#hubs.delete(hub.id);
    this.#machines.leave(hub.id);
    this.#relabel();
  }

  /** Gives nodes the present names of their machines. */
  #relabel(): void {
    const { naming } = this.#machines;
    if (naming === this.#naming) return;
    this.#naming = naming;
    for (const hub of this.#hubs.values()) hub.relabel(this.#machines);
  }

  /**
   * Makes room for a hub that is there: the one that has been lost for the longest goes. @returns false if none is lost
   */
  #forgetLost(): boolean {
    let oldest: JoinedHub | null = null;
    for (const hub of this.#hubs.values()) {
      if (hub.caller === null && hub.lostAt < (oldest?.lostAt ?? Number.POSITIVE_INFINITY)) oldest = hub;
    }
    if (oldest === null) return false;
    this.#remove(oldest);
    this.#context.events.onLeft(oldest);
    return true;
  }

  #hubOf(caller: Caller): JoinedHub {
    const hub = this.#byCaller.get(caller);
    if (hub === undefined) throw new RpcError('No hub has joined on this connection');
    return hub;
  }

  #here(): Machine {
    const { own, roster } = this.#context;
    const { load, cpus, memory_free, memory } = own.vitals();
    return {
      id: own.id,
      name: own.name,
      version: own.version,
      since: own.since,
      nodes: roster.localSize,
      features: Object.values(Has),
      status: 'connected',
      load,
      cpus,
      ...(memory_free !== null && { memory_free }),
      memory,
      here: true,
      ...(own.host !== own.name && { host: own.host }),
      up: own.up(),
    };
  }

  #tellOfMachine(event: MachineEvent): void {
    if (this.#watchers.size === 0) return;
    const text = JSON.stringify(event);
    for (const watcher of this.#watchers) watcher.onMachine(event, text);
  }
}

/** A request that waits for a hub's answer. */
interface Question {
  readonly method: HubRequestMethod;
  readonly machine: string;
  readonly caller: Caller;
  readonly deadline: Deadline;
  resolve(result: Fields): void;
  reject(error: RpcError): void;
}

/** A snapshot of which a part has come. */
interface Snapshot {
  readonly epoch: string;
  seq: number;
  readonly nodes: RemoteNode[];
  bytes: number;
  leftOut: number;
}

class JoinedHub implements JoinedHubInfo {
  readonly id: string;
  readonly isProven: boolean;
  /** Null while it is lost. */
  caller: Caller | null = null;
  /** Null if it does not let others reach its agents, and while it is lost. */
  way: WayBack | null = null;
  #changesLeft = 0;
  /** When it joined again, or tried to, on the steady clock. */
  #triedAt = Number.NEGATIVE_INFINITY;
  /** When its connection ended, on the steady clock. */
  lostAt = 0;
  readonly #context: HubsContext;
  readonly #nodes: SharingHub;
  readonly #hubs: Hubs;
  readonly #expiry: Deadline;
  /** A snapshot that is begun has to be finished. */
  readonly #patience = new Deadline({ onDeadline: () => this.caller?.dismiss('a snapshot was not finished in time') });
  readonly #questions = new Map<string, Question>();
  /** The callers that started agents there, by the request. */
  readonly #spawns = new Map<string, { caller: Caller; spawnId: string }>();
  #epoch: string | null = null;
  #seq = 0;
  #snapshot: Snapshot | null = null;
  /** It has shared since it joined last, so its nodes are known as they are now. */
  #isCurrent = false;
  /** It was asked for a connection to its agents, and opened none. */
  #isWayLost = false;
  #offset = 0;
  #asked = 0;
  #hasToldLeftOut = false;

  constructor({ id, isProven }: JoinInfo, name: string, context: HubsContext, hubs: Hubs) {
    this.id = id;
    this.isProven = isProven;
    this.#context = context;
    this.#hubs = hubs;
    this.#nodes = new SharingHub(id, name);
    this.#expiry = new Deadline({
      onDeadline: () => {
        // It is connected again, but has shared nothing since, so its nodes may be out of date.
        if (this.caller !== null) this.#forget();
        hubs.onExpired(this);
      },
    });
  }

  get name(): string {
    return this.#nodes.name;
  }

  /**
   * If a hub joins on a new connection, all its nodes change, and change back: each second no more of them than the
   * roster has room for.
   */
  mayJoinAgain(): boolean {
    const { deadlines, limits } = this.#context;
    const now = deadlines.now();
    const regained = ((now - this.#triedAt) / 1000) * limits.maxNodes;
    this.#changesLeft = Math.min(limits.maxNodes, this.#changesLeft + regained);
    this.#triedAt = now;
    const needed = this.#nodes.ids.size;
    if (this.#changesLeft < needed) return false;
    this.#changesLeft -= needed;
    return true;
  }

  /** The last message up to which its nodes are known, if they are. */
  get position(): { epoch: string; seq: number } | Record<string, never> {
    return this.#epoch === null ? {} : { epoch: this.#epoch, seq: this.#seq };
  }

  attach(caller: Caller, info: JoinInfo, name: string): void {
    const { waysBack, deadlines, limits } = this.#context;
    this.#end(`Machine ${this.name} has joined anew`);
    this.caller = caller;
    this.#nodes.name = name;
    this.#hasToldLeftOut = false;
    this.#offset = 0;
    this.#noteClock(info.now, true);
    if (this.#epoch !== null) {
      // Until it goes on from there, its nodes stay as if it were lost.
      this.#isCurrent = false;
      this.#noteLink();
      deadlines.set(this.#expiry, limits.hubTtlMs);
    }
    if (!info.features.includes(Has.RELAY)) return;
    const onProved = (works: boolean) => {
      this.#isWayLost = !works;
      this.#noteLink();
    };
    const way = waysBack.open({ ask: (ticket) => caller.askBack(ticket), onProved }, `its hub ${name}`);
    this.way = way;
    // Later, so that the answer to its join goes first.
    setImmediate(() => way.start());
  }

  /** The connection has ended. */
  detach(): void {
    const { deadlines, limits } = this.#context;
    this.#end(notConnected(this.name));
    this.lostAt = deadlines.now();
    this.#isCurrent = false;
    this.#noteLink();
    deadlines.set(this.#expiry, limits.hubTtlMs);
  }

  remove(): void {
    this.#end(notConnected(this.name));
    this.#context.deadlines.clear(this.#expiry);
    this.#forget();
  }

  share(share: Share, machines: Machines): ShareResult {
    const { roster } = this.#context;
    this.#noteClock(share.now);
    const reader = this.#reader(machines);
    if (!share.all) this.#followStep(share);
    if (share.machines !== null) machines.tell(this.id, readMachines(share.machines, reader));
    const { seq } = share;
    let leftOut = 0;
    if (share.all) {
      const snapshot = this.#addToSnapshot(share, reader);
      if (share.more) return { status: 'shared', seq };
      this.#dropSnapshot();
      // The snapshot has all nodes that stay, as they are now.
      this.#isCurrent = true;
      this.#nodes.unproven = this.#unproven;
      // The parts may have told the machines after the nodes, so names are looked up only now.
      const put = snapshot.nodes.map(({ node, path }) => {
        return { node: { ...node, hub: reader.nameOf(path[0] as string) }, path };
      });
      leftOut = snapshot.leftOut + roster.share(this.#nodes, put, null);
    } else {
      this.#isCurrent = true;
      this.#noteLink();
      const put = readNodes(share.put, reader);
      leftOut = share.put.length - put.length + roster.share(this.#nodes, put, share.gone);
    }
    this.#epoch = share.epoch;
    this.#seq = seq;
    this.#context.deadlines.clear(this.#expiry);
    if (leftOut === 0) return { status: 'shared', seq };
    if (!this.#hasToldLeftOut) {
      this.#hasToldLeftOut = true;
      this.#context.events.onLeftOut({ id: this.id, name: this.name, nodes: leftOut });
    }
    return { status: 'shared', seq, left_out: leftOut };
  }

  /** @throws RpcError if these changes do not follow what is known */
  #followStep({ epoch, seq }: Share): void {
    this.#dropSnapshot();
    if (epoch === this.#epoch && seq === this.#seq + 1) return;
    throw new RpcError(
      `Out of step: ${this.#epoch === null ? 'nothing is known of this hub' : `${this.#seq} was last`}`,
    );
  }

  relabel(machines: Machines): void {
    this.#context.roster.relabel(this.#nodes, (path) => machines.nameOf(this.id, path[0] as string));
  }

  /** @throws RpcError if it cannot be asked */
  ask(method: HubRequestMethod, params: Fields, { id, name }: FoundMachine, asker: Caller): Promise<Fields> {
    const { caller } = this;
    const { deadlines, limits } = this.#context;
    if (caller === null) throw new RpcError(notConnected(name));
    if (this.#questions.size >= MAX_REQUESTS || caller.isCongested) {
      throw new RpcError(`Machine ${name} is asked too much at once`);
    }
    const passed = paramsFor(method, params);
    if (id !== this.id) passed.machine = id;
    const requestId = String(++this.#asked);
    return new Promise<Fields>((resolve, reject) => {
      const deadline = new Deadline({
        onDeadline: () => {
          this.#questions.delete(requestId);
          reject(new RpcError(`Machine ${name} did not answer in time`));
        },
      });
      deadlines.set(deadline, limits.hubRequestTimeoutMs);
      this.#questions.set(requestId, { method, machine: name, caller: asker, deadline, resolve, reject });
      const request: HubRequest = { event: 'request', request_id: requestId, method, params: passed };
      caller.push(JSON.stringify(request));
    });
  }

  respond(params: Fields): void {
    const { request_id: requestId, result, error, push } = readResponse(params);
    if (push !== undefined) {
      this.#noteEnd(requestId, push);
      return;
    }
    const question = this.#questions.get(requestId);
    // It may have taken too long.
    if (question === undefined) return;
    this.#questions.delete(requestId);
    this.#context.deadlines.clear(question.deadline);
    if (error !== undefined) {
      question.reject(new RpcError(error));
      return;
    }
    const answer = readAnswer(question.method, result);
    if (answer === null) {
      question.reject(new RpcError(`Machine ${question.machine} has answered something else`));
      return;
    }
    const { spawn_id: spawnId, node } = answer;
    if (question.method === 'spawn_agent' && typeof spawnId === 'string') {
      this.#rememberSpawn(requestId, question.caller, spawnId);
    }
    if (typeof node === 'string') answer.node = this.#nodes.ids.get(node) ?? node;
    question.resolve(answer);
  }

  #rememberSpawn(requestId: string, caller: Caller, spawnId: string): void {
    this.#spawns.set(requestId, { caller, spawnId });
    if (this.#spawns.size <= MAX_SPAWNS) return;
    const [oldest] = this.#spawns.keys();
    this.#spawns.delete(oldest as string);
  }

  #noteEnd(requestId: string, ended: SpawnEnded): void {
    const spawn = this.#spawns.get(requestId);
    if (spawn?.spawnId !== ended.spawn_id) return;
    this.#spawns.delete(requestId);
    spawn.caller.onSpawnEnded(ended);
  }

  #addToSnapshot({ epoch, seq, put }: Share, reader: ShareReader): Snapshot {
    const { maxNodes, maxRosterBytes } = this.#context.limits;
    const hubs = this.#hubs;
    let snapshot = this.#snapshot;
    if (snapshot === null || snapshot.epoch !== epoch || seq !== snapshot.seq + 1) {
      this.#dropSnapshot();
      snapshot = { epoch, seq, nodes: [], bytes: 0, leftOut: 0 };
      this.#snapshot = snapshot;
      this.#context.deadlines.set(this.#patience, this.#context.limits.hubTtlMs);
    }
    snapshot.seq = seq;
    for (const value of put) {
      const read = readSharedNode(value, reader);
      const bytes = read === null ? 0 : JSON.stringify(read).length;
      // What would not fit into the roster need not be kept until the snapshot is complete.
      const fits =
        snapshot.nodes.length < maxNodes &&
        snapshot.bytes + bytes <= maxRosterBytes &&
        hubs.snapshotBytes + bytes <= MAX_SNAPSHOTS * maxRosterBytes;
      if (read === null || !fits) {
        snapshot.leftOut++;
        continue;
      }
      snapshot.nodes.push(read);
      snapshot.bytes += bytes;
      hubs.snapshotBytes += bytes;
    }
    return snapshot;
  }

  #dropSnapshot(): void {
    if (this.#snapshot === null) return;
    this.#hubs.snapshotBytes -= this.#snapshot.bytes;
    this.#snapshot = null;
    this.#context.deadlines.clear(this.#patience);
  }

  get #unproven(): Unproven | null {
    const { name } = this.#nodes;
    if (!this.#isCurrent) return { since: now(), why: notReached(name) };
    if (this.way === null) return { since: now(), why: noRelayBy(name) };
    return this.#isWayLost ? { since: now(), why: `Cannot reach agent: its hub ${name} opened no connection` } : null;
  }

  #noteLink(): void {
    this.#context.roster.noteLink(this.#nodes, this.#unproven);
  }

  #reader(machines: Machines): ShareReader {
    return {
      hubId: this.id,
      ownId: this.#context.own.id,
      offset: this.#offset,
      nameOf: (machineId) => machines.nameOf(this.id, machineId),
    };
  }

  /**
   * The measured difference is too large by the time that the message took: of several the least is the best, and the
   * first one of a connection is good.
   */
  #noteClock(theirs: number, isFirst = false): void {
    const measured = now() - theirs;
    const differs = Math.abs(measured - this.#offset) > SAME_CLOCK;
    if (differs && (isFirst || measured < this.#offset)) this.#offset = measured;
  }

  /** Nothing goes over its connection any more. */
  #end(sentence: string): void {
    this.caller = null;
    this.#dropSnapshot();
    this.way?.close();
    this.way = null;
    this.#isWayLost = false;
    const questions = [...this.#questions.values()];
    this.#questions.clear();
    this.#spawns.clear();
    for (const { deadline, reject } of questions) {
      this.#context.deadlines.clear(deadline);
      reject(new RpcError(sentence));
    }
  }

  #forget(): void {
    this.#epoch = null;
    this.#context.roster.share(this.#nodes, [], null);
  }
}

function readNodes(values: readonly unknown[], reader: ShareReader): RemoteNode[] {
  return values.flatMap((value) => readSharedNode(value, reader) ?? []);
}

function factsOf({ id, name, version, features }: JoinInfo) {
  return { id, name, version, features, nodes: 0 };
}

function noRelayBy(name: string): string {
  return `Cannot reach agent: its hub ${name} does not let others reach its agents`;
}

function notReached(name: string): string {
  return `Cannot reach agent: its hub ${name} is not connected`;
}

function notConnected(name: string): string {
  return `Machine ${name} is not connected`;
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
