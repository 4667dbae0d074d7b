/**
 * Reads the params of `register`: checked, bounded, and copied field by field. Texts may contain any character except
 * control characters, because ids reach the relay percent-encoded.
 */
import { NODE_LIMITS, NodeStatus } from '../protocol/registry.ts';
import { type DetailsChange, isEmpty, readDetails } from './node-details.ts';
import { RpcError } from './rpc.ts';
import { isInteger, isText } from './values.ts';

export interface NodeInfo {
  id: string;
  machine: string;
  cwd: string;
  port: number;
  pid?: number;
  /** A key that the daemon presents when it dials this agent, and shows to no one else. */
  dialKey?: string;
  /** The id that the daemon gave the agent when it started the agent. */
  spawnId?: string;
  /** Whether the agent can open connections to the daemon. */
  dialBack?: true;
  /** The optional fields. */
  details?: DetailsChange;
}

const DIAL_KEY = /^[A-Za-z0-9_-]{1,128}$/;

/**
 * @throws RpcError `Missing params` or `Invalid node info`; the latter names an invalid optional field
 */
export function readNodeInfo(params: Record<string, unknown> | undefined): NodeInfo {
  if (params === undefined) throw new RpcError('Missing params');
  const { id, machine, cwd, port, status, pid, dialKey, spawn_id: spawnId, dial_back: dialBack } = params;
  if (
    !isText(id, NODE_LIMITS.id) ||
    id === '' ||
    !isText(machine, NODE_LIMITS.machine) ||
    !isText(cwd, NODE_LIMITS.cwd) ||
    !isInteger(port, 1, 65535) ||
    (status !== NodeStatus.ACTIVE && status !== NodeStatus.OFFLINE)
  ) {
    throw new RpcError('Invalid node info');
  }
  const info: NodeInfo = { id, machine, cwd, port };
  if (pid !== undefined && pid !== null) {
    if (!isInteger(pid, 0, Number.MAX_SAFE_INTEGER)) throw new RpcError('Invalid node info');
    info.pid = pid;
  }
  if (dialKey !== undefined && dialKey !== null) {
    if (typeof dialKey !== 'string' || !DIAL_KEY.test(dialKey)) throw new RpcError('Invalid node info');
    info.dialKey = dialKey;
  }
  if (spawnId !== undefined && spawnId !== null) {
    if (!isText(spawnId, NODE_LIMITS.spawnId)) throw new RpcError('Invalid node info: spawn_id');
    info.spawnId = spawnId;
  }
  if (dialBack !== undefined && dialBack !== null) {
    if (typeof dialBack !== 'boolean') throw new RpcError('Invalid node info: dial_back');
    if (dialBack) info.dialBack = true;
  }
  const details = readDetails(params);
  if (!isEmpty(details)) info.details = details;
  return info;
}
