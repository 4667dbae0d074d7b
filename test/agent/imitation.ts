/**
 * An imitation of pi, small: as much of its API as the extension uses, with a model that repeats what it is told. The tests
 * with real pis keep it honest.
 */
import piSocket from '../../src/agent/extension.ts';
import type { PiApi, PiContext, PiDialogOptions, PiEntry, PiUi } from '../../src/agent/pi.ts';
import type { ContentPart, Message } from '../../src/protocol/agent.ts';

type Handler = (event: never, context: PiContext) => unknown;

/** A dialog that is open in the terminal. */
export interface OpenDialog {
  kind: string;
  title: string;
  answer(value: unknown): void;
}

let sessions = 0;

export class ImitationPi {
  readonly api: PiApi;
  context: PiContext;
  readonly entries: PiEntry[] = [];
  readonly dialogs: OpenDialog[] = [];
  readonly notices: string[] = [];
  footer: string | undefined;
  /** How long each word of an answer takes, in milliseconds. */
  pace = 0;
  /** Settles runs, and answers `on` with a function, as newer pis do. */
  readonly #isNewer: boolean;
  readonly #handlers = new Map<string, Handler[]>();
  readonly commands = new Map<string, { handler(args: string, context: PiContext): Promise<void> }>();
  #runs = false;
  #aborted = false;
  #isStale = false;
  readonly #steering: ContentPart[][] = [];

  constructor({ isNewer = true, cwd = process.cwd(), hasUI = true } = {}) {
    this.#isNewer = isNewer;
    const api: PiApi = {
      on: (event, handler) => {
        this.#handlers.set(event, [...(this.#handlers.get(event) ?? []), handler]);
        return this.#isNewer ? () => {} : undefined;
      },
      registerCommand: (name, command) => this.commands.set(name, command),
      sendUserMessage: (content, options) => this.#assertFresh(() => this.#receive(content, options?.deliverAs)),
      getAllTools: () => this.#assertFresh(() => [{ name: 'bash', description: 'Runs a command' }]),
      getCommands: () => this.#assertFresh(() => [{ name: 'tell', description: 'Tells', source: 'extension' }]),
      getSessionName: () => this.#assertFresh(() => undefined),
      getThinkingLevel: () => 'medium',
    };
    this.api = api;
    this.context = this.#createContext(cwd, hasUI);
  }

  /** Loads the extension, and begins a session. */
  async start(reason = 'startup'): Promise<void> {
    piSocket(this.api);
    await this.emit('session_start', { type: 'session_start', reason });
  }

  /** Ends the session. For `new` and the like, `next` is the pi of the session that follows. */
  async shutdown(reason: string): Promise<void> {
    await this.emit('session_shutdown', { type: 'session_shutdown', reason });
    this.#isStale = true;
  }

  async emit(name: string, event: object): Promise<void> {
    for (const handler of this.#handlers.get(name) ?? []) await handler(event as never, this.context);
  }

  /** Somebody types into the terminal. */
  async type(text: string): Promise<void> {
    await this.emit('input', { type: 'input', text, source: 'interactive' });
    this.#receive(text, 'steer');
  }

  async store(message: Message): Promise<void> {
    await this.emit('message_start', { type: 'message_start', message });
    await this.#end(message);
  }

  async #end(message: Message): Promise<void> {
    await this.emit('message_end', { type: 'message_end', message });
    this.entries.push({ type: 'message', timestamp: new Date().toISOString(), message });
  }

  #receive(content: string | ContentPart[], deliverAs: string | undefined): void {
    const parts: ContentPart[] = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
    const text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
    const [name = '', ...args] = text.slice(1).split(' ');
    if (text.startsWith('/') && (name === 'tell' || this.commands.has(name))) {
      if (name === 'tell') this.context.ui.notify(args.join(' '), 'info');
      else void this.commands.get(name)?.handler(args.join(' '), this.context);
    } else if (!this.#runs) {
      void this.#run(parts);
    } else if (deliverAs === undefined) {
      throw new Error('Agent is already processing');
    } else {
      this.#steering.push(parts);
    }
  }

  async #run(prompt: ContentPart[]): Promise<void> {
    this.#runs = true;
    this.#aborted = false;
    await this.emit('agent_start', { type: 'agent_start' });
    for (let next: ContentPart[] | undefined = prompt; next !== undefined; next = this.#steering.shift()) {
      await this.store({ role: 'user', content: next, timestamp: Date.now() });
      await this.#answer(next.map((part) => (part.type === 'text' ? part.text : '')).join(''));
    }
    this.#runs = false;
    await this.emit('agent_end', { type: 'agent_end', messages: [] });
    if (this.#isNewer) await this.emit('agent_settled', { type: 'agent_settled', aborted: this.#aborted });
  }

  async #answer(prompt: string): Promise<void> {
    const message: Message = { role: 'assistant', content: [], timestamp: Date.now() + 1, stopReason: 'pending' };
    await this.emit('message_start', { type: 'message_start', message: { ...message } });
    let text = '';
    for (const delta of `You said: ${prompt}`.split(/(?<= )/)) {
      if (this.pace > 0) await new Promise((resolve) => setTimeout(resolve, this.pace));
      if (this.#aborted) break;
      text += delta;
      const partial = { ...message, content: [{ type: 'text' as const, text }] };
      await this.emit('message_update', {
        type: 'message_update',
        message: partial,
        assistantMessageEvent: { type: 'text_delta', contentIndex: 0, delta, partial },
      });
    }
    const stopReason = this.#aborted ? 'aborted' : 'stop';
    const usage = { cost: { total: 0.25 } };
    await this.#end({ ...message, content: [{ type: 'text', text }], stopReason, usage });
  }

  #createContext(cwd: string, hasUI: boolean): PiContext {
    const id = `session-${++sessions}`;
    return {
      ui: this.#createUi(),
      hasUI,
      cwd,
      mode: 'tui',
      model: { id: 'mock-1' },
      sessionManager: {
        getSessionId: () => this.#assertFresh(() => id),
        getBranch: () => this.#assertFresh(() => [...this.entries]),
        getEntries: () => this.#assertFresh(() => [...this.entries]),
      },
      isIdle: () => this.#assertFresh(() => !this.#runs),
      abort: () =>
        this.#assertFresh(() => {
          this.#aborted = true;
        }),
      hasPendingMessages: () => this.#steering.length > 0,
      getContextUsage: () => ({ tokens: this.entries.length * 10, contextWindow: 1000 }),
    };
  }

  #createUi(): PiUi {
    const open = <T>(
      kind: string,
      title: string,
      dismissed: T,
      { signal, timeout }: PiDialogOptions = {},
    ): Promise<T> =>
      this.#assertFresh(
        () =>
          new Promise<T>((resolve) => {
            const dialog: OpenDialog = { kind, title, answer: (value) => close(value as T) };
            const close = (value: T) => {
              const index = this.dialogs.indexOf(dialog);
              if (index !== -1) this.dialogs.splice(index, 1);
              resolve(value);
            };
            this.dialogs.push(dialog);
            signal?.addEventListener('abort', () => close(dismissed));
            if (timeout !== undefined) setTimeout(() => close(dismissed), timeout);
          }),
      );
    return {
      select: (title, _options, dialog) => open<string | undefined>('select', title, undefined, dialog),
      confirm: (title, _message, dialog) => open('confirm', title, false, dialog),
      input: (title, _placeholder, dialog) => open<string | undefined>('input', title, undefined, dialog),
      editor: (title) => open<string | undefined>('editor', title, undefined),
      custom: () => open('custom', 'custom', undefined),
      notify: (message) => this.#assertFresh(() => void this.notices.push(message)),
      setStatus: (_key, text) =>
        this.#assertFresh(() => {
          this.footer = text;
        }),
      theme: { fg: (_color, text) => text },
    };
  }

  /** A pi whose session has been replaced throws, whatever is done with it. */
  #assertFresh<T>(act: () => T): T {
    if (this.#isStale) throw new Error('This extension ctx is stale after session replacement or reload');
    return act();
  }
}
