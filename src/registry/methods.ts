/**
 * The methods of the registry: each checks its parameters, acts, and gives its result as JSON. Those that have to wait for
 * this machine are apart, because they must hold up no request that came after them.
 */
import { Feature, type SpawnEnded, type SpawnStatus } from '../protocol/registry.ts';
import { type DetailsChange, readDetails } from './node-details.ts';
import { type NodeInfo, readNodeInfo } from './node-info.ts';
import type { Deregistration, Owner } from './registry.ts';
import { RpcError } from './rpc.ts';

/** The roster, as far as requests need it. It throws RpcError, whose sentence the caller is told. */
export interface Nodes {
  readonly size: number;
  readonly nodesJson: string;
  register(owner: Owner, info: NodeInfo, registeredFrom: string): void;
  update(owner: Owner, change: DetailsChange): void;
  deregister(caller: Owner, id: string): Deregistration;
}

type Fields = Record<string, unknown>;

/** The services of this machine for callers. It rejects with RpcError, whose sentence the caller is told. */
export interface Machine {
  listDirectories(params: Fields): Promise<unknown>;
  listSessions(params: Fields): Promise<unknown>;
  spawnAgent(params: Fields, caller: Caller): Promise<unknown>;
  /** @throws RpcError */
  spawnStatus(params: Fields): SpawnStatus;
}

/** The connection that a request came on. It owns the node that it registers. */
export interface Caller {
  /** The peer's IP address. */
  readonly remoteAddress: string;
  /** It has registered a node. */
  onRegistered(): void;
  /** It asks for a feature. @returns false if there is no such thing for it */
  onSubscribe(feature: Feature): boolean;
  /** The node that it owns is to open a connection for the daemon. */
  askBack(ticket: string): void;
  /** An agent that it had started has ended, after it was told of the start. */
  onSpawnEnded(ended: SpawnEnded): void;
}

/** Shared by the requests of all connections. */
export interface MethodContext {
  readonly roster: Nodes;
  readonly machine: Machine;
  /** The daemon's own. */
  readonly version: string;
  /** Hears of each registration, before it is answered. */
  readonly onRegistered: (caller: Caller, info: NodeInfo) => void;
}

/** @returns the result, as JSON. @throws RpcError whose sentence the caller is told */
type Method = (context: MethodContext, caller: Caller, params: Fields | undefined) => string;
/** @returns the result. @throws RpcError likewise, also later */
type SlowMethod = (machine: Machine, caller: Caller, params: Fields | undefined) => Promise<unknown>;

/** These are answered at once, in the order the requests came. */
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
  ['spawn_status', ({ machine }, _, params) => JSON.stringify(machine.spawnStatus(needed(params)))],
  ['ping', ({ roster, version }) => JSON.stringify({ status: 'healthy', nodes: roster.size, version })],
]);

/** These wait for the disk, or for a process. */
export const SLOW_METHODS: ReadonlyMap<string, SlowMethod> = new Map<string, SlowMethod>([
  ['list_directories', (machine, _, params = {}) => machine.listDirectories(params)],
  ['list_sessions', (machine, _, params = {}) => machine.listSessions(params)],
  ['spawn_agent', (machine, caller, params) => machine.spawnAgent(needed(params), caller)],
]);

function needed(params: Fields | undefined): Fields {
  if (params === undefined) throw new RpcError('Missing params');
  return params;
}
