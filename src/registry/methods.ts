/**
 * The methods of the registry. Each checks its parameters, acts, and returns its result as JSON. Methods that wait for
 * this machine are in a table of their own, because they must not hold up later requests.
 */
import type { JoinResult, Machine as KnownMachine, MachineEvent, ShareResult } from '../protocol/hub.ts';
import { Feature, type SpawnEnded, type SpawnStatus } from '../protocol/registry.ts';
import { type DetailsChange, readDetails } from './node-details.ts';
import { type NodeInfo, readNodeInfo } from './node-info.ts';
import type { Deregistration, Owner } from './registry.ts';
import { RpcError } from './rpc.ts';

/** The part of the roster that requests need. Its methods throw RpcError with the sentence for the caller. */
export interface Nodes {
  readonly size: number;
  readonly nodesJson: string;
  register(owner: Owner, info: NodeInfo, registeredFrom: string): void;
  update(owner: Owner, change: DetailsChange): void;
  deregister(caller: Owner, id: string): Deregistration;
}

type Fields = Record<string, unknown>;

/** The services of this machine for callers. They reject with RpcError, which has the sentence for the caller. */
export interface Machine {
  listDirectories(params: Fields): Promise<unknown>;
  listSessions(params: Fields): Promise<unknown>;
  spawnAgent(params: Fields, caller: Caller): Promise<unknown>;
  /** @throws RpcError */
  spawnStatus(params: Fields): SpawnStatus;
}

/** Asks another machine. It rejects with RpcError, which has the sentence for the caller. */
export type Ask = () => Promise<unknown>;

/** The methods for other hubs. They throw RpcError with the sentence for the caller. */
export interface HubDesk {
  join(caller: Caller, params: Fields): JoinResult;
  share(caller: Caller, params: Fields): ShareResult;
  respond(caller: Caller, params: Fields): void;
  /** The connection has ended. */
  leave(caller: Caller): void;
  /** This machine, and all others. */
  listMachines(): KnownMachine[];
  /** Sends the caller the events about machines, until it leaves. */
  watch(caller: Caller): void;
  /** @returns null if it is this machine that is asked */
  elsewhere(method: string, params: Fields, caller: Caller): Ask | null;
}

/** The connection that a request came on. It owns the node that it registers. */
export interface Caller {
  /** The peer's IP address. */
  readonly remoteAddress: string;
  /** Called when this connection has registered a node. */
  onRegistered(): void;
  /** Called when this connection asks for a feature. @returns false if it cannot have that feature */
  onSubscribe(feature: Feature): boolean;
  /** Asks the node of this connection to open a connection to the daemon. */
  askBack(ticket: string): void;
  /** Called when an agent that this caller started has ended, and the caller had its answer to the start. */
  onSpawnEnded(ended: SpawnEnded): void;
  /** Called when this connection has joined as a hub. */
  onJoined(): void;
  /** Closes this connection, which has joined as a hub. */
  dismiss(reason: string): void;
  /** Called with each change of a machine once this connection watches them. @param text the event as JSON */
  onMachine(event: MachineEvent, text: string): void;
  /** True if this connection has too many unread messages to get more. */
  readonly isCongested: boolean;
  /** Sends a push that this connection expects. */
  push(text: string): void;
}

/** Shared by the requests of all connections. */
export interface MethodContext {
  readonly roster: Nodes;
  readonly machine: Machine;
  readonly hubs: HubDesk;
  /** The daemon's version. */
  readonly version: string;
  /** Called with each registration, before its answer is sent. */
  readonly onRegistered: (caller: Caller, info: NodeInfo) => void;
}

/** @returns the result, as JSON. @throws RpcError with the sentence for the caller */
type Method = (context: MethodContext, caller: Caller, params: Fields | undefined) => string;
/** @returns a promise of the result. It throws RpcError, or rejects with one. */
type SlowMethod = (machine: Machine, caller: Caller, params: Fields | undefined) => Promise<unknown>;

/** Methods answered at once, in the order of their requests. */
export const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  [
    'register',
    ({ roster, onRegistered }, caller, params) => {
      const info = readNodeInfo(params);
      roster.register(caller, info, caller.remoteAddress);
      caller.onRegistered();
      onRegistered(caller, info);
      return info.dialBack ? '{"status":"registered","dial_back":true}' : '{"status":"registered"}';
    },
  ],
  [
    'update',
    ({ roster }, caller, params) => {
      roster.update(caller, readDetails(needed(params)));
      return '{"status":"updated"}';
    },
  ],
  [
    'deregister',
    ({ roster }, caller, params) => {
      const id = params?.id;
      if (typeof id !== 'string') throw new RpcError('Missing params.id');
      return JSON.stringify({ status: roster.deregister(caller, id) });
    },
  ],
  [
    'subscribe',
    (_, caller, params) => {
      const wanted = params?.features;
      if (!Array.isArray(wanted)) throw new RpcError('Missing params.features');
      const features = Object.values(Feature).filter((it) => wanted.includes(it) && caller.onSubscribe(it));
      return JSON.stringify({ features });
    },
  ],
  ['list_nodes', ({ roster }) => roster.nodesJson],
  ['list_machines', ({ hubs }) => JSON.stringify(hubs.listMachines())],
  ['join', ({ hubs }, caller, params) => JSON.stringify(hubs.join(caller, needed(params)))],
  ['share', ({ hubs }, caller, params) => JSON.stringify(hubs.share(caller, needed(params)))],
  [
    'respond',
    ({ hubs }, caller, params) => {
      hubs.respond(caller, needed(params));
      return '{"status":"noted"}';
    },
  ],
  ['spawn_status', ({ machine }, _, params) => JSON.stringify(machine.spawnStatus(needed(params)))],
  ['ping', ({ roster, version }) => JSON.stringify({ status: 'healthy', nodes: roster.size, version })],
]);

/** The only methods of a connection that has joined as a hub. */
export const HUB_METHODS: ReadonlySet<string> = new Set(['join', 'share', 'respond', 'ping']);

/** Methods that wait for the disk or for a process. */
export const SLOW_METHODS: ReadonlyMap<string, SlowMethod> = new Map<string, SlowMethod>([
  ['list_directories', (machine, _, params = {}) => machine.listDirectories(params)],
  ['list_sessions', (machine, _, params = {}) => machine.listSessions(params)],
  ['spawn_agent', (machine, caller, params) => machine.spawnAgent(needed(params), caller)],
]);

function needed(params: Fields | undefined): Fields {
  if (params === undefined) throw new RpcError('Missing params');
  return params;
}
