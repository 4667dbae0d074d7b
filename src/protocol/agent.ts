/**
 * The messages between an agent and its clients on a relay.
 *
 * Classic mode, for a client that offers no subprotocol or `hypi.v1` alone: `init_state`, then pi's own events as they
 * are; a prompt is plain text.
 *
 * Delta mode, for a client that also offers `hypi.delta.v1`, if the agent chooses it: everything is sent once. Every
 * `StreamEvent` has `seq`, one more than the event before it, the same for all clients. A client that reconnects offers
 * `hypi.resume.<epoch>.<seq>`. The agent's first message is then `resumed`, and the missed events follow; or it is
 * `init_state`, if the agent no longer has those events. A client that handled `init_state` drops events up to its
 * `seq`.
 */
import type { AgentState, ContextUsage, QuestionKind } from './registry.ts';

/** The bounds of the messages that an agent sends and accepts. Sizes are in bytes. */
export const AGENT_LIMITS = {
  /** An `init_state` or a `history_page`. */
  snapshotBytes: 500_000,
  /** One message from a client: an attachment of `attachmentBytes` in base64, with room for the rest. */
  messageBytes: 16 * 1024 * 1024,
  /** The attachments of one prompt together, decoded. */
  attachmentBytes: 10 * 1024 * 1024,
  /** Prompts in the queue. Another one is refused. */
  queueEntries: 32,
  /** The longest `id` of a prompt, and the longest `client`. */
  idBytes: 128,
} as const;

/** The codes, beside 1000, with which an agent closes a client's connection. */
export const AgentCloseCode = {
  /** pi is quitting. */
  GOING_AWAY: 1001,
  /** The client has not read for too long. It should reconnect and resume. */
  TRY_AGAIN_LATER: 1013,
  /** Another session replaced this one. The reason names its node. */
  SESSION_REPLACED: 4001,
  /** pi reloads its extensions. The same node will be back in a moment. */
  RELOADING: 4002,
} as const;

const SUCCESSOR_PREFIX = 'successor:';

/** The close reason that goes with `SESSION_REPLACED`. */
export function successorReason(nodeId: string): string {
  return SUCCESSOR_PREFIX + nodeId;
}

/** The id of the node of the session that replaced this one, or null if the reason names none. */
export function successorOf(closeReason: string): string | null {
  return closeReason.startsWith(SUCCESSOR_PREFIX) ? closeReason.slice(SUCCESSOR_PREFIX.length) : null;
}

// Messages of the conversation: pi's own, passed on unchanged

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
  /**
   * In a message being written: the beginning of the JSON of the arguments. `arguments` is empty until it is complete.
   */
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
 * A message of the conversation. Only `role` is certain, because newer pis add roles and fields. Roles so far:
 * `user`, `assistant`, `toolResult`, `bashExecution`, `custom`, `compactionSummary`, `branchSummary`.
 */
export interface Message {
  role: string;
  content?: string | ContentPart[];
  /** Milliseconds since the Unix epoch. */
  timestamp?: number;
  /** For an assistant: `stop`, `length`, `toolUse`, `error` or `aborted`. */
  stopReason?: string;
  errorMessage?: string;
  model?: string;
  provider?: string;
  usage?: unknown;
  /** For a tool's result. */
  toolCallId?: string;
  toolName?: string;
  isError?: boolean;
  details?: unknown;
  /** For a summary. */
  summary?: string;
  /** For a `custom` message: false if it is not for people. */
  display?: boolean;
  customType?: string;
  /** For a `bashExecution`. */
  command?: string;
  output?: string;
  exitCode?: number;
  /** Present if the message was too large to be sent whole. `fetch_message` gets the whole message. */
  cut?: Cut;
}

export interface Cut {
  /** The message's index in the history. */
  index: number;
  /** The size of the whole message as JSON, in bytes. */
  bytes: number;
}

// The state of the agent, as its screen shows it

export interface Tool {
  name: string;
  description?: string;
}
export interface Command {
  /** Including the slash. */
  name: string;
  description?: string;
}

export interface RunningTool {
  toolCallId: string;
  toolName: string;
  /** Missing if large: the call with this id in the preceding message of the assistant has them. */
  args?: unknown;
  /** Milliseconds since the Unix epoch, on the agent's clock. */
  startedAt: number;
  /** Missing until the tool has printed something. */
  output?: string;
  /** The tool that called this one. No message has this call then. */
  parentToolCallId?: string;
}

export type Delivery = 'followUp' | 'steer';

/** A prompt that waits for its turn. */
export interface QueueEntry {
  /** The id that the client gave the prompt, or an id made by the agent. */
  id: string;
  text: string;
  deliver: Delivery;
  /** The number of attached files. */
  attachments?: number;
  /** The name that the sender gave itself. */
  client?: string;
  /** Milliseconds since the Unix epoch, on the agent's clock. */
  queuedAt: number;
}

/** A question that waits for a person. */
export interface Question {
  id: string;
  kind: QuestionKind;
  title: string;
  /** For a `confirm`. */
  message?: string;
  /** For a `select`: the answer is one of these. */
  options?: string[];
  /** For an `input`. */
  placeholder?: string;
  /** For an `editor`: the text to begin with. */
  prefill?: string;
  /** Milliseconds since the Unix epoch, on the agent's clock. */
  askedAt: number;
  /** When the asker stops waiting, in milliseconds since the Unix epoch, on the agent's clock. */
  expiresAt?: number;
  /** True if dismissing the question also stops the run. */
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
 * waiting prompts, with the error `stopped`; their clients decide what to do with the texts.
 */
export type PromptStatus = 'queued' | 'delivered' | 'failed' | 'removed';

export interface PromptOutcome {
  id: string;
  status: PromptStatus;
  error?: string;
}

/** The abilities of an agent beside the classic mode, for clients that are newer or older than the agent. */
export const AgentFeature = {
  QUEUE: 'queue',
  STEER: 'steer',
  /** The agent runs slash commands in prompts. */
  COMMANDS: 'commands',
  ATTACHMENTS: 'attachments',
  QUESTIONS: 'questions',
} as const;
export type AgentFeature = (typeof AgentFeature)[keyof typeof AgentFeature];

/** The first message in both modes, unless a client resumes. Classic clients know the first five fields. */
export interface InitState {
  type: 'init_state';
  /** The end of the history, as much as fits. */
  messages: Message[];
  tools: Tool[];
  /** True if the history has more before `messages`. */
  truncated?: boolean;
  totalMessages?: number;
  /** The index in the history of the first of `messages`. */
  oldestIndex: number;
  epoch: string;
  /** The number of the last event that this snapshot includes. */
  seq: number;
  cwd: string;
  session: SessionInfo;
  state: AgentState;
  /**
   * Milliseconds since the Unix epoch, on the agent's clock. `now` is the current time on that clock, so clients see
   * how far it is off.
   */
  stateSince: number;
  now: number;
  /** Why the state is `failed`. */
  error?: string;
  /** The beginning of the message being written. `message_delta`s continue it. */
  live?: Message;
  runningTools: RunningTool[];
  queue: QueueEntry[];
  /**
   * Recent prompts that have left the queue, so a client that lost its connection learns what became of its prompts.
   */
  prompts: PromptOutcome[];
  /** Oldest first. */
  questions: Question[];
  features: AgentFeature[];
  /** Present if the live message, a tool's output or the queue did not fit, and was cut at its beginning. */
  cut?: true;
}

/** The agent continues from the position that the client offered. The events after it follow. */
export interface Resumed {
  type: 'resumed';
  epoch: string;
  seq: number;
  now: number;
}

/** How a question was settled. */
export type SettledBy = 'terminal' | 'dashboard' | 'dismissed' | 'timeout' | 'gone';

export interface QuestionSettled {
  type: 'question_settled';
  id: string;
  /** `timeout` and `gone` mean that the asker no longer waits. */
  by: SettledBy;
  /** The name that the client who answered or dismissed the question gave itself. */
  client?: string;
  /** The answer, if there was one. */
  value?: string | boolean;
}

/**
 * More of part `index` in the content of the message being written. Earlier parts without a delta so far are empty
 * texts until the message ends.
 */
export interface MessageDelta {
  type: 'message_delta';
  kind: 'text' | 'thinking' | 'toolcall';
  index: number;
  /** For a `toolcall`: a piece of the JSON of its arguments. */
  delta: string;
  /** On the first delta of a `toolcall`. */
  call?: { id: string; name: string };
}

export interface ToolEnd {
  type: 'tool_end';
  toolCallId: string;
  toolName: string;
  /** `{content, details?}`. Missing if large: the `toolResult` message with this id, which follows, has it. */
  result?: { content?: ContentPart[]; details?: unknown };
  isError: boolean;
  durationMs: number;
}

/** An event without its number. */
export type AgentEvent =
  /** An assistant begins a message, whose content follows as deltas. Other messages only have a `message_end`. */
  | { type: 'message_start'; message: Message }
  | MessageDelta
  /** The whole message. It replaces the result of the deltas. `prompt` is the id of the prompt that it came from. */
  | { type: 'message_end'; message: Message; index: number; prompt?: string }
  | ({ type: 'tool_start' } & RunningTool)
  /** A change of the tool's output: its first `drop` UTF-16 units are removed, and `append` is added at its end. */
  | { type: 'tool_update'; toolCallId: string; drop?: number; append: string }
  | ToolEnd
  | { type: 'state'; state: AgentState; since: number; error?: string }
  /** The fields that changed; null removes a field. */
  | ({ type: 'session' } & { [Field in keyof SessionInfo]?: NonNullable<SessionInfo[Field]> | null })
  /** The whole queue. */
  | { type: 'queue'; entries: QueueEntry[] }
  | ({ type: 'prompt_status' } & PromptOutcome)
  | { type: 'question'; question: Question }
  | QuestionSettled
  /** A notice from an extension to people. */
  | { type: 'notice'; level: 'info' | 'warning' | 'error'; text: string }
  /** The history was replaced. `fetch_history`, or reconnecting without a resume entry, gets the new one. */
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
  /** The requested prefix. */
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
/** `request` is the `type` of the failed request, `id` is its id or index, `error` is a sentence. */
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
  /** Sent again to a client whose answer came second. */
  | QuestionSettled
  /** Sent again to a client that sent the same prompt twice. */
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

/** The messages beside plain text that all clients may send, classic clients too. */
export type ClassicRequest =
  | { type: 'abort' }
  | { type: 'fetch_history'; before: number; limit: number }
  | { type: 'list_commands' }
  | { type: 'list_files'; prefix?: string }
  | { type: 'attach_file'; filename: string; content: string; mimeType?: string };

/** `client` is the name that a client gives itself. The other clients show it. */
export type AgentRequest =
  | ClassicRequest
  /** A prompt whose id was used before is not run again. The answer is the status of the first. */
  | { type: 'prompt'; id: string; text: string; attachments?: Attachment[]; deliver?: Delivery; client?: string }
  | { type: 'queue_remove'; id: string }
  | { type: 'queue_steer'; id: string }
  /** `value` is a boolean for `confirm`, one of the options for `select`, and any text otherwise. */
  | { type: 'answer'; id: string; value: string | boolean; client?: string }
  | { type: 'dismiss'; id: string; client?: string }
  | { type: 'fetch_message'; index: number };
