/**
 * pi's own events, as older extensions pass them on. Every update repeats the message from its beginning, a message may
 * come in the snapshot and again as an event, and nothing says whether the agent works.
 *
 * The turn shows that: it begins with the user's message or an answer being written, continues while answers end with
 * tools to run, and ends with an answer that does not.
 */
import type { Command, FilesList, Message } from '../../protocol/agent.ts';
import {
  type Activity,
  beginMessage,
  type Conversation,
  finishMessage,
  isSame,
  type MessageEntry,
  NEW_RUN,
  nextIndex,
  prependHistory,
  replaceHistory,
  setActivity,
  setRun,
} from './conversation.ts';
import { readList, readMessages, readText, resultText, UNREADABLE } from './message.ts';
import { onUserMessage } from './outbox.ts';

/** Pushes and answers of a classic agent, as far as they are understood. */
export type ClassicMessage =
  | { type: 'init_state'; messages: Message[]; totalMessages?: number }
  | { type: 'message_start' | 'message_update' | 'message_end'; message: Message }
  | { type: 'tool_execution_start'; toolCallId: string; toolName: string; args: unknown }
  | { type: 'tool_execution_update'; toolCallId: string; toolName: string; args: unknown; partialResult?: ToolOutput }
  | { type: 'tool_execution_end'; toolCallId: string; toolName: string; result?: ToolOutput; isError?: boolean }
  | { type: 'history_page'; messages: Message[]; hasMore: boolean; oldestIndex: number }
  | { type: 'commands_list'; commands: Command[] }
  | ({ type: 'files_list' } & FilesList);

type ToolOutput = { content?: Message['content']; details?: unknown };

/** If a turn seems open in the snapshot, but its last message is older than this, it was broken off. */
const OPEN_TURN_MS = 10 * 60_000;
/** How many of the last messages an event may repeat. */
const REPEATED = 8;

/** @param now by this page's clock, in milliseconds */
export function receiveClassic(state: Conversation, message: ClassicMessage, now: number): Conversation {
  switch (message.type) {
    case 'init_state':
      return onInitState(state, message, now);
    case 'message_start':
    case 'message_update':
    case 'message_end': {
      const [told] = readMessages([message.message]);
      if (told === undefined || told === UNREADABLE) return state;
      return message.type === 'message_end' ? onEnd(state, told, now) : onWriting(state, message.type, told, now);
    }
    case 'tool_execution_start':
    case 'tool_execution_update': {
      const known = state.runs.get(message.toolCallId);
      const output = message.type === 'tool_execution_update' ? resultText(message.partialResult?.content) : '';
      return working(
        setRun(state, {
          ...NEW_RUN,
          id: message.toolCallId,
          name: message.toolName,
          args: message.args ?? known?.args,
          startedAt: known?.startedAt ?? now,
          output: output || (known?.output ?? ''),
        }),
        now,
      );
    }
    case 'tool_execution_end': {
      const known = state.runs.get(message.toolCallId);
      return working(
        setRun(state, {
          ...(known ?? NEW_RUN),
          id: message.toolCallId,
          name: message.toolName,
          status: message.isError === true ? 'failed' : 'done',
          durationMs: known?.startedAt == null ? null : now - known.startedAt,
          result: message.result ?? null,
          output: resultText(message.result?.content),
        }),
        now,
      );
    }
    case 'history_page':
      return prependHistory(state, readMessages(message.messages), message.oldestIndex, message.hasMore);
    case 'commands_list':
      return { ...state, commands: readList(message.commands, 'name') };
    case 'files_list':
      return { ...state, files: { ...message, files: readList(message.files, 'path') } };
    default:
      return state;
  }
}

function onInitState(
  before: Conversation,
  { messages: told, totalMessages }: Extract<ClassicMessage, { type: 'init_state' }>,
  now: number,
): Conversation {
  const messages = readMessages(told);
  const oldestIndex = Math.max(0, (totalMessages ?? messages.length) - messages.length);
  let state = replaceHistory({ ...before, live: null }, messages, oldestIndex);
  state = {
    ...state,
    position: null,
    gap: false,
    queue: [],
    questions: [],
    features: ['attachments'],
    activity: activityFrom(messages.at(-1), now),
  };
  for (const message of messages.slice(-REPEATED)) if (message.role === 'user') state = onUserMessage(state, message);
  return state;
}

function activityFrom(last: Message | undefined, now: number): Activity {
  const since = last?.timestamp ?? null;
  if (last?.role === 'assistant' && last.stopReason === 'error') {
    return { state: 'failed', since, error: readText(last.errorMessage) };
  }
  const open = last?.role === 'user' || last?.role === 'toolResult' || last?.stopReason === 'toolUse';
  return { state: open && since !== null && now - since < OPEN_TURN_MS ? 'working' : 'idle', since, error: null };
}

function onWriting(
  state: Conversation,
  type: 'message_start' | 'message_update',
  message: Message,
  now: number,
): Conversation {
  if (message.role !== 'assistant') return message.role === 'user' ? onEnd(state, message, now) : state;
  if (repeatedAt(state, message) !== -1) return state;
  const { live } = state;
  // The new extension puts a delta into such an update too; only its message counts here.
  if (live === null || (type === 'message_start' && !isSame(live.message, message))) {
    return working(beginMessage(state, message), now);
  }
  return working({ ...state, live: { ...live, message } }, now);
}

function onEnd(before: Conversation, message: Message, now: number): Conversation {
  const repeated = repeatedAt(before, message);
  const index = repeated === -1 ? nextIndex(before) : (before.entries[repeated] as MessageEntry).index;
  let state = finishMessage(before, message, index);
  if (message.role === 'user') state = onUserMessage(state, message);
  if (message.role !== 'assistant') return repeated === -1 && message.role !== 'custom' ? working(state, now) : state;
  switch (message.stopReason) {
    case 'toolUse':
      return working(state, now);
    case 'error':
      return setActivity(state, { state: 'failed', since: now, error: readText(message.errorMessage) });
    default:
      return setActivity(state, { state: 'idle', since: now, error: null });
  }
}

/** Where the message already is among the last ones; -1 if it is new. */
function repeatedAt({ entries }: Conversation, message: Message): number {
  for (let at = entries.length - 1; at >= Math.max(0, entries.length - REPEATED); at--) {
    const entry = entries[at];
    if (entry?.kind === 'message' && isSame(entry.message, message)) return at;
  }
  return -1;
}

function working(state: Conversation, now: number): Conversation {
  if (state.activity.state === 'working') return state;
  return setActivity(state, { state: 'working', since: now, error: null });
}
