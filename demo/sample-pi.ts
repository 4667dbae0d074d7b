/**
 * A pi without a model: as much of pi as its extensions see of it, playing what was written beforehand. The real extension
 * of this package serves it, so what a dashboard is told is what a real pi would tell.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { PiApi, PiContent, PiContext, PiDialogOptions, PiEntry, PiEvents, PiUi } from '../src/agent/pi.ts';
import type { ContentPart, Message } from '../src/protocol/agent.ts';
import { answerTo, type Character, COMMANDS, TOOLS } from './cast.ts';
import {
  assistantMessage,
  type ConfirmStep,
  callOf,
  messagesOf,
  resultMessage,
  type SelectStep,
  type Step,
  type ToolStep,
  userMessage,
} from './script.ts';

const WORD_MS = 40;
const TOOL_MS = 900;
const CONTEXT_WINDOW = 200_000;

type EventName = keyof PiEvents;

/** A question waits here for ever: nobody sits at this terminal. */
const nobody = (dialog: PiDialogOptions | undefined) =>
  new Promise<undefined>((resolve) => dialog?.signal?.addEventListener('abort', () => resolve(undefined)));

export class SamplePi implements PiApi, PiContext {
  /** Hears what happens, as the extension does. */
  listener: (<Name extends EventName>(name: Name, event: PiEvents[Name]) => void) | null = null;
  readonly hasUI = true;
  readonly mode = 'rpc';
  readonly cwd: string;
  readonly model: { id: string };
  readonly ui: PiUi = {
    select: (_title, _options, dialog) => nobody(dialog),
    confirm: async (_title, _message, dialog) => (await nobody(dialog)) === true,
    input: (_title, _placeholder, dialog) => nobody(dialog),
    editor: () => nobody(undefined),
    notify: () => {},
    setStatus: () => {},
  };
  readonly sessionManager: PiContext['sessionManager'];
  readonly #character: Character;
  #name: string;
  #sessionId: string;
  #entries: PiEntry[];
  #run: AbortController | null = null;
  #waiting: string[] = [];
  #calls = 0;

  /** @param cwd the folder it works in */
  constructor(character: Character, cwd: string) {
    this.#character = character;
    this.cwd = cwd;
    this.model = { id: character.model };
    this.#name = character.name;
    this.#sessionId = `${character.id}-1`;
    const past = messagesOf(character.past, character.model, Date.now());
    this.#entries = past.map((message) => ({ type: 'message', message }));
    this.sessionManager = {
      getSessionId: () => this.#sessionId,
      getBranch: () => this.#entries,
      getEntries: () => this.#entries,
    };
  }

  /** Another session, with nothing in it. */
  renew(name: string): void {
    this.abort();
    this.#name = name;
    this.#sessionId = `${this.#character.id}-${Date.now()}`;
    this.#entries = [];
  }

  // What extensions ask for

  on(): void {}
  registerCommand(): void {}
  getAllTools = () => [...TOOLS];
  getCommands = () => COMMANDS.map(({ name, description }) => ({ name: name.slice(1), description, source: 'prompt' }));
  getSessionName = () => this.#name;
  getThinkingLevel = () => 'medium';
  getContextUsage() {
    const used = this.#character.context + Math.round(JSON.stringify(this.#entries).length / 4);
    return { tokens: used, contextWindow: CONTEXT_WINDOW };
  }
  isIdle = () => this.#run === null;

  sendUserMessage(content: PiContent): void {
    const text =
      typeof content === 'string' ? content : content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
    if (this.#run === null) void this.run(text, answerTo(this.#character, text));
    else this.#waiting.push(text);
  }

  abort(): void {
    this.#waiting = [];
    this.#run?.abort();
  }

  // What happens

  /** Plays a run, and what was sent meanwhile after it. @param prompt null where nobody asked: it goes on by itself */
  async run(prompt: string | null, steps: readonly Step[]): Promise<void> {
    if (this.#run !== null) return;
    const run = new AbortController();
    this.#run = run;
    this.#tell('agent_start', {});
    if (prompt !== null) this.#store(userMessage(prompt, Date.now()));
    await this.#play(steps, run.signal);
    this.#run = null;
    this.#tell('agent_end', {});
    this.#tell('agent_settled', { aborted: run.signal.aborted });
    const next = this.#waiting.shift();
    if (next !== undefined) void this.run(next, answerTo(this.#character, next));
  }

  async #play(steps: readonly Step[], signal: AbortSignal): Promise<void> {
    let parts: ContentPart[] = [];
    for (const step of steps) {
      if (signal.aborted) break;
      if ('think' in step) await this.#write(parts, { type: 'thinking', thinking: '' }, step.think, signal);
      else if ('say' in step) await this.#write(parts, { type: 'text', text: '' }, step.say, signal);
      else if ('tool' in step) {
        await this.#use(parts, step, signal);
        parts = [];
      } else {
        parts = this.#end(parts, 'stop');
        if ('fail' in step) this.#fail(step.fail);
        else await this.#ask(step, signal);
      }
    }
    this.#end(parts, signal.aborted ? 'aborted' : 'stop');
  }

  /** Word by word. As with pi, every update repeats the whole message so far. */
  async #write(parts: ContentPart[], part: ContentPart, text: string, signal: AbortSignal): Promise<void> {
    if (parts.length === 0) this.#tell('message_start', { message: this.#partial(parts) });
    const contentIndex = parts.push(part) - 1;
    for (const delta of text.match(/\s*\S+/g) ?? []) {
      await pause(WORD_MS, signal);
      if (signal.aborted) return;
      if (part.type === 'thinking') part.thinking += delta;
      else if (part.type === 'text') part.text += delta;
      const type = part.type === 'thinking' ? 'thinking_delta' : 'text_delta';
      this.#tell('message_update', {
        message: this.#partial(parts),
        assistantMessageEvent: { type, contentIndex, delta },
      });
    }
  }

  async #use(parts: ContentPart[], step: ToolStep, signal: AbortSignal): Promise<void> {
    const { tool: toolName, args, output, ms = TOOL_MS } = step;
    const toolCallId = `call-${this.#sessionId}-${++this.#calls}`;
    if (parts.length === 0) this.#tell('message_start', { message: this.#partial(parts) });
    this.#store(assistantMessage([...parts, callOf(step, toolCallId)], 'toolUse', this.model.id, Date.now()));
    this.#tell('tool_execution_start', { toolCallId, toolName, args });
    const lines = output.split('\n');
    for (let shown = 1; shown <= lines.length; shown++) {
      await pause(ms / lines.length, signal);
      if (signal.aborted) break;
      const partialResult = { content: [{ type: 'text' as const, text: lines.slice(0, shown).join('\n') }] };
      this.#tell('tool_execution_update', { toolCallId, toolName, partialResult });
    }
    const result = resultMessage(
      signal.aborted ? { ...step, output: 'Stopped', isError: true } : step,
      toolCallId,
      Date.now(),
    );
    const { content, details, isError } = result as { content: ContentPart[]; details?: unknown; isError: boolean };
    this.#tell('tool_execution_end', { toolCallId, toolName, result: { content, details }, isError });
    this.#store(result);
  }

  async #ask(step: ConfirmStep | SelectStep, signal: AbortSignal): Promise<void> {
    const dialog = { signal, dismissStops: true };
    if ('confirm' in step) {
      const answer = await this.ui.confirm(step.confirm, step.message, dialog);
      if (!signal.aborted) await this.#play(answer ? step.yes : step.no, signal);
    } else {
      const answer = await this.ui.select(step.select, Object.keys(step.options), dialog);
      if (!signal.aborted) await this.#play(step.options[answer ?? ''] ?? [], signal);
    }
  }

  #fail(errorMessage: string): void {
    this.#tell('message_start', { message: this.#partial([]) });
    this.#store({ ...assistantMessage([], 'error', this.model.id, Date.now()), errorMessage });
  }

  #end(parts: ContentPart[], stopReason: string): ContentPart[] {
    if (parts.length > 0) this.#store(assistantMessage(parts, stopReason, this.model.id, Date.now()));
    return [];
  }

  #partial(parts: ContentPart[]): Message {
    return { role: 'assistant', content: structuredClone(parts), model: this.model.id, stopReason: 'pending' };
  }

  /** It is said, and then it is history. */
  #store(message: Message): void {
    if (message.role !== 'assistant') this.#tell('message_start', { message });
    this.#tell('message_end', { message });
    this.#entries.push({ type: 'message', message });
  }

  #tell<Name extends EventName>(name: Name, event: PiEvents[Name]): void {
    this.listener?.(name, { type: name, ...event });
  }
}

/** Is over at once when the signal comes. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
