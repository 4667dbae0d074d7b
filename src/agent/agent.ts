/**
 * One session of pi, for any number of clients: its history, what happens in it, the prompts and answers that clients send.
 *
 *   pi ── events ──▶ Conversation ──┬─▶ EventLog ──▶ clients in delta mode
 *   │ ▲                             └─▶ presence ──▶ the roster
 *   │ └── Prompts, Questions ◀── requests ── clients
 *   └──── its own events, as they are ──▶ clients in classic mode
 *
 * Knows no socket and no pi: it is given both as interfaces, and its clock.
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

/** How many UTF-16 units of events are kept for clients that come back. */
const EVENT_LOG_CHARS = 4 * 1024 * 1024;
/** pi may begin again by itself so long after it was told to stop: a provider's back-off. */
const ABORT_MS = 65_000;
/** So long it is looked for what somebody runs in the terminal. */
const BASH_MS = 600_000;
const MAX_PAGE_MESSAGES = 500;

/** pi, as the session sees it. Each may throw: the client that caused it is told. */
export interface AgentHost {
  readonly cwd: string;
  /** What this pi can do beside the rest. */
  readonly features: readonly AgentFeature[];
  /** pi says when a run is over for good; older ones only when it has ended for now. */
  readonly settles: boolean;
  /** The history as it is stored. */
  messages(): Message[];
  session(): SessionInfo;
  tools(): Tool[];
  commands(): Command[];
  /** The text is a command of an extension, which runs and makes no message of its own. */
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
  /** Calls back once, in so many milliseconds, unless the session is closed before. */
  after(delayMs: number, callback: () => void): void;
}

/** Where a client's messages go. */
export interface ClientSink {
  /** @param isRepeated a later message will have all of it again, so a client that reads slowly can do without */
  send(text: string, isRepeated?: boolean): void;
  close(closeCode: number, closeReason: string): void;
}

export interface AgentSink {
  /** What the roster should know has changed. */
  onDetails(): void;
  /** A fault of ours. */
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
  /** Messages that have ended and that pi may not have stored yet. */
  #ended: Message[] = [];
  /** How many messages of the history clients have been told of. */
  #told: number;
  /** A run that begins before this was not asked for: somebody wants to stop. */
  #abortUntil = 0;
  /** When the prompts are to be looked at next; null if nothing is set. */
  #proceedAt: number | null = null;
  #outputsDue = false;
  #ids = 0;
  #isClosed = false;

  /** @param epoch letters and digits, at most 32; never used before */
  constructor(host: AgentHost, clock: Clock, epoch: string, sink: AgentSink) {
    this.#host = host;
    this.#settles = host.settles;
    this.#clock = clock;
    this.#sink = sink;
    this.#log = new EventLog(epoch, EVENT_LOG_CHARS);
    this.#session = host.session();
    this.#told = host.messages().length;
    this.#conversation = new Conversation(clock.now(), {
      onEvent: (event) => this.#tell(event),
      onOutputDue: (delayMs) => this.#tellOutputsIn(delayMs),
    });
    this.#prompts = new Prompts({
      send: (content, deliver, isCommand) => this.#send(content, deliver, isCommand),
      isFree: () => !this.#conversation.compacts && host.isIdle(),
      holdsMessages: () => host.holdsMessages(),
      onOutcome: (outcome) => this.#tell({ type: 'prompt_status', ...outcome }),
      onQueue: () => this.#tell({ type: 'queue', entries: this.#prompts.queue }),
      onDue: (delayMs) => this.#proceedIn(delayMs),
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

  /** How long it has been in its state, and how long the tool has run, in seconds. */
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
   * A client has connected: it is sent what it missed, or everything.
   *
   * @param resumeFrom where a client in delta mode was; null for one that has nothing yet
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

  /** The session is over, here: everyone is told why. */
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

  /** What is stored, and behind it what has ended and is about to be. */
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
        this.#object(client, request, this.#prompts.remove(request.id));
        break;
      case 'queue_steer':
        this.#object(client, request, this.#prompts.steer(request.id, runs, now));
        break;
      case 'answer':
        this.#object(client, request, this.#questions.answer(request.id, request.value, request.client ?? null));
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
      // A prompt without a word is nothing that pi should see. A classic client has no word for that.
      this.#object(client, { type: 'prompt', id }, 'A prompt needs text, or a file');
      return;
    }
    // Somebody wants the agent to go on.
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
    this.#object(client, request, outcome);
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

  /** Tells the client why not, or what was decided before it asked. */
  #object(client: Client, { type, id }: { type: string; id: string }, objection: string | AgentAnswer | null): void {
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

  /** An event of pi's, by its name. */
  piEvent<Name extends keyof PiEvents>(name: Name, event: PiEvents[Name]): void {
    if (this.#isClosed) return;
    this.#handle(name, event);
    // A message that is being written comes whole with every piece.
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
        // Some pis say so that do not look like it.
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
        conversation.messageUpdated(event as PiEvents['message_update']);
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
        // The summary is stored as an entry, and is no message of pi's.
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
    // What pi wanted to store, it has.
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
    // Older pis do not say that it has failed.
    if (!this.#settles) this.#after(120_000, over);
  }

  /** Some messages are stored without an event: summaries, and what somebody runs with `!` in the terminal. */
  #tellStored(): void {
    const messages = this.#history();
    for (; this.#told < messages.length; this.#told++) {
      const index = this.#told;
      const message = fitMessage(messages[index] as Message, index, AGENT_LIMITS.snapshotBytes);
      this.#tell({ type: 'message_end', message, index });
    }
    // One that had an event was never stored.
    this.#told = messages.length;
  }

  /** Somebody runs a command in the terminal: what comes of it is stored once it has ended. */
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

  /** Name, model, context and cost may have changed. */
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

  /** @param settle as `Questions.ask` */
  ask(question: Omit<Question, 'id' | 'askedAt'>, settle: (answer: Answer) => void): string {
    const id = this.#newId();
    const asked: Question = { ...question, id, askedAt: this.#clock.now() };
    // Whoever stops waiting for it cannot be kept from going on.
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

  /** One timer is enough, however many ask: whatever is looked at sets the next. */
  #proceedIn(delayMs: number): void {
    const at = this.#clock.now() + delayMs;
    if (this.#proceedAt !== null && this.#proceedAt <= at) return;
    this.#proceedAt = at;
    this.#after(delayMs, () => {
      if (this.#proceedAt !== at) return;
      this.#proceedAt = null;
      this.#proceed();
    });
  }

  #tellOutputsIn(delayMs: number): void {
    if (this.#outputsDue) return;
    this.#outputsDue = true;
    this.#after(delayMs, () => {
      this.#outputsDue = false;
      this.#conversation.tellOutputs(this.#clock.now());
    });
  }

  #proceed(): void {
    this.#prompts.proceed(this.#conversation.runs, this.#clock.now());
  }

  #newId(): string {
    return `${this.#log.epoch}-${++this.#ids}`;
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

/** What an open connection of a client tells. */
export interface ClientConnection {
  receive(text: string): void;
  gone(): void;
}

/** pi's events that classic clients know. */
const CLASSIC_EVENTS: ReadonlySet<string> = new Set([
  'message_start',
  'message_update',
  'message_end',
  'tool_execution_start',
  'tool_execution_update',
  'tool_execution_end',
]);

/** pi stores the very message, or a copy. */
function isSame(stored: Message, ended: Message): boolean {
  if (stored === ended) return true;
  return stored.role === ended.role && stored.timestamp === ended.timestamp && stored.toolCallId === ended.toolCallId;
}
