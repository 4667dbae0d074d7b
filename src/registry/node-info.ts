/**
 * What an agent says of itself when it registers: checked, bounded, and copied field by field. Any character but control
 * characters is fine in a field: ids reach the relay percent-encoded.
 */
import { NodeStatus } from '../protocol/registry.ts';
import { RpcError } from './rpc.ts';

export interface NodeInfo {
  id: string;
  machine: string;
  cwd: string;
  port: number;
  pid?: number;
  /** Presented to that agent alone when the daemon dials it; never shown to anyone. */
  dialKey?: string;
}

const MAX_ID_BYTES = 256;
/** The longest name DNS knows (RFC 1035, section 2.3.4). */
const MAX_MACHINE_BYTES = 253;
/** PATH_MAX on Linux. */
const MAX_CWD_BYTES = 4096;
const DIAL_KEY = /^[A-Za-z0-9_-]{1,128}$/;
/** C0, DEL and C1; and lone surrogates, which on the wire would turn into another text. */
const UNFIT_CHARACTER = /[\p{Cc}\p{Cs}]/u;

/** @throws RpcError `Missing params` or `Invalid node info` */
export function readNodeInfo(params: Record<string, unknown> | undefined): NodeInfo {
  if (params === undefined) throw new RpcError('Missing params');
  const { id, machine, cwd, port, status, pid, dialKey } = params;
  if (
    !isText(id, MAX_ID_BYTES) ||
    id === '' ||
    !isText(machine, MAX_MACHINE_BYTES) ||
    !isText(cwd, MAX_CWD_BYTES) ||
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
  return info;
}

function isText(value: unknown, maxBytes: number): value is string {
  return (
    typeof value === 'string' &&
    value.length <= maxBytes &&
    Buffer.byteLength(value) <= maxBytes &&
    !UNFIT_CHARACTER.test(value)
  );
}

function isInteger(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}
