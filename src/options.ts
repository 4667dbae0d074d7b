/**
 * Every default and limit that can be set. Constants that the protocol or the machine fixes are next to the code that
 * uses them.
 */
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { HubFeature } from './protocol/hub.ts';
import { DEFAULT_PORT } from './protocol/registry.ts';

/**
 * Times are in milliseconds, sizes in bytes. The comments explain the limits here and in docs/reliability.md: `npm run
 * docs` copies them into its table.
 */
export const DEFAULT_LIMITS = {
  // Before a request is authorised
  /** Size of a request head. A token and a cookie fit easily. */
  maxHeadBytes: 16 * 1024,
  /** Fields of a request head. Browsers send fewer than 20. */
  maxHeadFields: 100,
  /**
   * Time from the accept to the last byte of a request head, even if it arrives byte by byte. The slowest phone needs
   * less.
   */
  headTimeoutMs: 10_000,
  /** How long a peer may read nothing of an answer that is being sent. */
  stallTimeoutMs: 60_000,
  /**
   * How long a peer may take to close its side once the whole answer is sent. The answer must arrive, and the
   * connection must end.
   */
  lingerTimeoutMs: 2_000,

  // The registry
  /** Size of a registry message. Requests are small; the longest field is 4 KiB. */
  maxMessageBytes: 1024 * 1024,
  /** Frames of one message. Honest clients send one frame, and each frame costs work. */
  maxFragments: 1024,
  /** Time from the first byte of a frame or a fragmented message to its last. */
  frameTimeoutMs: 30_000,
  /** Pings of one connection in a second; a burst may have twice as many. Clients ping every 25 to 60 s. */
  maxPingsPerSecond: 100,
  /** Requests of one connection that wait for the disk, which all connections share. */
  maxConcurrentRequests: 64,
  /** Unread answers of one connection. With more, its further requests wait. */
  maxUnreadBytes: 1024 * 1024,
  /** A larger roster is not sent unasked to a program: if ten thousand agents reconnect, none of them needs it. */
  eagerInitBytes: 64 * 1024,
  /** How long such a program may take to register. Then it gets the larger roster after all. */
  initDelayMs: 200,
  /** Roster changes that wait for one reader. With more, a fresh roster takes their place. */
  backlogBudgetBytes: 1024 * 1024,
  /** How long a reader over that budget may read nothing before it is closed. */
  laggardTimeoutMs: 30_000,
  /** Nodes in the roster. */
  maxNodes: 20_000,
  /** All nodes as JSON. Encoding that much occupies the only thread for about 20 ms. */
  maxRosterBytes: 8 * 1024 * 1024,

  // Other hubs
  /** Hubs that have joined this one. One fills at most half of the roster, and all of them three quarters. */
  maxHubs: 64,
  /** How long the nodes of a hub stay once its connection is lost. A laptop that changes networks takes less. */
  hubTtlMs: 60_000,
  /** How long another machine may take to answer. It may have to start an agent, and there may be a hub between. */
  hubRequestTimeoutMs: 20_000,

  // Connections
  /** Silence before a peer is pinged; after three times as long it counts as dead. Proxies cut idle tunnels at 60 s. */
  pingIntervalMs: 25_000,
  /** How long a peer may take for its part of a closing handshake. */
  closingTimeoutMs: 5_000,
  /** Time to find an agent, to connect to it and to shake hands. A person is waiting. */
  dialTimeoutMs: 5_000,
  /**
   * The time after which the way to an agent that no relay uses is proven again, by a bare connection. Most agents stay
   * at their address.
   */
  proofIntervalMs: 10 * 60_000,
  /**
   * Dials in progress. Each holds a descriptor, and a dial to an agent that vanished holds it until the dial times out.
   */
  maxDials: 1024,
  /**
   * Dials in progress for clients at one address, which may be a proxy's. Further dials wait while others have their
   * turn.
   */
  maxDialsPerAddress: 128,
  /**
   * Bytes that a client may send before its relay is open. After that it is not read. A chunk that was read is kept
   * whole.
   */
  maxEarlyBytes: 4 * 1024,
  /**
   * Connections, accepted and dialled. At most the descriptor limit, less the descriptors open at the start, less 32.
   */
  maxConnections: Number.POSITIVE_INFINITY,
  /** How long connections may take to end when the daemon ends. Supervisors wait 10 s before they kill it. */
  drainTimeoutMs: 2_500,

  // This machine
  /** How long a caller waits for this machine's disk. A disk that has to spin up takes a few seconds. */
  hostTimeoutMs: 5_000,
  /**
   * How long an agent must live without registering before its caller is told that it starts. A pi that fails ends
   * within 2 s.
   */
  spawnSettleMs: 3_000,
  /** Size of the output file of an agent started here. A larger one is emptied. */
  maxOutputBytes: 16 * 1024 * 1024,
  /** How often output files are checked while agents live. */
  outputCheckIntervalMs: 10_000,
  /** How long the output file of an agent is kept once the agent has ended. */
  outputRetentionMs: 7 * 24 * 3600 * 1000,
} as const;

export type Limits = { readonly [name in keyof typeof DEFAULT_LIMITS]: number };

/** A hub to join, and what it may do. */
export interface JoinOptions {
  /** Of its page or its registry: `ws:`, `wss:`, `http:` or `https:`, without a token, a user or a password. */
  url: string;
  /** Its pre-shared key; empty or absent for none. */
  token?: string;
  /** Certificates in PEM to trust instead of those that Node trusts. */
  ca?: string;
  /**
   * What it may do: see this hub's agents (`roster`), reach them (`relay`), start agents here (`spawn`). Default: all.
   */
  features?: readonly HubFeature[];
}

/** The options. Each has a default. */
export interface HypivisorOptions {
  /** 0 takes a free port. Default 31415. */
  port?: number;
  /** The only address to listen on. Default: loopback without a token, every interface with one. */
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
  /**
   * The command that starts an agent: a program and its arguments, without a shell. Default `pi --mode rpc`, which runs
   * without a terminal. A program with a slash is relative to the daemon's folder, never to an agent's folder.
   */
  spawnCommand?: readonly string[];
  /** The largest number of living agents that this daemon has started. Default 32; 0 starts none. */
  maxAgents?: number;
  /** Memory that must be available for one more agent to be started, in bytes. Default 256 MiB. */
  minFreeMemory?: number;
  /** The folder for the output of agents started here. Default `.pi/logs/agents` in the home folder. */
  outputDirectory?: string;
  /**
   * The environment of agents started here, beside `HYPIVISOR_WS`, `HYPI_TOKEN` and `HYPI_SPAWN_ID`. Default: that of
   * this process, without the variables for the daemon alone (`NODE_ENV`, `NODE_OPTIONS`, `HYPI_…`, and those that npm
   * and systemd add).
   */
  environment?: NodeJS.ProcessEnv;
  /**
   * The folder of the built dashboard, which is served at `/`; null for none. Default: this package's, if it was built.
   */
  dashboardDirectory?: string | null;
  /** The hubs to join. Each has power over this machine's agents as far as its `features` go. Default none. */
  join?: readonly JoinOptions[];
  /** The name under which this machine is known to other hubs and to clients. Default: the name of the host. */
  hubName?: string;
  /** A secret text that the id of this hub is made of, at most 64 bytes. Default: a new one for each daemon. */
  hubKey?: string;
  limits?: Partial<Limits>;
}

/** The options of one join, complete. */
export interface JoinSettings {
  readonly url: string;
  readonly token: string | null;
  readonly ca: string | null;
  readonly features: readonly HubFeature[];
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
  readonly maxAgents: number;
  readonly minFreeMemory: number;
  readonly outputDirectory: string;
  /** Null for the environment of the person who started this process. */
  readonly environment: NodeJS.ProcessEnv | null;
  readonly dashboardDirectory: string | null;
  readonly join: readonly JoinSettings[];
  readonly hubName: string;
  /** Null for a new one. */
  readonly hubKey: string | null;
  readonly limits: Limits;
}

export const DEFAULT_NODE_TTL_MS = 30_000;
export const DEFAULT_SPAWN_COMMAND = ['pi', '--mode', 'rpc'];
export const DEFAULT_MAX_AGENTS = 32;
export const DEFAULT_MIN_FREE_MEMORY = 256 * 1024 * 1024;
/** The same folder from `src/` and from `dist/`. */
const DEFAULT_DASHBOARD_DIRECTORY = fileURLToPath(new URL('../dist/dashboard', import.meta.url));

/**
 * Completes the options.
 *
 * @throws Error if the token begins or ends with white space, which no client can send in a header field
 */
export function withDefaults(options: HypivisorOptions): Settings {
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
    spawnCommand: resolveProgram(options.spawnCommand ?? DEFAULT_SPAWN_COMMAND, home),
    maxAgents: options.maxAgents ?? DEFAULT_MAX_AGENTS,
    minFreeMemory: options.minFreeMemory ?? DEFAULT_MIN_FREE_MEMORY,
    outputDirectory: options.outputDirectory ?? path.join(home, '.pi', 'logs', 'agents'),
    dashboardDirectory:
      options.dashboardDirectory === undefined ? DEFAULT_DASHBOARD_DIRECTORY : options.dashboardDirectory,
    environment: options.environment ?? null,
    join: (options.join ?? []).map(({ url, token, ca, features }) => ({
      url,
      token: token ? token : null,
      ca: ca ?? null,
      features: features ?? Object.values(HubFeature),
    })),
    hubName: options.hubName ?? nameOfHost(os.hostname()),
    hubKey: options.hubKey ?? null,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  };
}

/**
 * Makes a program with a slash absolute. Opening a folder must not run a program in it: `./agent.sh` is the file of the
 * person who started the daemon, never a file of a cloned repository.
 */
function resolveProgram([program, ...args]: readonly string[], home: string): string[] {
  if (program === undefined) return [];
  const hasSlash = program.includes('/') || program.includes(path.sep);
  return [hasSlash ? path.resolve(program.replace(/^~(?=\/)/, () => home)) : program, ...args];
}

/** The name of the host as a hub may be called: a host may be called anything, or nothing. */
function nameOfHost(hostName: string): string {
  return hostName.replace(/[\p{Cc}\p{Cs}\ufffd]/gu, '').trim() || 'unnamed';
}
