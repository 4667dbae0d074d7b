/**
 * The registry's wire protocol, version "1": the messages between the daemon, agents and dashboards on `/ws`.
 *
 * Requests `{id?, method, params?}` are answered with `{id?, result}` or `{id?, error}`. Pushes carry `event`.
 */
import type {
  HubRequest,
  JoinParams,
  JoinResult,
  Machine,
  MachineEvent,
  RespondParams,
  ShareParams,
  ShareResult,
} from './hub.ts';

export const PROTOCOL_VERSION = '1';

/** The port that the daemon listens on by default. */
export const DEFAULT_PORT = 31415;

/** The registry's path. */
export const REGISTRY_PATH = '/ws';
/** The path of a relay is this prefix and the percent-encoded node id. */
export const RELAY_PATH_PREFIX = '/ws/agent/';
/** The path of a connection that an agent opens for the daemon is this prefix and the ticket. */
export const BACK_PATH_PREFIX = '/ws/back/';

export const NodeStatus = { ACTIVE: 'active', OFFLINE: 'offline' } as const;
export type NodeStatus = (typeof NodeStatus)[keyof typeof NodeStatus];

/** The activity of an agent. */
export const AgentState = { IDLE: 'idle', WORKING: 'working', WAITING: 'waiting', FAILED: 'failed' } as const;
export type AgentState = (typeof AgentState)[keyof typeof AgentState];

/** How the daemon has really opened a connection to an agent, or that it has not done so yet. */
export const Reach = { DIRECT: 'direct', DIAL_BACK: 'dial-back', UNPROVEN: 'unproven' } as const;
export type Reach = (typeof Reach)[keyof typeof Reach];

export const QuestionKind = {
  SELECT: 'select',
  CONFIRM: 'confirm',
  INPUT: 'input',
  EDITOR: 'editor',
  /** A component of an extension that only the terminal can show. Clients can dismiss it, but not answer it. */
  CUSTOM: 'custom',
} as const;
export type QuestionKind = (typeof QuestionKind)[keyof typeof QuestionKind];

/**
 * The bounds of a node's fields. The daemon refuses larger ones. Texts are measured in bytes of UTF-8 and have no
 * control characters.
 */
export const NODE_LIMITS = {
  id: 256,
  /** The longest name in DNS (RFC 1035, section 2.3.4). */
  machine: 253,
  /** PATH_MAX on Linux. */
  cwd: 4096,
  name: 256,
  session: 128,
  model: 128,
  tool: 128,
  questionId: 128,
  questionTitle: 512,
  questionOption: 128,
  /** Options of a question. An agent with more options leaves all of them out. */
  questionOptions: 16,
  spawnId: 64,
} as const;

/** The used part of the model's context, in tokens. */
export interface ContextUsage {
  used: number;
  max: number;
}

/** The oldest question that waits for a person, as much of it as a roster shows. */
export interface NodeQuestion {
  id: string;
  kind: QuestionKind;
  title: string;
  /** Missing if there are none, or they are too many or too long. Then only clients of a relay can answer. */
  options?: string[];
}

/** The fields with which an agent describes itself, beside its address. */
export interface NodeDetails {
  /** The session's name. */
  name?: string;
  /** The id of the agent's session. */
  session?: string;
  /** The model in use. */
  model?: string;
  state?: AgentState;
  /** The name of the running tool. */
  tool?: string;
  context?: ContextUsage;
  /** US dollars so far. */
  cost?: number;
  question?: NodeQuestion;
  /** The number of questions that wait for a person. */
  questions?: number;
  /** On a node whose session was replaced: the id of the new session's node. */
  successor?: string;
}

/** An agent's entry in the registry. Times are in Unix seconds, on the daemon's clock. */
export interface Node extends NodeDetails {
  id: string;
  machine: string;
  cwd: string;
  port: number;
  status: NodeStatus;
  offline_since?: number;
  last_seen?: number;
  pid?: number;
  /** When the agent entered `state`, and when `tool` started. */
  state_since?: number;
  tool_since?: number;
  /** The id in the answer to `spawn_agent`, if the daemon started the agent. */
  spawn_id?: string;
  reach?: Reach;
  reach_since?: number;
  /** Why the way is unproven: a sentence. */
  reach_error?: string;
  /** The name of the machine whose hub it registered with, as `list_machines` has it; missing if that is this one. */
  hub?: string;
}

/**
 * How long ago, in seconds, the agent entered the state and the tool started; 0 if missing. They are sent beside
 * `state` and `tool`, so a daemon with another clock, or one that started later, knows both moments.
 */
export interface Ages {
  state_age?: number;
  tool_age?: number;
}

export interface RegisterParams extends NodeDetails, Ages {
  id: string;
  /** The name of the machine that the agent runs on. */
  machine: string;
  cwd: string;
  port: number;
  status: NodeStatus;
  pid?: number;
  /** base64url, at most 128 characters. The daemon presents it as a bearer token when it dials this agent. */
  dialKey?: string;
  /** The agent can open connections to the daemon, which then need not dial. */
  dial_back?: boolean;
  spawn_id?: string;
}

/** Missing fields stay as they are; null removes a field. */
export type UpdateParams = { [Field in keyof NodeDetails]?: NonNullable<NodeDetails[Field]> | null } & Ages;

/** The topics that a connection may subscribe to, beside the roster. */
export const Feature = {
  /** `node_updated` for every node. */
  UPDATES: 'updates',
  /** `spawn_ended` for every agent that this connection has started. */
  SPAWNS: 'spawns',
  /** `machine_joined`, `machine_updated` and `machine_left`. */
  MACHINES: 'machines',
} as const;
export type Feature = (typeof Feature)[keyof typeof Feature];

/** A machine's name or id, as `list_machines` has it; missing for the daemon's own. */
interface OnMachine {
  machine?: string;
}

export interface SpawnParams extends OnMachine {
  /** A folder within home. */
  path: string;
  /** A folder in `path`. It is created if it does not exist. */
  new_folder?: string;
  /** The model to start with, in the notation of the agent's command line. */
  model?: string;
  /** The first prompt. */
  prompt?: string;
  /** A past session to continue, by its id in the answer to `list_sessions`. */
  session?: string;
}

export interface SpawnStatus {
  status: 'starting' | 'registered' | 'ended';
  /** The id of the agent's node, once the agent has registered. */
  node?: string;
  /** Of an ended agent; null if a signal ended it. */
  exit_code?: number | null;
  signal?: string | null;
  /** The end of its output, if the agent ended before it registered. */
  output?: string;
}

/** A past session of a folder. Lists begin with the newest. */
export interface PastSession {
  /** The value for `session` in `spawn_agent`. */
  session: string;
  name?: string;
  /** Unix seconds. */
  modified: number;
  /** The beginning of the first prompt. */
  first?: string;
}

/** The methods of the registry, with their parameters and results. */
export interface Methods {
  register: { params: RegisterParams; result: { status: 'registered'; dial_back?: true } };
  deregister: { params: { id: string }; result: { status: 'deregistered' | 'not_found' } };
  /** Changes the node that this connection registered. */
  update: { params: UpdateParams; result: { status: 'updated' } };
  subscribe: { params: { features: string[] }; result: { features: Feature[] } };
  list_nodes: { params: Record<string, never>; result: Node[] };
  /** A missing `path` means the home folder. */
  list_directories: { params: { path?: string } & OnMachine; result: { current: string; directories: string[] } };
  list_sessions: { params: { path?: string } & OnMachine; result: { path: string; sessions: PastSession[] } };
  /** The agent's registration contains the `spawn_id`. */
  spawn_agent: { params: SpawnParams; result: { status: 'spawning'; path: string; spawn_id?: string } };
  spawn_status: { params: { spawn_id: string } & OnMachine; result: SpawnStatus };
  ping: { params: Record<string, never>; result: { status: 'healthy'; nodes: number; version: string } };
  /** This machine first, then all whose hubs are joined to this one, directly or not. */
  list_machines: { params: Record<string, never>; result: Machine[] };
  /** These three are for other hubs. */
  join: { params: JoinParams; result: JoinResult };
  share: { params: ShareParams; result: ShareResult };
  respond: { params: RespondParams; result: { status: 'noted' } };
}
export type Method = keyof Methods;
export type Params<M extends Method> = Methods[M]['params'];
export type Result<M extends Method> = Methods[M]['result'];

export interface Request {
  id?: string | number;
  method: string;
  params?: Record<string, unknown>;
}

/** `error` is a sentence. */
export type Answer<M extends Method = Method> =
  | { id?: string | number; result: Result<M>; error?: never }
  | { id?: string | number; error: string; result?: never };

/** A change of the roster. */
export type RosterEvent =
  | { event: 'node_joined'; node: Node }
  | { event: 'node_offline'; id: string }
  | { event: 'node_removed'; id: string };

/** To subscribers of `updates`: the fields of a node that changed; null removes a field. */
export type NodeUpdated = { event: 'node_updated'; id: string } & {
  [Field in Exclude<keyof Node, 'id'>]?: NonNullable<Node[Field]> | null;
};

/** To subscribers of `spawns`. */
export interface SpawnEnded {
  event: 'spawn_ended';
  spawn_id: string;
  exit_code: number | null;
  signal: string | null;
  output: string;
}

/** To an agent that registered with `dial_back`, and to a hub that joined with `relay`: open `/ws/back/{ticket}` within ten seconds. */
export interface DialBack {
  event: 'dial_back';
  ticket: string;
}

/**
 * The whole roster. It is the first message on every registry connection. A later one replaces everything before it.
 */
export interface Init {
  event: 'init';
  nodes: Node[];
  protocol_version: typeof PROTOCOL_VERSION;
}

/** A push to every client. */
export type Push = Init | RosterEvent;
/** A push to the subscribers of its topic only. */
export type RequestedPush = NodeUpdated | SpawnEnded | DialBack | MachineEvent | HubRequest;
