/**
 * Every default and limit that can be set, in one table: unit, value, reason or precedent. What the protocol or the
 * machine fixes stands where it is used.
 */
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_PORT } from './protocol/registry.ts';

/** Times in milliseconds, sizes in bytes. */
export const DEFAULT_LIMITS = {
  // Before a request is authorised
  /** A head's size. nginx takes 32 KiB in four buffers, Node 16 KiB; a token and a cookie fit well. */
  maxHeadBytes: 16 * 1024,
  /** Fields in a head. HAProxy, Envoy and uWebSockets take about 100; browsers send fewer than 20. */
  maxHeadFields: 100,
  /** A head, from the accept to its last byte, dripped or not. The slowest phone needs less; nginx waits 60 s. */
  headTimeoutMs: 10_000,
  /** How long a peer may take nothing of an answer that is being sent. nginx waits as long. */
  stallTimeoutMs: 60_000,
  /** How long a peer may take to end its side once all of our last words are out. */
  lingerTimeoutMs: 2_000,

  // The registry
  /** A message. Requests are small; the longest field is 4 KiB. */
  maxMessageBytes: 1024 * 1024,
  /** Frames to a message. Honest clients send one; the bound is on work, for the bytes are bounded above. */
  maxFragments: 1024,
  /** A frame or a fragmented message from its first byte to its last. */
  frameTimeoutMs: 30_000,
  /** Pings a second, twice as many in a burst. Clients ping every 25 to 60 s. */
  maxPingsPerSecond: 100,
  /** Requests of one connection that wait for the disk. */
  maxConcurrentRequests: 64,
  /** Past this many bytes of answers not read, a connection's further requests wait. */
  maxUnreadBytes: 1024 * 1024,
  /** A larger roster is not sent unasked to a connection that may be about to register. */
  eagerInitBytes: 64 * 1024,
  /** How long such a connection may take to register before it gets the roster after all. */
  initDelayMs: 200,
  /** What may wait for one reader of the roster before it is brought up to date by a fresh one instead. */
  backlogBudgetBytes: 1024 * 1024,
  /** How long a reader over its budget may go on without reading. */
  laggardTimeoutMs: 30_000,
  /** Nodes in the roster. */
  maxNodes: 20_000,
  /** All nodes as JSON. The one thread encodes a roster of that size in about 20 ms. */
  maxRosterBytes: 8 * 1024 * 1024,

  // Connections
  /** Silence after which a peer is pinged; after three times as long it is dead. Proxies cut idle tunnels at 60 s. */
  pingIntervalMs: 25_000,
  /** The peer's part of a closing handshake. */
  closingTimeoutMs: 5_000,
  /** Finding, connecting to and shaking hands with an agent. */
  dialTimeoutMs: 5_000,
  /** Past this a client is not read until its relay is open; what one chunk brings is kept whole. */
  maxEarlyBytes: 4 * 1024,
  /** Connections, accepted and dialled together; never more than the descriptor limit allows, less a reserve of 32. */
  maxConnections: Number.POSITIVE_INFINITY,
  /** How long the end of everything may take, once asked for. Supervisors wait 10 s before they kill. */
  drainTimeoutMs: 2_500,

  // Agents started here
  /** An agent's output file is emptied past this size. */
  maxOutputBytes: 16 * 1024 * 1024,
  /** How often output files are looked at. */
  outputCheckIntervalMs: 10_000,
  /** An output file of an agent that has ended is removed after this long. */
  outputRetentionMs: 7 * 24 * 3600 * 1000,
} as const;

export type Limits = { readonly [name in keyof typeof DEFAULT_LIMITS]: number };

/** What can be set. Everything has a default. */
export interface HypivisorOptions {
  /** 0 takes a free one. Default 31415. */
  port?: number;
  /** The one address to listen on. Default: loopback without a token, every interface with one. */
  host?: string;
  /** The pre-shared key; empty or absent for none. */
  token?: string;
  /** How long an offline node stays in the roster, in milliseconds. Default 30 s. */
  nodeTtlMs?: number;
  /** Origins, `scheme://host[:port]`, whose pages may connect without a token. */
  allowOrigins?: readonly string[];
  /** Names, beside this machine's own, under which browsers may reach the daemon without a token. */
  allowHosts?: readonly string[];
  /** The folder that callers may list and start agents in. Default: the home folder. */
  home?: string;
  /** What starts an agent, without a shell. Default `pi --mode rpc`, which lives without a terminal. */
  spawnCommand?: readonly string[];
  /** Where the output of agents started here goes. Default `.pi/logs/agents` in the home folder. */
  outputDirectory?: string;
  /** What agents started here get for an environment, beside `HYPIVISOR_WS` and `HYPI_TOKEN`. Default: this process's. */
  environment?: NodeJS.ProcessEnv;
  /** The built dashboard, which is served at `/`; null for none. Default: the one of this package, if it was built. */
  dashboardDirectory?: string | null;
  limits?: Partial<Limits>;
}

/** The options of one daemon, complete. */
export interface Settings {
  readonly port: number;
  readonly host: string | null;
  readonly token: string | null;
  readonly nodeTtlMs: number;
  readonly allowOrigins: readonly string[];
  readonly allowHosts: readonly string[];
  readonly home: string;
  readonly spawnCommand: readonly string[];
  readonly outputDirectory: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly dashboardDirectory: string | null;
  readonly limits: Limits;
}

export const DEFAULT_NODE_TTL_MS = 30_000;
export const DEFAULT_SPAWN_COMMAND = ['pi', '--mode', 'rpc'];
/** Found from `src/` and from `dist/` alike. */
const DEFAULT_DASHBOARD_DIRECTORY = fileURLToPath(new URL('../dist/dashboard', import.meta.url));

/** @throws Error if the token begins or ends with white space, which no client can send in a header field */
export function complete(options: HypivisorOptions): Settings {
  if (options.token && options.token.trim() !== options.token) {
    throw new Error('the token must not begin or end with white space');
  }
  const home = options.home ?? os.homedir();
  return {
    port: options.port ?? DEFAULT_PORT,
    host: options.host ?? null,
    token: options.token ? options.token : null,
    nodeTtlMs: options.nodeTtlMs ?? DEFAULT_NODE_TTL_MS,
    allowOrigins: options.allowOrigins ?? [],
    allowHosts: options.allowHosts ?? [],
    home,
    spawnCommand: options.spawnCommand ?? DEFAULT_SPAWN_COMMAND,
    outputDirectory: options.outputDirectory ?? path.join(home, '.pi', 'logs', 'agents'),
    environment: options.environment ?? process.env,
    dashboardDirectory:
      options.dashboardDirectory === undefined ? DEFAULT_DASHBOARD_DIRECTORY : options.dashboardDirectory,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  };
}
