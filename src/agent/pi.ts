/**
 * The used part of pi's extension API. Members that only newer pis have are optional. They are used if present, and
 * never needed. The tests with real pis check this page.
 */
import type { ContentPart, ImagePart, Message, TextPart } from '../protocol/agent.ts';

export type PiContent = string | (TextPart | ImagePart)[];

export interface PiSendOptions {
  deliverAs?: 'steer' | 'followUp';
  expandPromptTemplates?: boolean;
}

/**
 * The API that pi passes to the factory of an extension. Once the session has been replaced, every use of it throws.
 */
export interface PiApi {
  /** Newer pis return a function that unsubscribes. */
  on(event: string, handler: (event: never, context: PiContext) => unknown): unknown;
  registerCommand(name: string, command: PiCommand): void;
  sendUserMessage(content: PiContent, options?: PiSendOptions): unknown;
  getAllTools(): { name: string; description?: string }[];
  getCommands(): { name: string; description?: string; source?: string }[];
  getSessionName?(): string | undefined;
  getThinkingLevel?(): string;
}

export interface PiCommand {
  description: string;
  getArgumentCompletions?(prefix: string): { value: string; label: string; description?: string }[] | null;
  handler(args: string, context: PiContext): Promise<void>;
}

export interface PiContext {
  ui: PiUi;
  hasUI: boolean;
  cwd: string;
  /** `tui`, `rpc`, `json` or `print`. */
  mode?: string;
  model?: { id: string; provider?: string; name?: string } | undefined;
  sessionManager: {
    getSessionId(): string;
    /** The entries from the first to the session's current one. */
    getBranch(): PiEntry[];
    getEntries(): PiEntry[];
  };
  isIdle(): boolean;
  abort(): void;
  hasPendingMessages?(): boolean;
  getContextUsage?(): { tokens: number | null; contextWindow: number } | undefined;
}

/** A stored entry of a session. */
export interface PiEntry {
  type: string;
  timestamp?: string;
  message?: Message;
  summary?: string;
  fromId?: string;
  tokensBefore?: number;
  customType?: string;
  content?: string | ContentPart[];
  display?: boolean;
  details?: unknown;
  usage?: PiUsage;
}

export interface PiUsage {
  cost?: { total?: number };
}

export interface PiDialogOptions {
  signal?: AbortSignal;
  timeout?: number;
  /**
   * An addition of this extension for those that ask: whether dismissing the question on a dashboard also stops the
   * run.
   */
  dismissStops?: boolean;
}

/** The object that all extensions share. Any use of it after the end of the session throws. */
export interface PiUi {
  select(title: string, options: string[], dialog?: PiDialogOptions): Promise<string | undefined>;
  confirm(title: string, message: string, dialog?: PiDialogOptions): Promise<boolean>;
  input(title: string, placeholder?: string, dialog?: PiDialogOptions): Promise<string | undefined>;
  editor(title: string, prefill?: string): Promise<string | undefined>;
  custom?(factory: unknown, options?: { blocked?: { message?: string } }): Promise<unknown>;
  notify(message: string, type?: 'info' | 'warning' | 'error'): void;
  setStatus(key: string, text: string | undefined): void;
  theme?: { fg(color: string, text: string): string };
}

/** The used events, by name. */
export interface PiEvents {
  session_start: { reason?: string };
  session_shutdown: { reason?: string };
  session_tree: object;
  session_info_changed: object;
  session_before_compact: { signal?: AbortSignal };
  session_compact: object;
  session_compact_failed: object;
  agent_start: object;
  agent_end: object;
  agent_settled: { aborted?: boolean };
  input: { text?: string; source?: string };
  user_bash: object;
  message_start: { message: Message };
  message_update: { message: Message; assistantMessageEvent?: PiStreamEvent };
  message_end: { message: Message };
  tool_execution_start: { toolCallId: string; toolName: string; args: unknown; parentToolCallId?: string };
  tool_execution_update: { toolCallId: string; toolName: string; partialResult?: { content?: ContentPart[] } };
  tool_execution_end: {
    toolCallId: string;
    toolName: string;
    result?: { content?: ContentPart[]; details?: unknown };
    isError?: boolean;
    durationMs?: number;
    parentToolCallId?: string;
  };
  ui_prompt_start: { kind?: string; title?: string };
  ui_prompt_end: { kind?: string };
  model_select: object;
  thinking_level_select: object;
}

/** An event in a provider's stream. `partial` and `message` are cumulative. */
export interface PiStreamEvent {
  type: string;
  contentIndex?: number;
  delta?: string;
  partial?: Message;
}
