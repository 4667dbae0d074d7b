/**
 * An agent with `ws` alone, as the protocol's page describes one: it does what a test tells it. It speaks deltas to those
 * who offer them, with an epoch, numbers and resuming, and pi's own events to all others.
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type {
  AgentEvent,
  InitState,
  Message,
  PromptOutcome,
  Question,
  QueueEntry,
  RunningTool,
  StreamEvent,
} from '../../../src/protocol/agent.ts';
import type { AgentState, NodeDetails } from '../../../src/protocol/registry.ts';
import { DELTA_SUBPROTOCOL, readResume, SUBPROTOCOL } from '../../../src/protocol/subprotocol.ts';

// biome-ignore lint/suspicious/noExplicitAny: what clients send is what tests look into
type Json = any;

export interface AgentOptions {
  id: string;
  machine?: string;
  cwd?: string;
  details?: NodeDetails & { spawn_id?: string };
  messages?: Message[];
  /** Knows neither deltas nor states: the extension that people have today. */
  classic?: boolean;
  tools?: string[];
  /** Another port than its own in the registration, so that it cannot be dialled. */
  port?: number;
  protocols?: string[];
  /** How many of the newest messages a snapshot has; the rest is fetched. All, unless given. */
  newest?: number;
}

export const text = (role: string, words: string): Message => ({
  role,
  content: [{ type: 'text', text: words }],
  timestamp: Date.now(),
});

export class ScriptedAgent {
  readonly id: string;
  readonly server: WebSocketServer;
  readonly #options: AgentOptions;
  readonly #registryUrl: string;
  #uplink: WebSocket | null = null;
  #answers = new Map<number, (answer: Json) => void>();
  #lastCall = 0;
  readonly messages: Message[];
  #epoch = Math.random().toString(36).slice(2, 10);
  #seq = 0;
  #log: StreamEvent[] = [];
  #live: Message | null = null;
  state: AgentState = 'idle';
  questions: Question[] = [];
  queue: QueueEntry[] = [];
  running: RunningTool[] = [];
  /** What became of prompts, for snapshots to tell. */
  prompts: PromptOutcome[] = [];
  /** Every request and prompt that came, in order. */
  readonly received: Json[] = [];
  /** Connections that were opened, with their offers. */
  readonly offers: string[][] = [];
  onRequest: (request: Json, socket: WebSocket) => void = () => {};

  private constructor(registryUrl: string, server: WebSocketServer, options: AgentOptions) {
    this.#registryUrl = registryUrl;
    this.server = server;
    this.id = options.id;
    this.#options = options;
    this.messages = options.messages ?? [];
    this.state = options.details?.state ?? 'idle';
    server.on('connection', (socket, request) => this.#greet(socket, request));
  }

  /** Serves on a free port, and is in the roster when this resolves. */
  static async start(registryUrl: string, options: AgentOptions): Promise<ScriptedAgent> {
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      perMessageDeflate: false,
      handleProtocols: (offered) => {
        if (offered.has(DELTA_SUBPROTOCOL) && !options.classic) return DELTA_SUBPROTOCOL;
        return offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false;
      },
    });
    await once(server, 'listening');
    const agent = new ScriptedAgent(registryUrl, server, options);
    await agent.register();
    return agent;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async register(): Promise<void> {
    const { id, machine = '127.0.0.1', cwd = '/home/me/work', details = {}, port = this.port } = this.#options;
    const uplink = new WebSocket(this.#registryUrl, this.#options.protocols ?? []);
    uplink.on('error', () => {});
    uplink.on('message', (payload) => {
      const message = JSON.parse(String(payload));
      if (message.event === undefined) this.#answers.get(message.id)?.(message);
    });
    await once(uplink, 'open');
    this.#uplink = uplink;
    await this.#call('register', { id, machine, cwd, port, status: 'active', pid: process.pid, ...details });
  }

  /** Tells the registry of fields that changed; null removes one. */
  async update(fields: Record<string, unknown>): Promise<void> {
    await this.#call('update', fields);
  }

  async #call(method: string, params: object): Promise<Json> {
    const id = ++this.#lastCall;
    const answer = new Promise<Json>((resolve) => this.#answers.set(id, resolve));
    this.#uplink?.send(JSON.stringify({ id, method, params }));
    return answer;
  }

  /** Something happens: everyone is told. */
  emit(event: AgentEvent): void {
    const numbered = { ...event, seq: ++this.#seq } as StreamEvent;
    this.#log.push(numbered);
    this.#apply(event);
    for (const socket of this.server.clients) if (socket.protocol === DELTA_SUBPROTOCOL) send(socket, numbered);
  }

  /** One of pi's own events, for clients of the classic kind. */
  emitClassic(event: object): void {
    for (const socket of this.server.clients) if (socket.protocol !== DELTA_SUBPROTOCOL) send(socket, event);
  }

  #apply(event: AgentEvent): void {
    switch (event.type) {
      case 'message_start':
        this.#live = { ...event.message, content: [] };
        break;
      case 'message_delta': {
        const parts = this.#live?.content as Json[] | undefined;
        if (parts === undefined) break;
        const empty = {
          text: { type: 'text', text: '' },
          thinking: { type: 'thinking', thinking: '' },
          toolcall: { type: 'toolCall', ...event.call, arguments: {}, partial: '' },
        };
        const part = parts[event.index] ?? empty[event.kind];
        parts[event.index] = part;
        if (event.kind === 'thinking') part.thinking += event.delta;
        else if (event.kind === 'toolcall') part.partial += event.delta;
        else part.text += event.delta;
        break;
      }
      case 'message_end':
        this.#live = null;
        this.messages[event.index] = event.message;
        break;
      case 'state':
        this.state = event.state;
        break;
      case 'tool_start': {
        const { type: _, ...tool } = event;
        this.running.push(tool);
        break;
      }
      case 'tool_update':
        for (const tool of this.running) {
          if (tool.toolCallId === event.toolCallId)
            tool.output = (tool.output ?? '').slice(event.drop ?? 0) + event.append;
        }
        break;
      case 'tool_end':
        this.running = this.running.filter(({ toolCallId }) => toolCallId !== event.toolCallId);
        break;
      case 'queue':
        this.queue = event.entries;
        break;
      case 'prompt_status':
        this.prompts.push({ id: event.id, status: event.status, ...(event.error && { error: event.error }) });
        break;
      case 'question':
        this.questions.push(event.question);
        break;
      case 'question_settled':
        this.questions = this.questions.filter(({ id }) => id !== event.id);
    }
  }

  /** What somebody says, whole. */
  say(message: Message): void {
    this.emit({ type: 'message_end', message, index: this.messages.length });
  }

  async setState(state: AgentState, error?: string): Promise<void> {
    this.emit({ type: 'state', state, since: Date.now(), ...(error === undefined ? {} : { error }) });
    await this.update({ state });
  }

  async ask(question: Question): Promise<void> {
    this.emit({ type: 'question', question });
    const { id, kind, title, options } = question;
    await this.update({ state: 'waiting', questions: 1, question: { id, kind, title, ...(options && { options }) } });
  }

  async settle(id: string, fields: Json): Promise<void> {
    this.emit({ type: 'question_settled', id, ...fields });
    await this.update({ state: 'working', questions: null, question: null });
  }

  #greet(socket: WebSocket, request: IncomingMessage): void {
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(/, ?/);
    this.offers.push(offered);
    socket.on('error', () => {});
    socket.on('message', (payload) => {
      const request = parse(String(payload));
      this.received.push(request);
      if (request.type === 'fetch_history') this.#answerHistory(request, socket);
      this.onRequest(request, socket);
    });
    if (socket.protocol !== DELTA_SUBPROTOCOL) {
      send(socket, {
        type: 'init_state',
        messages: this.#newest(),
        tools: this.#options.tools ?? ['bash', 'read'],
        truncated: this.#newest().length < this.messages.length,
        totalMessages: this.messages.length,
      });
      return;
    }
    const position = readResume(offered);
    if (position !== null && position.epoch === this.#epoch && position.seq <= this.#seq) {
      send(socket, { type: 'resumed', epoch: this.#epoch, seq: position.seq, now: Date.now() });
      for (const event of this.#log) if (event.seq > position.seq) send(socket, event);
      return;
    }
    send(socket, this.snapshot());
  }

  #newest(): Message[] {
    return this.messages.slice(-(this.#options.newest ?? this.messages.length) || this.messages.length);
  }

  #answerHistory({ before, limit }: { before: number; limit: number }, socket: WebSocket): void {
    const oldestIndex = Math.max(0, before - limit);
    const messages = this.messages.slice(oldestIndex, before);
    send(socket, { type: 'history_page', messages, hasMore: oldestIndex > 0, oldestIndex });
  }

  snapshot(): InitState {
    const { details = {}, cwd = '/home/me/work', tools = ['bash', 'read', 'edit', 'write'] } = this.#options;
    return {
      type: 'init_state',
      messages: this.#newest(),
      tools: tools.map((name) => ({ name, description: `The tool ${name}` })),
      totalMessages: this.messages.length,
      oldestIndex: this.messages.length - this.#newest().length,
      epoch: this.#epoch,
      seq: this.#seq,
      cwd,
      session: { id: details.session ?? `session-${this.id}`, ...pick(details, ['name', 'model', 'context', 'cost']) },
      state: this.state,
      stateSince: Date.now() - 5000,
      now: Date.now(),
      ...(this.#live === null ? {} : { live: this.#live }),
      runningTools: this.running,
      queue: this.queue,
      prompts: this.prompts,
      questions: this.questions,
      features: ['queue', 'steer', 'commands', 'attachments', 'questions'],
    } as InitState;
  }

  /** Remembers no event: clients that come back get a snapshot. */
  forget(): void {
    this.#log = [];
    this.#epoch = Math.random().toString(36).slice(2, 10);
  }

  /** Its clients' connections end, without a word. */
  dropClients(): void {
    for (const socket of this.server.clients) socket.terminate();
  }

  closeClients(code: number, reason = ''): void {
    for (const socket of this.server.clients) socket.close(code, reason);
  }

  /** Its connection to the daemon ends: it is offline. */
  goOffline(): void {
    this.#uplink?.terminate();
  }

  async stop(): Promise<void> {
    this.#uplink?.terminate();
    this.dropClients();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function pick<T extends object, K extends keyof T>(value: T, keys: K[]): Partial<T> {
  return Object.fromEntries(keys.flatMap((key) => (value[key] === undefined ? [] : [[key, value[key]]]))) as Partial<T>;
}

function send(socket: WebSocket, message: object): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function parse(payload: string): Json {
  try {
    return JSON.parse(payload);
  } catch {
    return payload;
  }
}
