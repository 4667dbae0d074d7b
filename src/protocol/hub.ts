/**
 * Hubs that join hubs: the messages between two daemons on `/ws`, and those to clients about machines.
 *
 * The upper hub is joined by the lower one, which connects as a client and asks to `join`. From then on it shares its
 * roster and its machines, opens connections for relays, and answers requests about its machine. Nothing else travels
 * down. Times are in Unix seconds, on the clock of the hub that says them.
 */
import type { Node, SpawnEnded } from './registry.ts';

/** The rights that a lower hub gives the upper hub. */
export const HubFeature = {
  /** It shares its nodes. Without it the hub is in the list of machines, and nothing more. */
  ROSTER: 'roster',
  /** It opens connections to its agents. */
  RELAY: 'relay',
  /** It lists folders and sessions, and starts agents. */
  SPAWN: 'spawn',
} as const;
export type HubFeature = (typeof HubFeature)[keyof typeof HubFeature];

/** The bounds of what hubs say. Texts are in bytes of UTF-8 and have no control characters. */
export const HUB_LIMITS = {
  /** A hub's id is so many lower-case hexadecimal digits: 128 random bits. */
  idDigits: 32,
  /** As a host's name. */
  name: 253,
  version: 64,
  /** `key`, `epoch` and `request_id`. */
  token: 64,
  /** The most hubs between an agent and a roster: longer paths are refused. */
  path: 8,
  /** Hubs below one, direct and not. */
  below: 64,
  /** An id of a node that came through hubs: each may add `@` and its name. */
  nodeId: 1024,
  /** The most bytes of one `share`; a longer one is sent in parts. */
  shareBytes: 512 * 1024,
  /** An error's sentence of a lower hub. */
  error: 4096,
  /** Milliseconds between two `share`s of machines whose numbers alone have changed. */
  loadIntervalMs: 10_000,
} as const;

export interface JoinParams {
  /** The same for the life of the hub. */
  id: string;
  /**
   * Proves that the id is its own: a secret text whose SHA-256, in hexadecimal, begins with the id. An id that was
   * proven cannot be taken by a hub that doesn't prove it.
   */
  key?: string;
  name: string;
  version: string;
  features: HubFeature[];
  /** The ids of all hubs below it, direct and not. */
  below: string[];
  now: number;
}

export interface JoinResult {
  status: 'joined';
  /** Of the upper hub. */
  id: string;
  name: string;
  version: string;
  /** The `share` that the upper hub has taken last, if it still holds what this hub has shared. */
  epoch?: string;
  seq?: number;
}

/** A node as in the roster of the hub that shares it. */
export interface SharedNode extends Node {
  /**
   * The ids of the hubs it came through: that of the hub it registered with first, that of the hub that shares it last.
   */
  path: string[];
}

/** A machine and the hub on it. */
interface MachineFacts {
  /** The hub's id. */
  id: string;
  name: string;
  version: string;
  /** Since when the hub is joined, or lost; of the machine that says so, since when it runs. */
  since: number;
  /** How many nodes registered with it. */
  nodes: number;
  /** What it lets callers do; of a machine below other hubs only what all between let them do. */
  features: HubFeature[];
  /** The load average over a minute. */
  load?: number;
  cpus?: number;
  /** In bytes. */
  memory_free?: number;
  memory?: number;
}

export interface SharedMachine extends MachineFacts {
  /** As in `SharedNode`: its own id first. */
  path: string[];
  /** The connection of the hub above it to it is lost. */
  lost?: true;
}

/**
 * A snapshot replaces everything that the hub has shared: `all` in every part, and `more` in all parts but the last,
 * with which it takes effect. Anything else is a change of what came before.
 */
export interface ShareParams {
  /** Random, one for each run of the hub. */
  epoch: string;
  /** One more than that of the message before. The first of a snapshot may have any. */
  seq: number;
  now: number;
  all?: boolean;
  more?: boolean;
  /** New nodes, and nodes that have changed, whole. */
  put?: SharedNode[];
  /** The ids of nodes that are no more. */
  gone?: string[];
  /**
   * All machines below, and its own; missing if nothing has changed. They come before the nodes on them, or with them.
   */
  machines?: SharedMachine[];
}

export interface ShareResult {
  status: 'shared';
  seq: number;
  /** How many of these nodes the upper hub has left out, because they do not fit or may not be shared. */
  left_out?: number;
}

/** The methods that an upper hub asks a lower one for. `machine` in its params is the id of a hub below it. */
export const HUB_REQUEST_METHODS = ['list_directories', 'list_sessions', 'spawn_agent', 'spawn_status'] as const;
export type HubRequestMethod = (typeof HUB_REQUEST_METHODS)[number];

/** A push to a lower hub, which answers it by `respond`. */
export interface HubRequest {
  event: 'request';
  request_id: string;
  method: HubRequestMethod;
  params: Record<string, unknown>;
}

/** One of `result` and `error` answers a request; a `push` comes after that, about the agent that it started. */
export interface RespondParams {
  request_id: string;
  result?: unknown;
  error?: string;
  push?: SpawnEnded;
}

/** How a hub stands with one that it joins. */
export interface UpperHub {
  /** Once it has joined. */
  name?: string;
  /** Without token, user and password. */
  url: string;
  status: 'connecting' | 'joined' | 'refused';
  /** Since when it has been so. */
  since: number;
  /** Why it is not joined. */
  reason?: string;
}

/** An entry of `list_machines`. Names are unique in it: two laptops are `laptop` and `laptop-2`. */
export interface Machine extends MachineFacts {
  /** `lost`: the connection to it is. It leaves a while later, unless it comes back. */
  status: 'connected' | 'lost';
  /** The machine that says so. */
  here?: true;
  /** Of this machine: what its host calls itself, as its agents do, if that is not its name. */
  host?: string;
  /** The name of the hub, joined to this one, that it is below. */
  via?: string;
  /** Of this machine: the hubs that it joins. */
  up?: UpperHub[];
}

/** To subscribers of `machines`. */
export type MachineEvent =
  | { event: 'machine_joined'; machine: Machine }
  | { event: 'machine_updated'; machine: Machine }
  | { event: 'machine_left'; id: string };
