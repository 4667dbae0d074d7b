/**
 * The words of the registry's wire protocol, version "1": what daemon, agents and dashboards say to each other on `/ws`.
 *
 * Requests `{id?, method, params?}` are answered with `{id?, result}` or `{id?, error}`. Pushes carry `event`.
 */

export const PROTOCOL_VERSION = '1';

/** Where the daemon listens unless told otherwise. */
export const DEFAULT_PORT = 31415;

/** The registry's path; a relay's path is this one, `/agent/` and the percent-encoded node id. */
export const REGISTRY_PATH = '/ws';
export const RELAY_PATH_PREFIX = '/ws/agent/';

/** The subprotocol our own clients offer first. */
export const SUBPROTOCOL = 'hypi.v1';

export const NodeStatus = { ACTIVE: 'active', OFFLINE: 'offline' } as const;
export type NodeStatus = (typeof NodeStatus)[keyof typeof NodeStatus];

/** An agent's entry in the registry. Times are in Unix seconds. */
export interface Node {
  id: string;
  machine: string;
  cwd: string;
  port: number;
  status: NodeStatus;
  offline_since?: number;
  last_seen?: number;
  pid?: number;
}

/** What changed in the roster. */
export type RosterEvent =
  | { event: 'node_joined'; node: Node }
  | { event: 'node_offline'; id: string }
  | { event: 'node_removed'; id: string };

/** The whole roster; the first message on every registry connection, and again whenever one replaces all before it. */
export interface Init {
  event: 'init';
  nodes: Node[];
  protocol_version: typeof PROTOCOL_VERSION;
}

export type Push = Init | RosterEvent;

/** A number beyond what JavaScript holds exactly is a bigint, so that it goes back as it came. */
export type RequestId = string | number | bigint;

export interface Request {
  id?: RequestId;
  method: string;
  params?: Record<string, unknown>;
}
