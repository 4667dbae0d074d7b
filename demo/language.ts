/**
 * The messages between an agent and its clients, as far as the demo needs them.
 */

/** The part of pi's message that the demo shows. */
export interface Message {
  role: 'user' | 'assistant';
  content: { type: 'text'; text: string }[];
  /** 'toolUse' if the answer goes on after a tool has run. */
  stopReason?: string;
}

export interface FileEntry {
  path: string;
  isDirectory: boolean;
}

export interface ToolResult {
  content: { type: 'text'; text: string }[];
}

/** From the agent. `init_state` comes first; the rest as it happens, or as an answer to a request. */
export type AgentEvent =
  | { type: 'init_state'; messages: Message[]; tools: string[]; truncated?: boolean; totalMessages?: number }
  | { type: 'message_start' | 'message_update' | 'message_end'; message: Message }
  | { type: 'tool_execution_start'; toolCallId: string; toolName: string; args: unknown }
  | { type: 'tool_execution_update'; toolCallId: string; toolName: string; args: unknown; partialResult: ToolResult }
  | { type: 'tool_execution_end'; toolCallId: string; toolName: string; result: ToolResult; isError: boolean }
  | { type: 'history_page'; messages: Message[]; hasMore: boolean; oldestIndex: number }
  | { type: 'commands_list'; commands: { name: string; description: string }[] }
  | { type: 'files_list'; files: FileEntry[]; cwd: string }
  | { type: 'attach_file_ack'; filename: string; success: boolean; error?: string };

/** To the agent: plain text is a prompt, and one of these, as JSON, a request. */
export type AgentRequest =
  | { type: 'abort' }
  | { type: 'fetch_history'; before?: number; limit?: number }
  | { type: 'list_commands' }
  | { type: 'list_files'; prefix?: string }
  | { type: 'attach_file'; filename: string; content: string; mimeType?: string };

export function textOf(message: Message): string {
  return message.content.map(({ text }) => text ?? '').join('');
}
