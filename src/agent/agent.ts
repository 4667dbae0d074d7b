/**
 * One session of pi, for any number of clients: it hears what pi says, and joins the parts that make something of it.
 *
 *   pi ── events ──▶ Conversation, Transcript ──┬─▶ Audience ──▶ clients in delta mode
 *   │ ▲                                         └─▶ presence ──▶ the roster
 *   │ └── Prompts, Questions ◀── Requests ◀── clients
 *   └──── its own events, unchanged ──▶ Audience ──▶ clients in classic mode
 *
 * This module knows no socket and no pi. It gets both as interfaces, and its clock too.
 */
import {
  AGENT_LIMITS,
  type AgentEvent,
  type Message,
  type Question,
  type SessionInfo,
  type SettledBy,
} from '../protocol/agent.ts';
import { AgentState, type NodeDetails } from '../protocol/registry.ts';
import type { Position } from '../protocol/subprotocol.ts';
import { Alarm, type Clock } from './alarm.ts';
import { Audience, type Client } from './audience.ts';
import { Conversation, textOf } from './conversation.ts';
import { fitMessage, isForPeople } from './history.ts';
import type { AgentHost } from './host.ts';
import { encode } from './json.ts';
import type { PiContent, PiEvents } from './pi.ts';
import { clipDetails, nodeQuestion } from './presence.ts';
import { Prompts } from './prompts.ts';
import { type Answer, Questions } from './questions.ts';
import { Requests } from './requests.ts';
import { encodeSnapshot } from './snapshot.ts';
import { Transcript } from './transcript.ts';

/** How long to look for the result of a command that a person runs in the terminal. */
const BASH_MS = 600_000;

export interface AgentSink {
  /** Called when the details for the roster have changed. */
  onDetails(): void;
  /** Called with a fault of the extension's own. */
  onFault(error: unknown): void;
}

/** The callbacks of a client's open connection. */
export interface ClientConnection {
  receive(text: string): void;
  gone(): void;
}

export class Agent {
  readonly #host: AgentHost;
  #settles: boolean;
  /** Calls nothing back once the session is closed. */
  readonly #clock: Clock;
  readonly #sink: AgentSink;
  readonly #audience: Audience;
  readonly #conversation: Conversation;
  readonly #transcript: Transcript;
  readonly #prompts: Prompts;
  readonly #questions: Questions;
  readonly #requests: Requests;
  #session: SessionInfo;
  #ids = 0;
  #isClosed = false;

  /** @param epoch at most 32 letters and digits, never used before */
  constructor(host: AgentHost, clock: Clock, epoch: string, sink: AgentSink) {
    const now = () => clock.now();
    this.#host = host;
    this.#settles = host.settles;
    const unlessClosed = (callback: () => void) => () => {
      if (!this.#isClosed) callback();
    };
    this.#clock = { now, after: (delayMs, callback) => clock.after(delayMs, unlessClosed(callback)) };
    this.#sink = sink;
    this.#audience = new Audience(epoch);
    this.#session = host.session();
    this.#transcript = new Transcript({
      stored: () => host.messages(),
      onStored: (message, index) => this.#tellMessage(message, index),
    });
    const tellDue = new Alarm(this.#clock, () => this.#conversation.tellDue(now()));
    this.#conversation = new Conversation(now(), {
      onEvent: (event) => this.#tell(event),
      onDue: (delayMs) => tellDue.setIn(delayMs),
    });
    const proceed = new Alarm(this.#clock, () => this.#proceed());
    this.#prompts = new Prompts({
      send: (content, deliver, isCommand) => this.#send(content, deliver, isCommand),
      abort: () => host.abort(),
      isFree: () => !this.#conversation.compacts && host.isIdle(),
      holdsMessages: () => host.holdsMessages(),
      onOutcome: (outcome) => this.#tell({ type: 'prompt_status', ...outcome }),
      onQueue: () => this.#tell({ type: 'queue', entries: this.#prompts.queue }),
      onDue: (delayMs) => proceed.setIn(delayMs),
    });
    this.#questions = new Questions({
      onAsked: (question) => this.#asked({ type: 'question', question }),
      onSettled: (settled) => this.#asked(settled),
    });
    this.#requests = new Requests({
      host,
      prompts: this.#prompts,
      questions: this.#questions,
      transcript: this.#transcript,
      runs: () => this.#conversation.runs,
      now,
      newId: () => this.#newId(),
      onFault: (error) => sink.onFault(error),
    });
  }

  get details(): NodeDetails {
    const { id, name, model, context, cost } = this.#session;
    const details: NodeDetails = { session: id, state: this.#conversation.state, questions: this.#questions.size };
    if (name !== undefined) details.name = name;
    if (model !== undefined) details.model = model;
    if (context !== undefined) details.context = context;
    if (cost !== undefined) details.cost = cost;
    const [tool] = this.#conversation.runningTools;
    if (tool !== undefined) details.tool = tool.toolName;
    const [question] = this.#questions.all;
    if (question !== undefined) details.question = nodeQuestion(question);
    return clipDetails(details);
  }

  /** How long the agent has been in its state, and how long the tool has run, in seconds. */
  get ages(): { state_age: number; tool_age?: number } {
    const now = this.#clock.now();
    const age = (since: number) => Math.max(0, Math.round((now - since) / 1000));
    const [tool] = this.#conversation.runningTools;
    const ages = { state_age: age(this.#conversation.stateSince) };
    return tool === undefined ? ages : { ...ages, tool_age: age(tool.startedAt) };
  }

  // Clients

  get clients(): number {
    return this.#audience.size;
  }

  /**
   * Adds a client that has connected, and sends it the events that it missed, or a snapshot.
   *
   * @param resumeFrom the last position of a client in delta mode; null for a client without one
   */
  connect(client: Client, resumeFrom: Position | null): ClientConnection {
    this.#audience.join(client, resumeFrom, this.#clock.now(), () => this.#snapshot());
    return {
      receive: (text) => {
        if (!this.#isClosed) this.#requests.receive(client, text);
      },
      gone: () => this.#audience.leave(client),
    };
  }

  /** Ends the session here, and closes every client with the reason. */
  close(closeCode: number, closeReason: string): void {
    this.#questions.clear();
    this.#isClosed = true;
    this.#audience.close(closeCode, closeReason);
  }

  #snapshot(): string {
    const { state, stateSince, error, live, runningTools } = this.#conversation;
    return encodeSnapshot(this.#transcript.messages, {
      ...this.#audience.position,
      tools: this.#host.tools(),
      cwd: this.#host.cwd,
      session: this.#session,
      state,
      stateSince,
      now: this.#clock.now(),
      ...(error === null ? {} : { error }),
      ...(live === null ? {} : { live }),
      runningTools,
      queue: this.#prompts.queue,
      prompts: this.#prompts.outcomes,
      questions: this.#questions.all,
      features: [...this.#host.features],
    });
  }

  // pi

  /** Handles an event of pi. */
  piEvent<Name extends keyof PiEvents>(name: Name, event: PiEvents[Name]): void {
    if (this.#isClosed) return;
    this.#handle(name, event);
    // Every `message_update` contains the whole message so far.
    if (CLASSIC_EVENTS.has(name)) this.#audience.forward(event, name === 'message_update');
  }

  #handle<Name extends keyof PiEvents>(name: Name, event: PiEvents[Name]): void {
    const now = this.#clock.now();
    const conversation = this.#conversation;
    switch (name) {
      case 'agent_start':
        this.#runStarted(now);
        break;
      case 'agent_end':
        if (!this.#settles) this.#runEnded(now);
        break;
      case 'agent_settled':
        // Some pis send this event although nothing showed before that they do.
        this.#settles = true;
        this.#runEnded(now);
        break;
      case 'input':
        this.#inputSeen(event as PiEvents['input'], now);
        break;
      case 'message_start':
        if (isForPeople((event as PiEvents['message_start']).message)) {
          conversation.messageStarted(event as PiEvents['message_start'], now);
        }
        break;
      case 'message_update':
        conversation.messageUpdated(event as PiEvents['message_update'], now);
        break;
      case 'message_end':
        this.#messageEnded(event as PiEvents['message_end'], now);
        break;
      case 'tool_execution_start':
        conversation.toolStarted(event as PiEvents['tool_execution_start'], now);
        this.#sink.onDetails();
        break;
      case 'tool_execution_update':
        conversation.toolUpdated(event as PiEvents['tool_execution_update'], now);
        break;
      case 'tool_execution_end':
        conversation.toolEnded(event as PiEvents['tool_execution_end'], now);
        this.#sink.onDetails();
        break;
      case 'session_before_compact':
        this.#compactionStarted((event as PiEvents['session_before_compact']).signal, now);
        break;
      case 'session_compact':
        conversation.compactionEnded(now);
        // pi stores the summary as an entry and sends no message event for it.
        this.#transcript.tellStored();
        this.refreshSession();
        this.#proceed();
        break;
      case 'session_compact_failed':
        conversation.compactionEnded(now);
        this.#proceed();
        break;
      case 'user_bash':
        this.#awaitStored(now + BASH_MS);
        break;
      case 'session_tree':
        this.#transcript.reset();
        this.#tell({ type: 'history_reset' });
        this.refreshSession();
        break;
      default:
        this.refreshSession();
    }
  }

  #runStarted(now: number): void {
    this.#conversation.runStarted(now);
    this.refreshSession();
    this.#prompts.runStarted(now);
  }

  #runEnded(now: number): void {
    this.#transcript.runEnded();
    this.#conversation.runEnded(now);
    const mayRetry = !this.#settles && this.#conversation.state === AgentState.FAILED;
    this.#prompts.runEnded(mayRetry, now);
    this.refreshSession();
  }

  #inputSeen({ text, source }: PiEvents['input'], now: number): void {
    if (source === 'extension' || typeof text !== 'string') return;
    this.#prompts.typed(text, now);
    this.refreshSession();
  }

  #messageEnded(event: PiEvents['message_end'], now: number): void {
    const { message } = event;
    if (!isForPeople(message)) return;
    const index = this.#transcript.ended(message);
    const prompt = message.role === 'user' ? this.#prompts.appeared(textOf(message.content)) : null;
    this.#conversation.messageEnded(event, index, prompt, now);
    if (message.role === 'assistant') this.refreshSession();
  }

  #compactionStarted(signal: AbortSignal | undefined, now: number): void {
    this.#conversation.compactionStarted(now);
    const over = () => {
      if (!this.#isClosed) this.#conversation.compactionEnded(this.#clock.now());
    };
    signal?.addEventListener('abort', over, { once: true });
    // Older pis do not say that a compaction has failed.
    if (!this.#settles) this.#clock.after(120_000, over);
  }

  /** Waits for the message of a command that a person runs in the terminal. pi stores it when the command has ended. */
  #awaitStored(until: number): void {
    const before = this.#transcript.told;
    this.#clock.after(500, () => {
      this.#transcript.tellStored();
      if (this.#transcript.told === before && this.#clock.now() < until) this.#awaitStored(until);
    });
  }

  /** Sends clients the session's name, model, context and cost if they have changed. */
  refreshSession(): void {
    if (this.#isClosed) return;
    const before: Record<string, unknown> = { ...this.#session };
    const after: Record<string, unknown> = { ...this.#host.session() };
    const changed: Record<string, unknown> = {};
    for (const field of Object.keys({ ...before, ...after })) {
      if (encode(before[field]) !== encode(after[field])) changed[field] = after[field] ?? null;
    }
    if (Object.keys(changed).length === 0) return;
    this.#session = after as unknown as SessionInfo;
    this.#tell({ type: 'session', ...changed } as AgentEvent);
  }

  // Questions

  /** @param settle see `Questions.ask` */
  ask(question: Omit<Question, 'id' | 'askedAt'>, settle: (answer: Answer) => void): string {
    const id = this.#newId();
    const asked: Question = { ...question, id, askedAt: this.#clock.now() };
    // A run cannot be kept from going on without the answer, so dismissing the question stops the run.
    if (this.#conversation.runs && question.dismissStops === undefined) asked.dismissStops = true;
    this.#questions.ask(asked, settle);
    return id;
  }

  settled(id: string, by: SettledBy, value: Answer): void {
    this.#questions.settled(id, by, value);
  }

  renameQuestion(id: string, title: string): void {
    this.#questions.rename(id, title);
  }

  notice(level: 'info' | 'warning' | 'error', text: string): void {
    this.#tell({ type: 'notice', level, text });
  }

  #asked(event: AgentEvent): void {
    this.#tell(event);
    this.#conversation.questionsWait(this.#questions.size, this.#clock.now());
    this.#sink.onDetails();
  }

  // Prompts

  #send(content: PiContent, deliver: 'followUp' | 'steer', isCommand: boolean): void {
    const canExpand = this.#host.features.includes('commands');
    this.#host.send(content, canExpand ? { deliverAs: deliver, expandPromptTemplates: true } : { deliverAs: deliver });
    if (isCommand) this.refreshSession();
  }

  #proceed(): void {
    this.#prompts.proceed(this.#conversation.runs, this.#clock.now());
  }

  #newId(): string {
    return `${this.#audience.position.epoch}-${++this.#ids}`;
  }

  #tellMessage(message: Message, index: number): void {
    this.#tell({ type: 'message_end', message: fitMessage(message, index, AGENT_LIMITS.snapshotBytes), index });
  }

  #tell(event: AgentEvent): void {
    if (this.#isClosed) return;
    this.#audience.tell(event);
    if (event.type === 'state' || event.type === 'session') this.#sink.onDetails();
  }
}

/** The events of pi that classic clients know. */
const CLASSIC_EVENTS: ReadonlySet<string> = new Set([
  'message_start',
  'message_update',
  'message_end',
  'tool_execution_start',
  'tool_execution_update',
  'tool_execution_end',
]);
