/**
 * What an agent and its clients say to each other on a relay.
 *
 * Classic mode, for a client that offers no subprotocol or `hypi.v1` alone: `init_state`, then pi's own events as they
 * are; a prompt is plain text.
 *
 * Delta mode, for a client that also offers `hypi.delta.v1`, when the agent chooses it: each thing is told once. Every
 * `StreamEvent` has `seq`, one more than the event before it, the same for all clients. A client that comes back offers
 * `hypi.resume.<epoch>.<seq>`; the agent's first message is then `resumed` and the events it missed follow, or, if the
 * agent has them no more, `init_state`. A client that handled `init_state` drops events up to its `seq`.
 */
import type { AgentState, ContextUsage, QuestionKind } from './registry.ts';

/** The bounds of what an agent sends and takes, in bytes. */
export const AGENT_LIMITS = {
  /** `init_state`, and a `history_page`. */
  snapshotBytes: 500_000,
  /** One message from a client: an attachment of `attachmentBytes` in base64, with room for the rest. */
  messageBytes: 16 * 1024 * 1024,
  /** The attachments of one prompt together, decoded. */
  attachmentBytes: 10 * 1024 * 1024,
  /** Prompts in the queue; one more is refused. */
  queueEntries: 32,
  /** The longest `id` of a prompt, and the longest `client`. */
  idBytes: 128,
} as const;

/** Why an agent closes a client's connection, beside 1000. */
export const AgentCloseCode = {
  /** pi is quitting. */
  GOING_AWAY: 1001,
  /** The client has not read for too long: connect again, and resume. */
  TRY_AGAIN_LATER: 1013,
  /** The session was replaced by another; the reason names the node that follows. */
  SESSION_REPLACED: 4001,
  /** pi loads its extensions anew: the same node is back in a moment. */
  RELOADING: 4002,
} as const;

const SUCCESSOR_PREFIX = 'successor:';

/** The close reason that goes with `SESSION_REPLACED`. */
export function successorReason(nodeId: string): string {
  return SUCCESSOR_PREFIX + nodeId;
}

/** The id of the node that follows, or null if the reason names none. */
export function successorOf(closeReason: string): string | null {
  return closeReason.startsWith(SUCCESSOR_PREFIX) ? closeReason.slice(SUCCESSOR_PREFIX.length) : null;
}

// Messages of the conversation: pi's own, passed on as they are

export interface TextPart {
  type: 'text';
  text: string;
}
export interface ThinkingPart {
  type: 'thinking';
  thinking: string;
  redacted?: boolean;
}
export interface ToolCallPart {
  type: 'toolCall';
  id: string;
  name: string;
  arguments: Record<string, unknown>;
  /** Of a message being written: the JSON of its arguments, as far as it has come; `arguments` is empty until then. */
  partial?: string;
}
export interface ImagePart {
  type: 'image';
  /** base64 */
  data: string;
  mimeType: string;
}
export type ContentPart = TextPart | ThinkingPart | ToolCallPart | ImagePart;

/**
 * A message of the conversation. Beside `role` every field is optional, for newer pis add roles and fields. Roles so far:
 * `user`, `assistant`, `toolResult`, `bashExecution`, `custom`, `compactionSummary`, `branchSummary`.
 */
export interface Message {
  role: string;
  content?: string | ContentPart[];
  /** Milliseconds since the Unix epoch. */
  timestamp?: number;
  /** Of an assistant: `stop`, `length`, `toolUse`, `error`, `aborted`. */
  stopReason?: string;
  errorMessage?: string;
  model?: string;
  provider?: string;
  usage?: unknown;
  /** Of a tool's result. */
  toolCallId?: string;
  toolName?: string;
  isError?: boolean;
  details?: unknown;
  /** Of a summary. */
  summary?: string;
  /** Of a `custom` message: false if it is not for people. */
  display?: boolean;
  customType?: string;
  /** Of a `bashExecution`. */
  command?: string;
  output?: string;
  exitCode?: number;
  /** The message was too large to be sent whole: what is missing can be had by `fetch_message`. */
  cut?: Cut;
}

export interface Cut {
  /** The message's index in the history. */
  index: number;
  /** Its size as JSON, in bytes. */
  bytes: number;
}

// What is on the agent's screen

export interface Tool {
  name: string;
  description?: string;
}
export interface Command {
  /** With its slash. */
  name: string;
  description?: string;
}

export interface RunningTool {
  toolCallId: string;
  toolName: string;
  /** Missing if they are large: the call with this id, in the assistant's message before, has them. */
  args?: unknown;
  /** Milliseconds since the Unix epoch, on the agent's clock. */
  startedAt: number;
  /** Missing until it has printed something. */
  output?: string;
  /** The tool that called this one; the call is then in no message. */
  parentToolCallId?: string;
}

export type Delivery = 'followUp' | 'steer';

/** A prompt that waits for its turn. */
export interface QueueEntry {
  /** The id that its client gave the prompt, or one made by the agent. */
  id: string;
  text: string;
  deliver: Delivery;
  /** How many files go with it. */
  attachments?: number;
  /** Who sent it, as that client called itself. */
  client?: string;
  /** Milliseconds since the Unix epoch, on the agent's clock. */
  queuedAt: number;
}

/** A question that waits for a person. */
export interface Question {
  id: string;
  kind: QuestionKind;
  title: string;
  /** Of a `confirm`. */
  message?: string;
  /** Of a `select`: the answer is one of them. */
  options?: string[];
  /** Of an `input`. */
  placeholder?: string;
  /** Of an `editor`: the text to begin with. */
  prefill?: string;
  /** Milliseconds since the Unix epoch, on the agent's clock. */
  askedAt: number;
  /** Milliseconds since the Unix epoch, on the agent's clock: who asked waits no longer than this. */
  expiresAt?: number;
  /** Dismissing it also stops the run. */
  dismissStops?: boolean;
}

export interface SessionInfo {
  id: string;
  name?: string;
  model?: string;
  thinking?: string;
  context?: ContextUsage;
  /** US dollars so far. */
  cost?: number;
}

/**
 * `delivered`: the prompt is in the conversation, or its command has run. The last three are final. `abort` removes all
 * prompts that wait, with the error `stopped`: what their client does with the texts is its own affair.
 */
export type PromptStatus = 'queued' | 'delivered' | 'failed' | 'removed';

export interface PromptOutcome {
  id: string;
  status: PromptStatus;
  error?: string;
}

/** The abilities of an agent beside the classic mode, for a client that is newer or older than it. */
export const AgentFeature = {
  QUEUE: 'queue',
  STEER: 'steer',
  /** Slash commands in prompts are run. */
  COMMANDS: 'commands',
  ATTACHMENTS: 'attachments',
  QUESTIONS: 'questions',
} as const;
export type AgentFeature = (typeof AgentFeature)[keyof typeof AgentFeature];

/** The first message in both modes, unless a client resumes. Classic clients know the first five fields. */
export interface InitState {
  type: 'init_state';
  /** The end of the history, as much of it as fits. */
  messages: Message[];
  tools: Tool[];
  /** There is more before `messages`. */
  truncated?: boolean;
  totalMessages?: number;
  /** The index of the first of `messages` in the history. */
  oldestIndex: number;
  epoch: string;
  /** Events up to this one are in here. */
  seq: number;
  cwd: string;
  session: SessionInfo;
  state: AgentState;
  /** Milliseconds since the Unix epoch, on the agent's clock; so is `now`, which tells how far that clock is off. */
  stateSince: number;
  now: number;
  /** Why it is `failed`. */
  error?: string;
  /** The message being written, as far as it is; `message_delta`s go on with it. */
  live?: Message;
  runningTools: RunningTool[];
  queue: QueueEntry[];
  /** The prompts of late that are in the queue no more, so that a client that lost its connection learns what became of its own. */
  prompts: PromptOutcome[];
  /** Oldest first. */
  questions: Question[];
  features: AgentFeature[];
  /** Something did not fit into the live message, the tools' output or the queue: it was cut at its beginning. */
  cut?: true;
}

/** The events after the position that the client offered follow. */
export interface Resumed {
  type: 'resumed';
  epoch: string;
  seq: number;
  now: number;
}

/** The one who settled a question. */
export type SettledBy = 'terminal' | 'dashboard' | 'dismissed' | 'timeout' | 'gone';

export interface QuestionSettled {
  type: 'question_settled';
  id: string;
  /** `timeout` and `gone`: the asker no longer waits. */
  by: SettledBy;
  /** As the client that answered or dismissed it called itself. */
  client?: string;
  /** The answer, if there was one. */
  value?: string | boolean;
}

/**
 * More of part `index` of the content of the message being written. Parts that come before it and had no delta yet are
 * empty texts until the message ends.
 */
export interface MessageDelta {
  type: 'message_delta';
  kind: 'text' | 'thinking' | 'toolcall';
  index: number;
  /** Of a `toolcall`: a piece of its arguments as JSON. */
  delta: string;
  /** On the first of a `toolcall`. */
  call?: { id: string; name: string };
}

export interface ToolEnd {
  type: 'tool_end';
  toolCallId: string;
  toolName: string;
  /** `{content, details?}`. Missing if it is large: the `toolResult` message with this id, which follows, has it. */
  result?: { content?: ContentPart[]; details?: unknown };
  isError: boolean;
  durationMs: number;
}

/** An event, without its number. */
export type AgentEvent =
  /** An assistant begins to write: its content is empty, and comes as deltas. Other messages only have a `message_end`. */
  | { type: 'message_start'; message: Message }
  | MessageDelta
  /** The whole message, which counts, whatever the deltas were; `prompt` is the id of the prompt it came from. */
  | { type: 'message_end'; message: Message; index: number; prompt?: string }
  | ({ type: 'tool_start' } & RunningTool)
  /** What the tool has printed: without its first `drop` UTF-16 units, and with `append` behind it. */
  | { type: 'tool_update'; toolCallId: string; drop?: number; append: string }
  | ToolEnd
  | { type: 'state'; state: AgentState; since: number; error?: string }
  /** The fields that changed, null for one that is gone. */
  | ({ type: 'session' } & { [Field in keyof SessionInfo]?: NonNullable<SessionInfo[Field]> | null })
  /** The whole queue. */
  | { type: 'queue'; entries: QueueEntry[] }
  | ({ type: 'prompt_status' } & PromptOutcome)
  | { type: 'question'; question: Question }
  | QuestionSettled
  /** An extension tells people something. */
  | { type: 'notice'; level: 'info' | 'warning' | 'error'; text: string }
  /** The history is another one: `fetch_history` brings it, or connecting without a resume entry. */
  | { type: 'history_reset' };

export type StreamEvent = AgentEvent & { seq: number };

/** Answers to requests of one client. */
export interface HistoryPage {
  type: 'history_page';
  messages: Message[];
  hasMore: boolean;
  oldestIndex: number;
}
export interface CommandsList {
  type: 'commands_list';
  commands: Command[];
}
export interface FilesList {
  type: 'files_list';
  /** Relative to `cwd`. */
  files: { path: string; isDirectory: boolean }[];
  cwd: string;
  /** As it was asked for. */
  prefix?: string;
}
export interface AttachFileAck {
  type: 'attach_file_ack';
  filename: string;
  success: boolean;
  error?: string;
}
export interface WholeMessage {
  type: 'message';
  index: number;
  message: Message;
}
/** `request` is the `type` of the request that failed, `id` its id or index; `error` a sentence. */
export interface RequestError {
  type: 'error';
  request?: string;
  id?: string | number;
  error: string;
}

export type AgentAnswer =
  | HistoryPage
  | CommandsList
  | FilesList
  | AttachFileAck
  | WholeMessage
  | RequestError
  /** Again, to a client whose answer came second. */
  | QuestionSettled
  /** Again, to a client that sent the same prompt twice. */
  | ({ type: 'prompt_status' } & PromptOutcome);

/** Everything an agent sends in delta mode. */
export type FromAgent = InitState | Resumed | StreamEvent | AgentAnswer;

export interface Attachment {
  filename: string;
  /** base64 */
  data: string;
  /** Guessed from the name if missing. Images go as images, text as text, and anything else is refused. */
  mimeType?: string;
}

/** The messages that classic clients send beside plain text, and others too. */
export type ClassicRequest =
  | { type: 'abort' }
  | { type: 'fetch_history'; before: number; limit: number }
  | { type: 'list_commands' }
  | { type: 'list_files'; prefix?: string }
  | { type: 'attach_file'; filename: string; content: string; mimeType?: string };

/** `client` is what a client calls itself, for the others to read. */
export type AgentRequest =
  | ClassicRequest
  /** An id that was used before is not sent again: it is answered with what became of the first. */
  | { type: 'prompt'; id: string; text: string; attachments?: Attachment[]; deliver?: Delivery; client?: string }
  | { type: 'queue_remove'; id: string }
  | { type: 'queue_steer'; id: string }
  /** A boolean for `confirm`, one of the options for `select`, any text else. */
  | { type: 'answer'; id: string; value: string | boolean; client?: string }
  | { type: 'dismiss'; id: string; client?: string }
  | { type: 'fetch_message'; index: number };
