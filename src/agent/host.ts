/** The parts of pi that a session needs, read from pi's context and API. */
import {
  AgentFeature,
  type Command,
  type FilesList,
  type Message,
  type SessionInfo,
  type Tool,
} from '../protocol/agent.ts';
import { listFiles } from './files.ts';
import { messagesOf } from './history.ts';
import type { PiApi, PiContent, PiContext, PiSendOptions } from './pi.ts';

/** The most listings at once. A folder that hangs must not occupy all the threads that pi reads files with. */
const MAX_LISTINGS = 1;

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

export class PiHost implements AgentHost {
  readonly cwd: string;
  readonly features: readonly AgentFeature[];
  readonly settles: boolean;
  readonly #pi: PiApi;
  readonly #context: PiContext;
  #listings = 0;

  /** @param settles whether pi says when a run has ended for good; such pis also run commands from clients */
  constructor(pi: PiApi, context: PiContext, settles: boolean) {
    this.#pi = pi;
    this.#context = context;
    this.cwd = context.cwd;
    this.settles = settles;
    const { QUEUE, STEER, ATTACHMENTS, QUESTIONS, COMMANDS } = AgentFeature;
    this.features = [QUEUE, STEER, ATTACHMENTS, QUESTIONS, ...(settles ? [COMMANDS] : [])];
  }

  messages(): Message[] {
    return messagesOf(this.#context.sessionManager.getBranch());
  }

  session(): SessionInfo {
    const { sessionManager, model } = this.#context;
    const info: SessionInfo = { id: sessionManager.getSessionId() };
    const name = this.#pi.getSessionName?.();
    if (name) info.name = name;
    if (model) info.model = model.id;
    const thinking = this.#pi.getThinkingLevel?.();
    if (thinking) info.thinking = thinking;
    const usage = this.#context.getContextUsage?.();
    // Right after a compaction the number of tokens is unknown.
    if (usage && usage.tokens !== null) info.context = { used: usage.tokens, max: usage.contextWindow };
    info.cost = costOf(sessionManager.getEntries());
    return info;
  }

  tools(): Tool[] {
    return this.#pi
      .getAllTools()
      .map(({ name, description }) => (description === undefined ? { name } : { name, description }));
  }

  commands(): Command[] {
    if (!this.features.includes(AgentFeature.COMMANDS)) return [];
    return this.#pi.getCommands().map(({ name, description }) => {
      return description === undefined ? { name: `/${name}` } : { name: `/${name}`, description };
    });
  }

  isCommand(text: string): boolean {
    if (!text.startsWith('/') || !this.features.includes(AgentFeature.COMMANDS)) return false;
    const typed = text.slice(1).split(' ', 1)[0];
    return this.#pi.getCommands().some(({ name, source }) => source === 'extension' && name === typed);
  }

  send(content: PiContent, options: PiSendOptions): void {
    if (this.#context.model === undefined) throw new Error('No model is selected');
    const sent: unknown = this.#pi.sendUserMessage(content, options);
    // No pi returns a promise here so far, but a rejected one would end pi.
    if (sent instanceof Promise) sent.catch(() => {});
  }

  abort(): void {
    const aborted: unknown = this.#context.abort();
    if (aborted instanceof Promise) aborted.catch(() => {});
  }

  isIdle(): boolean {
    return this.#context.isIdle();
  }

  holdsMessages(): boolean {
    return this.#context.hasPendingMessages?.() ?? false;
  }

  async listFiles(prefix: string): Promise<FilesList['files']> {
    if (this.#listings >= MAX_LISTINGS) return [];
    this.#listings++;
    try {
      return await listFiles(this.cwd, prefix);
    } finally {
      this.#listings--;
    }
  }
}

function costOf(entries: readonly { message?: unknown; usage?: { cost?: { total?: number } } }[]): number {
  let cost = 0;
  for (const { message, usage } of entries) {
    const { usage: ofMessage } = (message ?? {}) as { usage?: { cost?: { total?: number } } };
    cost += (usage?.cost?.total ?? 0) + (ofMessage?.cost?.total ?? 0);
  }
  return Math.round(cost * 1e6) / 1e6;
}
