/**
 * A sample agent: a WebSocket server of its own, which speaks like pi-socket, and an uplink to the daemon, on which it
 * registers. It works like a real agent, except that its answers are written beforehand.
 *
 *   daemon ◀── uplink: register ── agent
 *   client ──▶ daemon ──▶ server ── prompts in, events out
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import { answerTo, type Character, COMMANDS, TOOLS } from './cast.ts';
import { type AgentEvent, type AgentRequest, type Message, messageOf, type ToolResult } from './language.ts';

const WORD_MS = 60;
/** The most messages of its history that an agent sends unasked. */
const INIT_MESSAGES = 50;

/** The id of its request, to know the answer by. */
const REGISTER = 'register';

export class SampleAgent {
  readonly #character: Character;
  readonly #registryUrl: string;
  readonly #server: WebSocketServer;
  readonly #history: Message[] = [];
  #prompts: string[] = [];
  /** Set while it answers. */
  #answering: AbortController | null = null;
  #sessions = 1;
  #uplink: WebSocket | null = null;

  private constructor(character: Character, registryUrl: string, server: WebSocketServer) {
    this.#character = character;
    this.#registryUrl = registryUrl;
    this.#server = server;
    server.on('connection', (socket) => this.#greet(socket));
  }

  /** Serves on a free port, and registers. */
  static async start(character: Character, registryUrl: string): Promise<SampleAgent> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    const agent = new SampleAgent(character, registryUrl, server);
    await agent.connect();
    return agent;
  }

  get id(): string {
    return this.#sessions === 1 ? this.#character.id : `${this.#character.id}-${this.#sessions}`;
  }

  /** Somebody talks to it. */
  get busy(): boolean {
    return this.#server.clients.size > 0;
  }

  /** Opens the uplink and registers. Under the id it had before, it is the same node coming back. */
  async connect(): Promise<void> {
    const former = this.#uplink;
    const uplink = new WebSocket(this.#registryUrl);
    this.#uplink = uplink;
    const params = {
      id: this.id,
      machine: os.hostname(),
      cwd: this.#character.cwd,
      port: (this.#server.address() as AddressInfo).port,
      status: 'active',
      pid: process.pid,
    };
    await new Promise<void>((resolve, reject) => {
      uplink.on('open', () => uplink.send(JSON.stringify({ id: REGISTER, method: 'register', params })));
      uplink.on('message', (payload) => {
        const answer = JSON.parse(String(payload)) as { id?: string; error?: string };
        // The roster comes unasked, and an agent has no use for it.
        if (answer.id !== REGISTER) return;
        if (answer.error === undefined) resolve();
        else reject(new Error(`${this.id} could not register: ${answer.error}`));
      });
      uplink.on('error', reject);
      uplink.on('close', () => reject(new Error(`${this.id} lost the daemon`)));
    });
    former?.close();
  }

  /** Loses the uplink without a word, like a laptop whose lid is closed. */
  vanish(): void {
    this.#uplink?.terminate();
    this.#uplink = null;
  }

  /** A new session has a new id; it replaces the old one, for it serves on the same port. */
  async newSession(): Promise<void> {
    this.#sessions++;
    this.#history.length = 0;
    await this.connect();
  }

  stop(): void {
    this.#prompts = [];
    this.#answering?.abort();
    this.vanish();
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }

  #greet(socket: WebSocket): void {
    socket.on('error', () => {});
    socket.on('message', (payload, isBinary) => {
      if (!isBinary) this.#hear(socket, String(payload));
    });
    const hidden = Math.max(0, this.#history.length - INIT_MESSAGES);
    send(socket, {
      type: 'init_state',
      messages: this.#history.slice(hidden),
      tools: [...TOOLS],
      ...(hidden > 0 ? { truncated: true, totalMessages: this.#history.length } : {}),
    });
  }

  #hear(socket: WebSocket, text: string): void {
    const request = parseRequest(text);
    switch (request?.type) {
      case 'abort':
        this.#answering?.abort();
        break;
      case 'fetch_history': {
        const before = clamp(request.before ?? this.#history.length, this.#history.length);
        const oldestIndex = Math.max(0, before - clamp(request.limit ?? INIT_MESSAGES, INIT_MESSAGES));
        const messages = this.#history.slice(oldestIndex, before);
        send(socket, { type: 'history_page', messages, hasMore: oldestIndex > 0, oldestIndex });
        break;
      }
      case 'list_commands':
        send(socket, { type: 'commands_list', commands: COMMANDS });
        break;
      case 'list_files': {
        const { cwd, files } = this.#character;
        const prefix = request.prefix ?? '';
        send(socket, { type: 'files_list', files: files.filter(({ path }) => path.startsWith(prefix)), cwd });
        break;
      }
      case 'attach_file':
        // It takes the file and forgets it: the demo writes nothing to the disk.
        send(socket, { type: 'attach_file_ack', filename: request.filename, success: true });
        break;
      default:
        if (text.trim() === '') return;
        this.#prompts.push(text);
        if (this.#answering === null) void this.#work();
    }
  }

  /** Answers the prompts one after another. */
  async #work(): Promise<void> {
    for (let prompt = this.#prompts.shift(); prompt !== undefined; prompt = this.#prompts.shift()) {
      this.#answering = new AbortController();
      this.#tell(messageOf('user', prompt));
      await this.#useTool(this.#answering.signal);
      await this.#answer(prompt, this.#answering.signal);
    }
    this.#answering = null;
  }

  async #useTool(signal: AbortSignal): Promise<void> {
    const call = { toolCallId: `call-${this.#history.length}`, toolName: 'bash' };
    const args = { command: 'ls' };
    const files = this.#character.files.map(({ path }) => path).filter((path) => !path.slice(0, -1).includes('/'));
    const result: ToolResult = { content: [{ type: 'text', text: files.join('\n') }] };
    this.#broadcast({ type: 'tool_execution_start', ...call, args });
    await pause(2 * WORD_MS, signal);
    this.#broadcast({ type: 'tool_execution_update', ...call, args, partialResult: result });
    await pause(2 * WORD_MS, signal);
    this.#broadcast({ type: 'tool_execution_end', ...call, result, isError: signal.aborted });
  }

  /** Word by word. As with pi, every update repeats the whole message so far. */
  async #answer(prompt: string, signal: AbortSignal): Promise<void> {
    const words = answerTo(this.#character, prompt).match(/\s*\S+/g) ?? [];
    let text = '';
    this.#broadcast({ type: 'message_start', message: messageOf('assistant', text) });
    for (const word of words) {
      await pause(WORD_MS, signal);
      if (signal.aborted) break;
      text += word;
      this.#broadcast({ type: 'message_update', message: messageOf('assistant', text) });
    }
    const message = { ...messageOf('assistant', text), stopReason: signal.aborted ? 'aborted' : 'stop' };
    this.#history.push(message);
    this.#broadcast({ type: 'message_end', message });
  }

  #tell(message: Message): void {
    this.#history.push(message);
    this.#broadcast({ type: 'message_start', message });
    this.#broadcast({ type: 'message_end', message });
  }

  #broadcast(event: AgentEvent): void {
    for (const client of this.#server.clients) send(client, event);
  }
}

function send(socket: WebSocket, event: AgentEvent): void {
  socket.send(JSON.stringify(event));
}

/** Null for a prompt. */
function parseRequest(text: string): AgentRequest | null {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}

/** Is over at once when the signal comes. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

function clamp(value: number, max: number): number {
  return Math.min(Math.max(0, value), max);
}
