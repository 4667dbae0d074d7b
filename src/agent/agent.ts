/**
 * One session of pi, for any number of clients: its history, its events, and the prompts and answers that clients send.
 *
 *   pi ── events ──▶ Conversation ──┬─▶ EventLog ──▶ clients in delta mode
 *   │ ▲                             └─▶ presence ──▶ the roster
 *   │ └── Prompts, Questions ◀── requests ── clients
 *   └──── its own events, unchanged ──▶ clients in classic mode
 *
 * This module knows no socket and no pi. It gets both as interfaces, and its clock too.
 */
import {
  AGENT_LIMITS,
  type AgentAnswer,
  type AgentEvent,
  type AgentFeature,
  type AgentRequest,
  type Attachment,
  type Command,
  type FilesList,
  type Message,
  type Question,
  type SessionInfo,
  type SettledBy,
  type Tool,
} from '../protocol/agent.ts';
import { AgentState, type NodeDetails } from '../protocol/registry.ts';
import type { Position } from '../protocol/subprotocol.ts';
import { Alarm } from './alarm.ts';
import { AttachmentProblem, contentOf } from './attachment.ts';
import { Conversation, textOf } from './conversation.ts';
import { EventLog } from './event-log.ts';
import { fitMessage, isForPeople, pageOf } from './history.ts';
import { byteLength, encode } from './json.ts';
import type { PiContent, PiEvents, PiSendOptions } from './pi.ts';
import { clipDetails, nodeQuestion } from './presence.ts';
import { Prompts } from './prompts.ts';
import { type Answer, Questions } from './questions.ts';
import { type PlainPrompt, RequestProblem, readRequest } from './request.ts';
import { encodeSnapshot } from './snapshot.ts';

/** The length of the events kept for clients that reconnect, in UTF-16 units. */
const EVENT_LOG_CHARS = 4 * 1024 * 1024;
/** For how long after an abort pi may start a run by itself: the longest back-off of a provider. */
const ABORT_MS = 65_000;
/** How long to look for the result of a command that a person runs in the terminal. */
const BASH_MS = 600_000;
const MAX_PAGE_MESSAGES = 500;

/** pi, as the session sees it. Each method may throw. The client that caused the call gets an error then. */
export interface AgentHost {
  readonly cwd: string;
  /** The abilities of this pi beside the classic mode. */
  readonly features: readonly AgentFeature[];
  /** Whether pi says when a run has ended for good. Older pis only say that it has ended for now. */
  readonly settles: boolean;
  /** The stored history. */
  messages(): Message[];
  session(): SessionInfo;
  tools(): Tool[];
  commands(): Command[];
  /** Whether the text is a command of an extension, which runs without a message of its own. */
  isCommand(text: string): boolean;
  send(content: PiContent, options: PiSendOptions): void;
  abort(): void;
  isIdle(): boolean;
  holdsMessages(): boolean;
  listFiles(prefix: string): Promise<FilesList['files']>;
}

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls back once after `delayMs` milliseconds, unless the session is closed before. */
  after(delayMs: number, callback: () => void): void;
}

/** Takes the messages for one client. */
export interface ClientSink {
  /** @param isRepeated whether a later message will contain all of this one, so that a slow client can do without it */
  send(text: string, isRepeated?: boolean): void;
  close(closeCode: number, closeReason: string): void;
}

export interface AgentSink {
  /** Called when the details for the roster have changed. */
  onDetails(): void;
  /** Called with a fault of the extension's own. */
  onFault(error: unknown): void;
}

interface Client {
  sink: ClientSink;
  isClassic: boolean;
}

export class Agent {
  readonly #host: AgentHost;
  #settles: boolean;
  readonly #clock: Clock;
  readonly #sink: AgentSink;
  readonly #log: EventLog;
  readonly #clients = new Set<Client>();
  readonly #conversation: Conversation;
  readonly #prompts: Prompts;
  readonly #questions: Questions;
  #session: SessionInfo;
  /** Messages that have ended, but that pi may not have stored yet. */
  #ended: Message[] = [];
  /** The number of messages in the history that clients know of. */
  #told: number;
  /** A run that begins before this moment is aborted, because a person has stopped the agent. */
  #abortUntil = 0;
  #ids = 0;
  #isClosed = false;

  /** @param epoch at most 32 letters and digits, never used before */
  constructor(host: AgentHost, clock: Clock, epoch: string, sink: AgentSink) {
    this.#host = host;
    this.#settles = host.settles;
    this.#clock = clock;
    this.#sink = sink;
    this.#log = new EventLog(epoch, EVENT_LOG_CHARS);
    this.#session = host.session();
    this.#told = host.messages().length;
    const tellDue = this.#alarm(() => this.#conversation.tellDue(clock.now()));
    this.#conversation = new Conversation(clock.now(), {
      onEvent: (event) => this.#tell(event),
      onDue: (delayMs) => tellDue.setIn(delayMs),
    });
    const proceed = this.#alarm(() => this.#proceed());
    this.#prompts = new Prompts({
      send: (content, deliver, isCommand) => this.#send(content, deliver, isCommand),
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

  get clients(): number {
    return this.#clients.size;
  }

  // Clients

  /**
   * Adds a client that has connected, and sends it the events that it missed, or a snapshot.
   *
   * @param resumeFrom the last position of a client in delta mode; null for a client without one
   */
  connect(sink: ClientSink, isClassic: boolean, resumeFrom: Position | null): ClientConnection {
    const client: Client = { sink, isClassic };
    const missed = isClassic || resumeFrom === null ? null : this.#log.since(resumeFrom);
    if (missed !== null && resumeFrom !== null) {
      sink.send(encode({ type: 'resumed', ...resumeFrom, now: this.#clock.now() }));
      for (const event of missed) sink.send(event);
    } else {
      sink.send(this.#snapshot());
    }
    this.#clients.add(client);
    return {
      receive: (text) => this.#receive(client, text),
      gone: () => void this.#clients.delete(client),
    };
  }

  /** Ends the session here, and closes every client with the reason. */
  close(closeCode: number, closeReason: string): void {
    this.#questions.clear();
    this.#isClosed = true;
    for (const { sink } of this.#clients) sink.close(closeCode, closeReason);
    this.#clients.clear();
  }

  #snapshot(): string {
    const { state, stateSince, error, live, runningTools } = this.#conversation;
    return encodeSnapshot(this.#history(), {
      epoch: this.#log.epoch,
      seq: this.#log.seq,
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

  /** The stored messages, followed by the messages that have ended and are not stored yet. */
  #history(): Message[] {
    const messages = this.#host.messages();
    const last = messages.slice(-32);
    this.#ended = this.#ended.filter((ended) => !last.some((stored) => isSame(stored, ended)));
    return this.#ended.length === 0 ? messages : [...messages, ...this.#ended];
  }

  // Requests

  #receive(client: Client, text: string): void {
    if (this.#isClosed) return;
    try {
      this.#perform(client, readRequest(text, client.isClassic));
    } catch (error) {
      this.#refuse(client, error);
    }
  }

  #perform(client: Client, request: AgentRequest | PlainPrompt): void {
    const now = this.#clock.now();
    const { runs } = this.#conversation;
    switch (request.type) {
      case 'plain_prompt':
        this.#submit(client, { id: this.#newId(), text: request.text });
        break;
      case 'prompt':
        this.#submit(client, request);
        break;
      case 'attach_file':
        this.#attach(client, request);
        break;
      case 'abort':
        this.#abort();
        break;
      case 'queue_remove':
        this.#sendObjection(client, request, this.#prompts.remove(request.id));
        break;
      case 'queue_steer':
        this.#sendObjection(client, request, this.#prompts.steer(request.id, runs, now));
        break;
      case 'answer':
        this.#sendObjection(client, request, this.#questions.answer(request.id, request.value, request.client ?? null));
        break;
      case 'dismiss':
        this.#dismiss(client, request);
        break;
      case 'fetch_history':
        this.#answerPage(client, request.before, request.limit);
        break;
      case 'fetch_message':
        this.#answerMessage(client, request.index);
        break;
      case 'list_commands':
        this.#answer(client, { type: 'commands_list', commands: this.#host.commands() });
        break;
      case 'list_files':
        void this.#answerFiles(client, request.prefix);
        break;
    }
  }

  #submit(
    client: Client,
    request: { id: string; text: string; attachments?: Attachment[]; deliver?: 'followUp' | 'steer'; client?: string },
  ): void {
    const { id, text, attachments = [], deliver = 'followUp' } = request;
    if (text.trim() === '' && attachments.length === 0) {
      // pi should not get a prompt without text. Classic clients know no message that says so.
      this.#sendObjection(client, { type: 'prompt', id }, 'A prompt needs text, or a file');
      return;
    }
    // A person wants the agent to go on.
    this.#abortUntil = 0;
    const prompt = {
      id,
      text: text.trim() === '' ? attachments.map(({ filename }) => filename).join(', ') : text,
      content: contentOf(text, attachments),
      deliver,
      attachments: attachments.length,
      client: request.client ?? null,
      isCommand: attachments.length === 0 && this.#host.isCommand(text),
    };
    const known = this.#prompts.submit(prompt, this.#conversation.runs, this.#clock.now());
    if (known !== null) this.#answer(client, { type: 'prompt_status', ...known });
  }

  #attach(client: Client, { filename, content, mimeType }: Extract<AgentRequest, { type: 'attach_file' }>): void {
    try {
      const attachment: Attachment = { filename, data: content };
      if (mimeType !== undefined) attachment.mimeType = mimeType;
      this.#submit(client, { id: this.#newId(), text: '', attachments: [attachment] });
      this.#answer(client, { type: 'attach_file_ack', filename, success: true });
    } catch (error) {
      if (!(error instanceof AttachmentProblem)) throw error;
      this.#answer(client, { type: 'attach_file_ack', filename, success: false, error: error.message });
    }
  }

  #dismiss(client: Client, request: Extract<AgentRequest, { type: 'dismiss' }>): void {
    const outcome = this.#questions.dismiss(request.id, request.client ?? null);
    if (typeof outcome === 'object' && 'dismissed' in outcome) {
      if (outcome.dismissed.dismissStops) this.#abort();
      return;
    }
    this.#sendObjection(client, request, outcome);
  }

  #abort(): void {
    this.#abortUntil = this.#clock.now() + ABORT_MS;
    this.#prompts.stop();
    this.#host.abort();
  }

  #answerPage(client: Client, before: number, limit: number): void {
    const { json, oldestIndex } = pageOf(
      this.#history(),
      before,
      Math.min(limit, MAX_PAGE_MESSAGES),
      AGENT_LIMITS.snapshotBytes - 100,
    );
    const hasMore = oldestIndex > 0;
    client.sink.send(`{"type":"history_page","messages":${json},"hasMore":${hasMore},"oldestIndex":${oldestIndex}}`);
  }

  #answerMessage(client: Client, index: number): void {
    const message = this.#history()[index];
    const answer = encode({ type: 'message', index, message });
    if (message === undefined) {
      this.#answer(client, { type: 'error', request: 'fetch_message', id: index, error: 'There is no such message' });
    } else if (byteLength(answer) > AGENT_LIMITS.messageBytes) {
      this.#answer(client, { type: 'error', request: 'fetch_message', id: index, error: 'The message is too large' });
    } else {
      client.sink.send(answer);
    }
  }

  async #answerFiles(client: Client, prefix: string | undefined): Promise<void> {
    try {
      const files = await this.#host.listFiles(prefix ?? '');
      const list: FilesList = { type: 'files_list', files, cwd: this.#host.cwd };
      if (!this.#isClosed) this.#answer(client, prefix === undefined ? list : { ...list, prefix });
    } catch (error) {
      this.#sink.onFault(error);
    }
  }

  #answer(client: Client, answer: AgentAnswer): void {
    client.sink.send(encode(answer));
  }

  /** Sends the client the reason why its request failed, or the earlier decision, if there is either. */
  #sendObjection(
    client: Client,
    { type, id }: { type: string; id: string },
    objection: string | AgentAnswer | null,
  ): void {
    if (objection === null || client.isClassic) return;
    this.#answer(
      client,
      typeof objection === 'string' ? { type: 'error', request: type, id, error: objection } : objection,
    );
  }

  #refuse(client: Client, error: unknown): void {
    const isExpected = error instanceof RequestProblem || error instanceof AttachmentProblem;
    if (!isExpected) this.#sink.onFault(error);
    if (client.isClassic) return;
    const answer: AgentAnswer = { type: 'error', error: isExpected ? error.message : 'pi could not do that' };
    if (error instanceof RequestProblem) {
      answer.request = error.request;
      if (error.id !== undefined) answer.id = error.id;
    }
    this.#answer(client, answer);
  }

  // pi

  /** Handles an event of pi. */
  piEvent<Name extends keyof PiEvents>(name: Name, event: PiEvents[Name]): void {
    if (this.#isClosed) return;
    this.#handle(name, event);
    // Every `message_update` contains the whole message so far.
    if (CLASSIC_EVENTS.has(name)) this.#forward(event, name === 'message_update');
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
        this.#tellStored();
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
        this.#ended = [];
        this.#told = this.#host.messages().length;
        this.#tell({ type: 'history_reset' });
        this.refreshSession();
        break;
      default:
        this.refreshSession();
    }
  }

  #runStarted(now: number): void {
    this.#conversation.runStarted(now);
    this.#prompts.runStarted();
    this.refreshSession();
    if (now < this.#abortUntil) this.#host.abort();
  }

  #runEnded(now: number): void {
    // pi has stored every message that it wants to store.
    this.#ended = [];
    this.#tellStored();
    this.#conversation.runEnded(now);
    const mayRetry = !this.#settles && this.#conversation.state === AgentState.FAILED;
    this.#prompts.runEnded(mayRetry, now);
    if (!mayRetry) this.#abortUntil = 0;
    this.refreshSession();
  }

  #inputSeen({ text, source }: PiEvents['input'], now: number): void {
    if (source === 'extension' || typeof text !== 'string') return;
    this.#abortUntil = 0;
    this.#prompts.typed(text, now);
    this.refreshSession();
  }

  #messageEnded(event: PiEvents['message_end'], now: number): void {
    const { message } = event;
    if (!isForPeople(message)) return;
    this.#tellStored();
    const index = this.#told++;
    this.#ended.push(message);
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
    if (!this.#settles) this.#after(120_000, over);
  }

  /**
   * Sends clients the messages that pi stored without an event: summaries, and commands run with `!` in the terminal.
   */
  #tellStored(): void {
    const messages = this.#history();
    for (; this.#told < messages.length; this.#told++) {
      const index = this.#told;
      const message = fitMessage(messages[index] as Message, index, AGENT_LIMITS.snapshotBytes);
      this.#tell({ type: 'message_end', message, index });
    }
    // A message that had an event may never have been stored.
    this.#told = messages.length;
  }

  /** Waits for the message of a command that a person runs in the terminal. pi stores it when the command has ended. */
  #awaitStored(until: number): void {
    const before = this.#told;
    this.#after(500, () => {
      this.#tellStored();
      if (this.#told === before && this.#clock.now() < until) this.#awaitStored(until);
    });
  }

  #forward(event: object, isRepeated: boolean): void {
    let text: string | null = null;
    for (const { isClassic, sink } of this.#clients) {
      if (!isClassic) continue;
      text ??= encode(event);
      sink.send(text, isRepeated);
    }
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
    return `${this.#log.epoch}-${++this.#ids}`;
  }

  #alarm(callback: () => void): Alarm {
    return new Alarm({ now: () => this.#clock.now(), after: (delayMs, ring) => this.#after(delayMs, ring) }, callback);
  }

  #after(delayMs: number, callback: () => void): void {
    this.#clock.after(delayMs, () => {
      if (!this.#isClosed) callback();
    });
  }

  #tell(event: AgentEvent): void {
    if (this.#isClosed) return;
    const text = this.#log.append(event);
    for (const { isClassic, sink } of this.#clients) if (!isClassic) sink.send(text);
    if (event.type === 'state' || event.type === 'session') this.#sink.onDetails();
  }
}

/** The callbacks of a client's open connection. */
export interface ClientConnection {
  receive(text: string): void;
  gone(): void;
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

/** Whether pi has stored this message: the same object, or a copy. */
function isSame(stored: Message, ended: Message): boolean {
  if (stored === ended) return true;
  return stored.role === ended.role && stored.timestamp === ended.timestamp && stored.toolCallId === ended.toolCallId;
}
