/**
 * The state of the conversation with one agent: pure, `(state, message, now) → state`.
 *
 * An agent speaks one of two dialects. `delta.ts` reads numbered events that are sent once; `classic.ts` reads pi's own
 * events, which repeat the whole message every time and do not say whether the agent works. Both change the same state
 * with the functions of this file, so the views need not know the dialect.
 */
import type {
  AgentFeature,
  Attachment,
  Command,
  Delivery,
  FilesList,
  Message,
  Question,
  QuestionSettled,
  QueueEntry,
} from '../../protocol/agent.ts';
import type { AgentState } from '../../protocol/registry.ts';
import type { Position } from '../../protocol/subprotocol.ts';
import type { Dialect } from '../link/agent-link.ts';
import { contentOf, resultText } from './message.ts';

/** A message of the history, or an event between two messages that the history does not contain. */
export type Entry = MessageEntry | SettledEntry | NoticeEntry;

export interface MessageEntry {
  readonly kind: 'message';
  /** Stays the same while the message is written, finished, and sent again after a lost connection. */
  readonly key: string;
  /** The index in the agent's history, or for a message that is being written, its future index. */
  readonly index: number;
  readonly message: Message;
}

export interface SettledEntry {
  readonly kind: 'settled';
  readonly key: string;
  readonly question: Question;
  readonly outcome: QuestionSettled;
}

export interface NoticeEntry {
  readonly kind: 'notice';
  readonly key: string;
  readonly level: 'info' | 'warning' | 'error';
  readonly text: string;
}

/** A tool's run, from its start to its result. */
export interface ToolRun {
  readonly id: string;
  readonly name: string;
  readonly args: unknown;
  readonly status: 'running' | 'done' | 'failed';
  /** By this page's clock, in milliseconds; null if its start was not seen. */
  readonly startedAt: number | null;
  readonly durationMs: number | null;
  /** Its output so far, or its result as text. */
  readonly output: string;
  readonly result: { readonly content?: Message['content']; readonly details?: unknown } | null;
  /** The tool that called it; the call is then in no message. */
  readonly parent: string | null;
}

export interface Activity {
  readonly state: AgentState;
  /** By this page's clock, in milliseconds; null if that is not known. */
  readonly since: number | null;
  readonly error: string | null;
}

/** An answer to a question that is under way. */
export interface Answer {
  readonly value: string | boolean | null;
  /** `unknown`: the connection was lost before the agent confirmed it. */
  readonly status: 'sending' | 'unknown' | 'failed';
  readonly error: string | null;
}

/** A prompt from here: see `outbox.ts`. */
export interface Prompt {
  /** Made here. An agent takes an id only once, so a repeated prompt can't arrive twice. */
  readonly id: string;
  readonly text: string;
  readonly attachments: readonly Attachment[];
  readonly deliver: Delivery;
  readonly status: 'waiting' | 'sending' | 'queued' | 'delivered' | 'failed' | 'unknown';
  readonly error: string | null;
  /** By this page's clock, in milliseconds. */
  readonly sentAt: number;
}

export interface Conversation {
  /** Null until the agent has said something. */
  readonly dialect: Dialect | null;
  /** The position of the last handled event; null in the classic dialect, and after a gap until a snapshot comes. */
  readonly position: Position | null;
  /** Events are missing, so all others are ignored until a snapshot comes. */
  readonly gap: boolean;
  /** Oldest first, without gaps. */
  readonly entries: readonly Entry[];
  readonly hasOlder: boolean;
  readonly live: MessageEntry | null;
  readonly runs: ReadonlyMap<string, ToolRun>;
  readonly activity: Activity;
  readonly cwd: string | null;
  readonly features: readonly AgentFeature[];
  readonly commands: readonly Command[] | null;
  /** The last answer to `list_files`. */
  readonly files: FilesList | null;
  readonly queue: readonly QueueEntry[];
  /** Oldest first. */
  readonly questions: readonly Question[];
  readonly answers: ReadonlyMap<string, Answer>;
  /** The prompts from here whose outcome is not final, and those that failed. */
  readonly outbox: readonly Prompt[];
  /** How far the agent's clock is ahead of ours, in milliseconds. */
  readonly clockAhead: number;
  /** Makes keys unique. */
  readonly counter: number;
}

export const EMPTY: Conversation = {
  dialect: null,
  position: null,
  gap: false,
  entries: [],
  hasOlder: false,
  live: null,
  runs: new Map(),
  activity: { state: 'idle', since: null, error: null },
  cwd: null,
  features: [],
  commands: null,
  files: null,
  queue: [],
  questions: [],
  answers: new Map(),
  outbox: [],
  clockAhead: 0,
  counter: 0,
};

/** Above this many characters of history, the oldest messages are dropped; scrolling up fetches them again. */
const MAX_KEPT_CHARACTERS = 3_000_000;
const KEPT_AFTER_TRIM = 2_000_000;
/** The newest are kept however large they are: they may be in sight. */
const KEPT_MESSAGES = 20;

// Messages

/** The index that the next message of the history is going to have. */
export function nextIndex({ entries }: Conversation): number {
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = entries[at] as Entry;
    if (entry.kind === 'message') return entry.index + 1;
  }
  return 0;
}

export function firstIndex({ entries }: Conversation): number {
  const first = entries.find((entry) => entry.kind === 'message');
  return first?.kind === 'message' ? first.index : 0;
}

/** Whether both are the same message, sent twice: messages have no ids. */
export function isSame(one: Message, other: Message): boolean {
  if (one.role !== other.role || one.toolCallId !== other.toolCallId) return false;
  if (one.timestamp !== undefined || other.timestamp !== undefined) return one.timestamp === other.timestamp;
  return JSON.stringify(one.content) === JSON.stringify(other.content);
}

/** Replaces the whole history, and keeps the keys of the messages that are still there. */
export function replaceHistory(state: Conversation, messages: readonly Message[], oldestIndex: number): Conversation {
  const keys = new Map<number, MessageEntry>();
  for (const entry of state.entries) if (entry.kind === 'message') keys.set(entry.index, entry);
  if (state.live !== null) keys.set(state.live.index, state.live);
  let { counter } = state;
  const entries = messages.map((message, at): Entry => {
    const index = oldestIndex + at;
    const known = keys.get(index);
    const kept = known !== undefined && isSame(known.message, message);
    return { kind: 'message', key: kept ? known.key : `m${++counter}`, index, message };
  });
  const runs = withResults(new Map(), messages);
  return { ...state, entries, runs, counter, hasOlder: oldestIndex > 0, live: null };
}

/** Puts older messages in front; ignores them if they leave a gap before the oldest one here. */
export function prependHistory(
  state: Conversation,
  messages: readonly Message[],
  oldestIndex: number,
  hasOlder: boolean,
): Conversation {
  const first = firstIndex(state);
  const fitting = messages.slice(0, Math.max(0, first - oldestIndex));
  if (fitting.length === 0 || oldestIndex + fitting.length !== first) return state;
  let { counter } = state;
  const older = fitting.map((message, at): Entry => {
    return { kind: 'message', key: `m${++counter}`, index: oldestIndex + at, message };
  });
  return {
    ...state,
    counter,
    entries: [...older, ...state.entries],
    runs: withResults(new Map(state.runs), fitting),
    hasOlder: hasOlder && oldestIndex > 0,
  };
}

/** Takes a finished message. It replaces the one that was being written, or its earlier copy if it is sent again. */
export function finishMessage(state: Conversation, message: Message, index: number): Conversation {
  const isLive = message.role === 'assistant' && state.live !== null;
  const known = state.entries.findLastIndex((entry) => entry.kind === 'message' && entry.index === index);
  let { counter } = state;
  const key =
    known !== -1 ? (state.entries[known] as Entry).key : isLive ? (state.live as MessageEntry).key : `m${++counter}`;
  const entry: Entry = { kind: 'message', key, index, message };
  const entries = known === -1 ? [...state.entries, entry] : state.entries.with(known, entry);
  const live = message.role === 'assistant' ? null : state.live && { ...state.live, index: index + 1 };
  return { ...state, counter, entries, live, runs: withResults(state.runs, [message]) };
}

/** A message begins to be written. */
export function beginMessage(state: Conversation, message: Message): Conversation {
  const counter = state.counter + 1;
  const live: MessageEntry = { kind: 'message', key: `m${counter}`, index: nextIndex(state), message };
  return { ...state, counter, live };
}

/** Replaces a message that had been cut with the whole one. */
export function replaceMessage(state: Conversation, index: number, message: Message): Conversation {
  const at = state.entries.findIndex((entry) => entry.kind === 'message' && entry.index === index);
  if (at === -1) return state;
  const entry = { ...(state.entries[at] as MessageEntry), message };
  return { ...state, entries: state.entries.with(at, entry), runs: withResults(state.runs, [message]) };
}

/** Drops the oldest messages if there are very many; they can be fetched again. */
export function trim(state: Conversation): Conversation {
  let characters = 0;
  for (const entry of state.entries) characters += sizeOf(entry);
  if (characters <= MAX_KEPT_CHARACTERS) return state;
  let from = 0;
  while (characters > KEPT_AFTER_TRIM && from < state.entries.length - KEPT_MESSAGES) {
    characters -= sizeOf(state.entries[from] as Entry);
    from += 1;
  }
  if (from === 0) return state;
  const entries = state.entries.slice(from);
  const runs = new Map(state.runs);
  for (const entry of state.entries.slice(0, from)) {
    if (entry.kind === 'message' && entry.message.toolCallId !== undefined) runs.delete(entry.message.toolCallId);
  }
  return { ...state, entries, runs, hasOlder: true };
}

const sizes = new WeakMap<Message, number>();

function sizeOf(entry: Entry): number {
  if (entry.kind !== 'message') return 100;
  let size = sizes.get(entry.message);
  if (size === undefined) {
    size = 200 + (entry.message.output?.length ?? 0);
    for (const part of contentOf(entry.message)) {
      if (part.type === 'text') size += part.text.length;
      else if (part.type === 'thinking') size += part.thinking.length;
      else if (part.type === 'image') size += part.data.length;
      else size += JSON.stringify(part.arguments ?? null).length;
    }
    sizes.set(entry.message, size);
  }
  return size;
}

// Tools

/** The runs, with those whose results are among the messages. The very same map if there are none. */
function withResults(runs: ReadonlyMap<string, ToolRun>, messages: readonly Message[]): ReadonlyMap<string, ToolRun> {
  let next: Map<string, ToolRun> | null = null;
  for (const message of messages) {
    if (message.role !== 'toolResult' || message.toolCallId === undefined) continue;
    next ??= new Map(runs);
    const known = next.get(message.toolCallId);
    next.set(message.toolCallId, {
      id: message.toolCallId,
      name: message.toolName ?? known?.name ?? 'tool',
      args: known?.args,
      status: message.isError === true ? 'failed' : 'done',
      startedAt: known?.startedAt ?? null,
      durationMs: known?.durationMs ?? null,
      output: resultText(message.content),
      result: { ...(message.content !== undefined && { content: message.content }), details: message.details },
      parent: known?.parent ?? null,
    });
  }
  return next ?? runs;
}

export function setRun(state: Conversation, run: ToolRun): Conversation {
  return { ...state, runs: new Map(state.runs).set(run.id, run) };
}

export const NEW_RUN: Omit<ToolRun, 'id' | 'name'> = {
  args: undefined,
  status: 'running',
  startedAt: null,
  durationMs: null,
  output: '',
  result: null,
  parent: null,
};

// Questions

export function addEntry(
  state: Conversation,
  entry: Omit<SettledEntry, 'key'> | Omit<NoticeEntry, 'key'>,
): Conversation {
  const counter = state.counter + 1;
  return { ...state, counter, entries: [...state.entries, { ...entry, key: `m${counter}` }] };
}

export function settleQuestion(state: Conversation, outcome: QuestionSettled): Conversation {
  const question = state.questions.find(({ id }) => id === outcome.id);
  const answers = new Map(state.answers);
  answers.delete(outcome.id);
  const settled = { ...state, answers, questions: state.questions.filter(({ id }) => id !== outcome.id) };
  return question === undefined ? settled : addEntry(settled, { kind: 'settled', question, outcome });
}

/** Somebody here answers, or dismisses with null. */
export function answering(state: Conversation, id: string, value: string | boolean | null): Conversation {
  return { ...state, answers: new Map(state.answers).set(id, { value, status: 'sending', error: null }) };
}

export function answerFailed(state: Conversation, id: string, error: string): Conversation {
  const answer = state.answers.get(id);
  if (answer === undefined) return state;
  return { ...state, answers: new Map(state.answers).set(id, { ...answer, status: 'failed', error }) };
}

// The connection

/** Prompts and answers in transit when the connection was lost may or may not have arrived. */
export function connectionLost(state: Conversation): Conversation {
  const answers = new Map(state.answers);
  for (const [id, answer] of answers)
    if (answer.status === 'sending') answers.set(id, { ...answer, status: 'unknown' });
  const outbox = state.outbox.map((prompt): Prompt => {
    if (prompt.status === 'sending') return { ...prompt, status: 'unknown' };
    // A classic agent does not report its queue, so whether a prompt is still in it is not known.
    if (prompt.status === 'queued' && state.dialect === 'classic') return { ...prompt, status: 'unknown' };
    return prompt;
  });
  return { ...state, answers, outbox };
}

/** Sets the activity; the very same state if nothing changed. */
export function setActivity(state: Conversation, activity: Activity): Conversation {
  const { activity: before } = state;
  const same = before.state === activity.state && before.since === activity.since && before.error === activity.error;
  return same ? state : { ...state, activity };
}
