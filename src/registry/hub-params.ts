/**
 * Reads messages of other hubs: checked, bounded, and copied field by field. A fault of the whole message throws; a
 * node or a machine that cannot be read is left out, and so is a field of one, for the other hub may be a newer one.
 */
import { createHash } from 'node:crypto';
import {
  HUB_LIMITS,
  HubFeature,
  type HubRequestMethod,
  type RespondParams,
  type SharedMachine,
  type SharedNode,
} from '../protocol/hub.ts';
import { NODE_LIMITS, type Node, NodeStatus, type PastSession, Reach, type SpawnEnded } from '../protocol/registry.ts';
import { readValidDetails } from './node-details.ts';
import { RpcError } from './rpc.ts';
import type { RemoteNode } from './shared.ts';
import { fieldsOf, isInteger, isText } from './values.ts';

type Fields = Record<string, unknown>;

const HUB_ID = new RegExp(`^[0-9a-f]{${HUB_LIMITS.idDigits}}$`);
const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
/** A little less than JavaScript's last date, and later than anything: the times of two clocks are added. */
const MAX_TIME = 8e12;

/** A hub that joins. */
export interface JoinInfo {
  id: string;
  /** It has proven that the id is its own. */
  isProven: boolean;
  name: string;
  version: string;
  features: HubFeature[];
  below: string[];
  /** Unix seconds, on its clock. */
  now: number;
}

/** A `share`, of which the nodes and machines are still to be read. */
export interface Share {
  epoch: string;
  seq: number;
  now: number;
  all: boolean;
  more: boolean;
  put: readonly unknown[];
  gone: readonly string[];
  /** Null if they have not changed. */
  machines: readonly unknown[] | null;
}

/** The context in which a share is read. */
export interface ShareReader {
  /** The id of the hub that shares. */
  readonly hubId: string;
  /** The id of the hub that reads. */
  readonly ownId: string;
  /** The correction for the times of the other hub, in seconds. */
  readonly offset: number;
  /** The name here of a machine that the hub tells of. */
  nameOf(machineId: string): string;
}

/** The id of the hub that has this key. */
export function hubIdOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, HUB_LIMITS.idDigits);
}

/** @throws RpcError `Invalid join: …`, with the name of the field */
export function readJoin(params: Fields): JoinInfo {
  const { id, key, name, version, features, below, now } = params;
  if (!isHubId(id)) throw invalidJoin('id');
  if (key !== undefined && key !== null && !(isToken(key) && hubIdOf(key) === id)) throw invalidJoin('key');
  if (!isText(name, HUB_LIMITS.name) || name.trim() === '') throw invalidJoin('name');
  if (!isText(version, HUB_LIMITS.version)) throw invalidJoin('version');
  if (!Array.isArray(features)) throw invalidJoin('features');
  if (!Array.isArray(below) || below.length > HUB_LIMITS.below || !below.every(isHubId)) throw invalidJoin('below');
  if (!isTime(now)) throw invalidJoin('now');
  const isProven = typeof key === 'string';
  return { id, isProven, name, version, features: readFeatures(features), below: [...below], now };
}

/** @throws RpcError `Invalid share: …`, with the name of the field */
export function readShare(params: Fields): Share {
  const { epoch, seq, now, all, more, put, gone, machines } = params;
  if (!isToken(epoch)) throw invalidShare('epoch');
  if (!isInteger(seq, 0, MAX_INTEGER)) throw invalidShare('seq');
  if (!isTime(now)) throw invalidShare('now');
  if (!isFlag(all)) throw invalidShare('all');
  if (!isFlag(more)) throw invalidShare('more');
  const isId = (id: unknown) => typeof id === 'string';
  if (gone !== undefined && !(Array.isArray(gone) && gone.every(isId))) throw invalidShare('gone');
  if (put !== undefined && !Array.isArray(put)) throw invalidShare('put');
  if (machines !== undefined && machines !== null && !Array.isArray(machines)) throw invalidShare('machines');
  return {
    epoch,
    seq,
    now,
    all: all === true,
    more: more === true,
    put: put ?? [],
    gone: gone === undefined ? [] : (gone as string[]),
    machines: machines ?? null,
  };
}

/** @returns null if it is no node, or came by a path that it may not take */
export function readSharedNode(value: unknown, reader: ShareReader): RemoteNode | null {
  const fields = fieldsOf(value) as { [Field in keyof SharedNode]?: unknown };
  const { id, machine, cwd, port, status, pid, spawn_id, reach, reach_error } = fields;
  const path = readPath(fields.path, reader);
  if (
    path === null ||
    !isText(id, HUB_LIMITS.nodeId) ||
    id === '' ||
    !isText(machine, NODE_LIMITS.machine) ||
    !isText(cwd, NODE_LIMITS.cwd) ||
    !isInteger(port, 1, 65535) ||
    (status !== NodeStatus.ACTIVE && status !== NodeStatus.OFFLINE)
  ) {
    return null;
  }
  const node: Node = { id, machine, cwd, port, status };
  if (isInteger(pid, 0, MAX_INTEGER)) node.pid = pid;
  if (isText(spawn_id, NODE_LIMITS.spawnId)) node.spawn_id = spawn_id;
  const known = Object.values(Reach).find((it) => it === reach);
  if (known !== undefined) node.reach = known;
  if (isText(reach_error, HUB_LIMITS.error)) node.reach_error = reach_error;
  for (const field of ['offline_since', 'last_seen', 'state_since', 'tool_since', 'reach_since'] as const) {
    const time = fields[field];
    if (isTime(time)) node[field] = Math.max(0, time + reader.offset);
  }
  Object.assign(node, readValidDetails(fields as Fields));
  node.hub = reader.nameOf(path[0] as string);
  return { node, path };
}

/** Reads the machines that a hub shares; of two with the same id the first. */
export function readMachines(values: readonly unknown[], reader: ShareReader): SharedMachine[] {
  const machines = new Map<string, SharedMachine>();
  for (const value of values.slice(0, HUB_LIMITS.below + 1)) {
    const machine = readMachine(value, reader);
    if (machine !== null && !machines.has(machine.id)) machines.set(machine.id, machine);
  }
  return [...machines.values()];
}

function readMachine(value: unknown, reader: ShareReader): SharedMachine | null {
  const fields = fieldsOf(value);
  const { id, name, version, since, nodes, features, load, cpus, memory_free, memory } = fields;
  const path = readPath(fields.path, reader);
  if (path === null || path[0] !== id || !isText(name, HUB_LIMITS.name) || name.trim() === '') return null;
  const machine: SharedMachine = {
    id: path[0] as string,
    name,
    version: isText(version, HUB_LIMITS.version) ? version : '',
    since: isTime(since) ? Math.max(0, since + reader.offset) : 0,
    nodes: isInteger(nodes, 0, MAX_INTEGER) ? nodes : 0,
    features: Array.isArray(features) ? readFeatures(features) : [],
    path,
  };
  if (isAmount(load)) machine.load = load;
  if (isInteger(cpus, 1, 1e6)) machine.cpus = cpus;
  if (isAmount(memory_free)) machine.memory_free = memory_free;
  if (isAmount(memory)) machine.memory = memory;
  if (fields.lost === true) machine.lost = true;
  return machine;
}

/** @throws RpcError `Invalid response: …`, with the name of the field */
export function readResponse(params: Fields): RespondParams {
  const { request_id, result, error, push } = params;
  if (!isToken(request_id)) throw new RpcError('Invalid response: request_id');
  if (error !== undefined && error !== null) {
    return { request_id, error: isText(error, HUB_LIMITS.error) ? error : 'An error that cannot be shown' };
  }
  if (push === undefined || push === null) return { request_id, result };
  const ended = readSpawnEnded(push);
  if (ended === null) throw new RpcError('Invalid response: push');
  return { request_id, push: ended };
}

function readSpawnEnded(value: unknown): SpawnEnded | null {
  const { event, spawn_id, exit_code, signal, output } = fieldsOf(value);
  if (event !== 'spawn_ended' || !isText(spawn_id, NODE_LIMITS.spawnId)) return null;
  const end = readEnd(exit_code, signal);
  return { event, spawn_id, ...end, output: typeof output === 'string' ? output : '' };
}

/** The params that a method may have on another machine. */
const PARAMS: { readonly [M in HubRequestMethod]: readonly string[] } = {
  list_directories: ['path'],
  list_sessions: ['path'],
  spawn_agent: ['path', 'new_folder', 'model', 'prompt', 'session'],
  spawn_status: ['spawn_id'],
};

export function isHubRequestMethod(method: string): method is HubRequestMethod {
  return Object.hasOwn(PARAMS, method);
}

/**
 * The params of a caller, as they are passed on to another machine.
 *
 * @throws RpcError for one that is no plain value: it may be nested deeper than can be written
 */
export function paramsFor(method: HubRequestMethod, params: Fields): Fields {
  const passed: Fields = {};
  for (const name of PARAMS[method]) {
    const value = params[name];
    if (value === undefined) continue;
    if (typeof value === 'object' && value !== null) throw new RpcError(`Invalid params: ${name}`);
    passed[name] = value;
  }
  return passed;
}

/** Reads an answer of another machine. @returns null if it does not answer that method */
export function readAnswer(method: HubRequestMethod, value: unknown): Fields | null {
  const fields = fieldsOf(value);
  switch (method) {
    case 'list_directories': {
      const { current, directories } = fields;
      return isString(current) && isStrings(directories) ? { current, directories: [...directories] } : null;
    }
    case 'list_sessions': {
      const { path, sessions } = fields;
      if (!isString(path) || !Array.isArray(sessions)) return null;
      const read = sessions.map(readSession);
      return read.every((session) => session !== null) ? { path, sessions: read } : null;
    }
    case 'spawn_agent': {
      const { status, path, spawn_id } = fields;
      if (status !== 'spawning' || !isString(path)) return null;
      return isText(spawn_id, NODE_LIMITS.spawnId) ? { status, path, spawn_id } : { status, path };
    }
    case 'spawn_status':
      return readSpawnStatus(fields);
  }
}

function readSession(value: unknown): PastSession | null {
  const { session, name, modified, first } = fieldsOf(value);
  if (!isString(session) || typeof modified !== 'number') return null;
  return { session, ...(isString(name) && { name }), modified, ...(isString(first) && { first }) };
}

function readSpawnStatus({ status, node, exit_code, signal, output }: Fields): Fields | null {
  if (status !== 'starting' && status !== 'registered' && status !== 'ended') return null;
  const read: Fields = { status };
  if (isText(node, HUB_LIMITS.nodeId)) read.node = node;
  if (status !== 'ended') return read;
  return { ...read, ...readEnd(exit_code, signal), ...(isString(output) && { output }) };
}

function readEnd(exitCode: unknown, signal: unknown): { exit_code: number | null; signal: string | null } {
  return {
    exit_code: isInteger(exitCode, -MAX_INTEGER, MAX_INTEGER) ? exitCode : null,
    signal: isText(signal, 64) ? signal : null,
  };
}

/** Reads the hubs that a node or machine came through. A path that leads through the reading hub is a loop. */
function readPath(value: unknown, { hubId, ownId }: ShareReader): string[] | null {
  if (!Array.isArray(value) || value.length === 0 || value.length > HUB_LIMITS.path) return null;
  const path = value as unknown[];
  if (!path.every(isHubId) || path.at(-1) !== hubId) return null;
  return path.includes(ownId) || new Set(path).size < path.length ? null : [...path];
}

function readFeatures(features: readonly unknown[]): HubFeature[] {
  return Object.values(HubFeature).filter((feature) => features.includes(feature));
}

function isHubId(value: unknown): value is string {
  return typeof value === 'string' && HUB_ID.test(value);
}

function isToken(value: unknown): value is string {
  return isText(value, HUB_LIMITS.token) && value !== '';
}

/** Unix seconds, of which clients can make a date. */
function isTime(value: unknown): value is number {
  return isInteger(value, 0, MAX_TIME);
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_INTEGER;
}

function isFlag(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'boolean';
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isString);
}

function invalidJoin(field: string): RpcError {
  return new RpcError(`Invalid join: ${field}`);
}

function invalidShare(field: string): RpcError {
  return new RpcError(`Invalid share: ${field}`);
}
