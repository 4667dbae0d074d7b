/**
 * The state of a session, derived from pi's events: the message being written, the running tools, the agent's activity.
 * Everything new is sent once, as an event of the protocol. Pure: `now` comes in, events go out.
 *
 *   waiting   a question waits for a person
 *   working   a run has started and not ended, or the conversation is being compacted
 *   failed    the last run ended with an error
 *   idle      otherwise
 */
import type { AgentEvent, ContentPart, Message, MessageDelta, RunningTool, ToolCallPart } from '../protocol/agent.ts';
import { AgentState } from '../protocol/registry.ts';
import { fitMessage } from './history.ts';
import { encode, fits } from './json.ts';
import type { PiEvents, PiStreamEvent } from './pi.ts';

/** A larger message is sent cut. Clients can fetch the whole message. */
const MAX_EVENT_BYTES = 500_000;
/** Larger arguments and results are left out of tool events. Only the messages contain them. */
const MAX_TOOL_BYTES = 32 * 1024;
/** The length of the end of a running tool's output that is kept. */
const MAX_OUTPUT_CHARS = 64 * 1024;
/**
 * The time between two deltas of a message. What pi says in between is joined. The page draws ten times a second. This is a
 * little more, so the page draws each delta when it comes.
 */
const DELTA_INTERVAL_MS = 120;
/** The time between two updates of a tool's output. */
const OUTPUT_INTERVAL_MS = 100;
/** How many characters two outputs must share to count as one output that goes on. */
const OVERLAP_CHARS = 64;

interface Tool {
  running: RunningTool;
  /** Whether the tool's call is in a message. */
  isTop: boolean;
  /** The end of the tool's output, and the output that clients have. */
  output: string;
  told: string;
  toldAt: number;
}

export interface ConversationSink {
  onEvent(event: AgentEvent): void;
  /** Called if a delta or output waits. `tellDue` must be called after `delayMs` milliseconds. */
  onDue(delayMs: number): void;
}

export class Conversation {
  readonly #sink: ConversationSink;
  #live: Message | null = null;
  /** The delta that waits, and when the last one of this message was sent. */
  #delta: MessageDelta | null = null;
  #deltaAt = Number.NEGATIVE_INFINITY;
  readonly #tools = new Map<string, Tool>();
  #state: AgentState = AgentState.IDLE;
  #stateSince: number;
  #runs = false;
  #compacts = false;
  #questions = 0;
  /** Why the last run failed. */
  #error: string | null = null;

  constructor(now: number, sink: ConversationSink) {
    this.#sink = sink;
    this.#stateSince = now;
  }

  get state(): AgentState {
    return this.#state;
  }

  /** When the agent entered its state, on the clock of `now`. */
  get stateSince(): number {
    return this.#stateSince;
  }

  get error(): string | null {
    return this.#state === AgentState.FAILED ? this.#error : null;
  }

  /** Whether a run has started and not ended, even if it waits for a person. */
  get runs(): boolean {
    return this.#runs;
  }

  get compacts(): boolean {
    return this.#compacts;
  }

  /** The message being written, as much as clients have of it. */
  get live(): Message | null {
    return this.#live;
  }

  get runningTools(): RunningTool[] {
    return [...this.#tools.values()].map(({ running, told }) => (told === '' ? running : { ...running, output: told }));
  }

  // Runs

  runStarted(now: number): void {
    this.#runs = true;
    this.#error = null;
    this.#settle(now);
  }

  runEnded(now: number): void {
    this.#runs = false;
    this.#tellDelta();
    // If the run was aborted or lost, its message and its tools get no end events from pi.
    this.#live = null;
    for (const toolCallId of [...this.#tools.keys()]) this.toolEnded({ toolCallId, toolName: '', isError: true }, now);
    this.#settle(now);
  }

  compactionStarted(now: number): void {
    this.#compacts = true;
    this.#settle(now);
  }

  compactionEnded(now: number): void {
    this.#compacts = false;
    this.#settle(now);
  }

  /** @param count the number of questions that wait for a person */
  questionsWait(count: number, now: number): void {
    this.#questions = count;
    this.#settle(now);
  }

  // Messages

  messageStarted({ message }: PiEvents['message_start'], now: number): void {
    if (message.role !== 'assistant') return;
    this.#tellDelta();
    this.#deltaAt = Number.NEGATIVE_INFINITY;
    // If two prompts collide, pi says that it has settled while it goes on.
    if (!this.#runs) this.runStarted(now);
    this.#live = { ...message, content: [] };
    this.#tell({ type: 'message_start', message: this.#live });
  }

  messageUpdated({ assistantMessageEvent: event }: PiEvents['message_update'], now: number): void {
    const kind = kindOf(event);
    if (this.#live === null || event === undefined || kind === null) return;
    const { contentIndex: index, delta = '' } = event;
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index > 10_000) return;
    if (this.#delta?.kind !== kind || this.#delta.index !== index) this.#tellDelta();
    const call = kind === 'toolcall' && !isNamed(this.#live, index) ? callOf(event, index) : null;
    if (call !== null) {
      this.#tellDelta();
      this.#delta = { type: 'message_delta', kind, index, delta, call };
      this.#tellDelta();
    } else if (delta !== '') {
      this.#delta ??= { type: 'message_delta', kind, index, delta: '' };
      this.#delta.delta += delta;
      this.#tellDeltaIfDue(now);
    }
  }

  /**
   * @param index the message's place in the history
   * @param prompt the id of the prompt that the message came from; null if it came from none
   */
  messageEnded({ message }: PiEvents['message_end'], index: number, prompt: string | null, now: number): void {
    if (message.role === 'assistant') {
      this.#tellDelta();
      this.#live = null;
      const { stopReason, errorMessage } = message;
      this.#error = stopReason === 'error' ? (errorMessage ?? 'The model failed') : null;
      this.#settle(now);
    }
    const event: AgentEvent = { type: 'message_end', message: fitMessage(message, index, MAX_EVENT_BYTES), index };
    this.#tell(prompt === null ? event : { ...event, prompt });
  }

  #tellDeltaIfDue(now: number): void {
    if (this.#delta === null) return;
    const dueMs = this.#deltaAt + DELTA_INTERVAL_MS - now;
    if (dueMs > 0) {
      this.#sink.onDue(dueMs);
    } else {
      this.#deltaAt = now;
      this.#tellDelta();
    }
  }

  #tellDelta(): void {
    const delta = this.#delta;
    this.#delta = null;
    if (delta === null || this.#live === null) return;
    const parts = this.#live.content as ContentPart[];
    while (parts.length < delta.index) parts.push({ type: 'text', text: '' });
    parts[delta.index] = extend(parts[delta.index], delta);
    this.#tell(delta);
  }

  /** Sends clients the delta and the outputs whose time has come. */
  tellDue(now: number): void {
    this.#tellDeltaIfDue(now);
    for (const tool of this.#tools.values()) this.#tellOutputIfDue(tool, now);
  }

  // Tools

  toolStarted({ toolCallId, toolName, args, parentToolCallId }: PiEvents['tool_execution_start'], now: number): void {
    if (!this.#runs) this.runStarted(now);
    const running: RunningTool = { toolCallId, toolName, startedAt: now };
    const isTop = parentToolCallId === undefined;
    if (args !== undefined && fits(encode(args), MAX_TOOL_BYTES)) running.args = args;
    if (parentToolCallId !== undefined) running.parentToolCallId = parentToolCallId;
    this.#tools.set(toolCallId, { running, isTop, output: '', told: '', toldAt: Number.NEGATIVE_INFINITY });
    this.#tell({ type: 'tool_start', ...running });
  }

  toolUpdated({ toolCallId, partialResult }: PiEvents['tool_execution_update'], now: number): void {
    const tool = this.#tools.get(toolCallId);
    if (tool === undefined) return;
    tool.output = textOf(partialResult?.content).slice(-MAX_OUTPUT_CHARS);
    this.#tellOutputIfDue(tool, now);
  }

  toolEnded(event: PiEvents['tool_execution_end'], now: number): void {
    const { toolCallId, result, isError = false } = event;
    const tool = this.#tools.get(toolCallId);
    if (tool === undefined) return;
    this.#tools.delete(toolCallId);
    const { toolName, startedAt } = tool.running;
    const durationMs = event.durationMs ?? Math.max(0, now - startedAt);
    const ended: AgentEvent = { type: 'tool_end', toolCallId, toolName, isError, durationMs };
    if (result !== undefined && (!tool.isTop || fits(encode(result), MAX_TOOL_BYTES))) {
      ended.result = { ...result };
    }
    this.#tell(ended);
  }

  #tellOutputIfDue(tool: Tool, now: number): void {
    const { output, told } = tool;
    if (output === told) return;
    const dueMs = tool.toldAt + OUTPUT_INTERVAL_MS - now;
    if (dueMs > 0) {
      this.#sink.onDue(dueMs);
      return;
    }
    tool.told = output;
    tool.toldAt = now;
    const drop = droppedOf(told, output);
    const append = output.slice(told.length - drop);
    const { toolCallId } = tool.running;
    this.#tell(
      drop === 0 ? { type: 'tool_update', toolCallId, append } : { type: 'tool_update', toolCallId, drop, append },
    );
  }

  // State

  #settle(now: number): void {
    const state = this.#stateNow();
    if (state === this.#state) return;
    this.#state = state;
    this.#stateSince = now;
    const event: AgentEvent = { type: 'state', state, since: now };
    this.#tell(this.error === null ? event : { ...event, error: this.error });
  }

  #stateNow(): AgentState {
    if (this.#questions > 0) return AgentState.WAITING;
    if (this.#runs || this.#compacts) return AgentState.WORKING;
    return this.#error === null ? AgentState.IDLE : AgentState.FAILED;
  }

  #tell(event: AgentEvent): void {
    this.#sink.onEvent(event);
  }
}

function kindOf(event: PiStreamEvent | undefined): MessageDelta['kind'] | null {
  switch (event?.type) {
    case 'text_delta':
      return 'text';
    case 'thinking_delta':
      return 'thinking';
    case 'toolcall_start':
    case 'toolcall_delta':
      return 'toolcall';
    default:
      return null;
  }
}

function isNamed({ content }: Message, index: number): boolean {
  const part = (content as ContentPart[])[index];
  return part?.type === 'toolCall' && part.name !== '';
}

/** The id and name of a call; null until the provider has sent them. */
function callOf({ partial }: PiStreamEvent, index: number): { id: string; name: string } | null {
  const part = Array.isArray(partial?.content) ? partial.content[index] : undefined;
  return part?.type === 'toolCall' && part.name ? { id: part.id, name: part.name } : null;
}

/** The part with the delta added at its end, or a new part if the old one is of another kind. */
function extend(part: ContentPart | undefined, { kind, delta, call }: MessageDelta): ContentPart {
  switch (kind) {
    case 'text':
      return { type: 'text', text: (part?.type === 'text' ? part.text : '') + delta };
    case 'thinking':
      return { type: 'thinking', thinking: (part?.type === 'thinking' ? part.thinking : '') + delta };
    default: {
      const before: ToolCallPart =
        part?.type === 'toolCall' ? part : { type: 'toolCall', id: '', name: '', arguments: {}, partial: '' };
      return { ...before, ...call, partial: (before.partial ?? '') + delta };
    }
  }
}

export function textOf(content: string | ContentPart[] | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

/**
 * The length of the beginning of `before` that is missing in `after`. Tools show the end of a long output, so it begins
 * later each time. It is all of `before` if the two do not overlap.
 */
function droppedOf(before: string, after: string): number {
  if (after.startsWith(before)) return 0;
  const beginning = after.slice(0, OVERLAP_CHARS);
  if (beginning.length < OVERLAP_CHARS) return before.length;
  for (let at = before.indexOf(beginning); at !== -1; at = before.indexOf(beginning, at + 1)) {
    if (after.startsWith(before.slice(at))) return at;
  }
  return before.length;
}
