/**
 * Shows the questions of all extensions on dashboards too. All extensions share the dialog methods of pi's `ctx.ui`.
 * This module replaces them by methods that ask in the terminal and on dashboards at the same time, and take the first
 * answer.
 *
 *   select(…) ──┬──▶ the terminal's dialog, with an AbortSignal ──▶ answer ──▶ dashboards drop the question
 *               └──▶ session.ask ─────────────────────────────────▶ answer ──▶ the terminal's dialog is aborted
 *
 * On older pis a second dialog makes the first one hang for ever, so the terminal shows one question at a time.
 */
import type { Question } from '../protocol/agent.ts';
import { QuestionKind } from '../protocol/registry.ts';
import type { Agent } from './agent.ts';
import type { PiDialogOptions, PiUi } from './pi.ts';
import type { Answer } from './questions.ts';

type Asker = Pick<Agent, 'ask' | 'settled' | 'notice' | 'renameQuestion'>;

type DialogMethod = 'select' | 'confirm' | 'input' | 'editor' | 'custom' | 'notify';
const METHODS: readonly DialogMethod[] = ['select', 'confirm', 'input', 'editor', 'custom', 'notify'];

type Ask = Omit<Question, 'id' | 'askedAt'>;

export class Dialogs {
  readonly #ui: PiUi;
  readonly #asker: Asker;
  readonly #onFault: (error: unknown) => void;
  /** The original methods, and the methods that replace them. */
  readonly #originals = new Map<DialogMethod, unknown>();
  readonly #replacements = new Map<DialogMethod, unknown>();
  /** Resolves when the terminal is free for the next question. */
  #terminal: Promise<unknown> = Promise.resolve();
  /** The id of the question that stands for the component on the screen. */
  #customId: string | null = null;

  constructor(ui: PiUi, asker: Asker, onFault: (error: unknown) => void) {
    this.#ui = ui;
    this.#asker = asker;
    this.#onFault = onFault;
  }

  /** Replaces the dialog methods. */
  install(): void {
    const ui = this.#ui;
    this.#replace('select', (title: string, options: string[], dialog?: PiDialogOptions) =>
      this.#ask<string | undefined>(
        { kind: QuestionKind.SELECT, title, options: [...options] },
        dialog,
        (answer) => answer as string | undefined,
        (own) => this.#original('select').call(ui, title, options, own),
      ),
    );
    this.#replace('confirm', (title: string, message: string, dialog?: PiDialogOptions) =>
      this.#ask<boolean>(
        { kind: QuestionKind.CONFIRM, title, message },
        dialog,
        (answer) => answer === true,
        (own) => this.#original('confirm').call(ui, title, message, own),
      ),
    );
    this.#replace('input', (title: string, placeholder?: string, dialog?: PiDialogOptions) =>
      this.#ask<string | undefined>(
        placeholder === undefined
          ? { kind: QuestionKind.INPUT, title }
          : { kind: QuestionKind.INPUT, title, placeholder },
        dialog,
        (answer) => answer as string | undefined,
        (own) => this.#original('input').call(ui, title, placeholder, own),
      ),
    );
    this.#replace('editor', (title: string, prefill?: string) =>
      this.#ask<string | undefined>(
        prefill === undefined ? { kind: QuestionKind.EDITOR, title } : { kind: QuestionKind.EDITOR, title, prefill },
        undefined,
        (answer) => answer as string | undefined,
        // The editor takes no signal. If a dashboard answers, it stays open in the terminal until the person leaves it.
        () => this.#original('editor').call(ui, title, prefill),
      ),
    );
    if (ui.custom !== undefined) {
      this.#replace('custom', (factory: unknown, options?: { blocked?: { message?: string } }) =>
        this.#showCustom(factory, options),
      );
    }
    this.#replace('notify', (message: string, type?: 'info' | 'warning' | 'error') => {
      this.#guard(() => this.#asker.notice(type ?? 'info', String(message)));
      this.#original('notify').call(ui, message, type);
    });
  }

  /** Restores the original methods, except those that another extension has replaced since. */
  restore(): void {
    for (const method of METHODS) {
      const target = this.#ui as unknown as Record<string, unknown>;
      this.#guard(() => {
        if (this.#replacements.has(method) && target[method] === this.#replacements.get(method)) {
          target[method] = this.#originals.get(method);
        }
      });
    }
  }

  /** Takes the title of a component from pi. */
  promptStarted(kind: string | undefined, title: string | undefined): void {
    if (kind === QuestionKind.CUSTOM && title && this.#customId !== null)
      this.#asker.renameQuestion(this.#customId, title);
  }

  /** Shows a notice in the terminal only. */
  notifyHere(message: string, type: 'info' | 'warning' | 'error'): void {
    this.#guard(() => this.#original('notify').call(this.#ui, message, type));
  }

  async #ask<T>(
    question: Ask,
    dialog: PiDialogOptions | undefined,
    toResult: (answer: Answer) => T,
    askHere: (dialog: PiDialogOptions) => Promise<T>,
  ): Promise<T> {
    const { timeout, signal, dismissStops } = dialog ?? {};
    const here = new AbortController();
    const ask: Ask = { ...question };
    if (timeout !== undefined) ask.expiresAt = Date.now() + timeout;
    if (dismissStops !== undefined) ask.dismissStops = dismissStops;
    let answerAfar: (result: T) => void = () => {};
    const afar = new Promise<T>((resolve) => {
      answerAfar = resolve;
    });
    const begunAt = Date.now();
    const id = this.#asker.ask(ask, (answer) => {
      answerAfar(toResult(answer));
      here.abort();
    });
    const giveUp = () => here.abort();
    if (signal?.aborted) giveUp();
    else signal?.addEventListener('abort', giveUp, { once: true });
    const local = this.#whenTerminalIsFree(here.signal, () => askHere({ ...dialog, signal: here.signal })).then(
      (result) => {
        const isLate = timeout !== undefined && Date.now() - begunAt >= timeout;
        const by = signal?.aborted ? 'gone' : isLate && !result ? 'timeout' : 'terminal';
        this.#guard(() => this.#asker.settled(id, by, result as Answer));
        return result;
      },
      (error: unknown) => {
        this.#guard(() => this.#asker.settled(id, 'gone', undefined));
        throw error;
      },
    );
    try {
      return await Promise.race([afar, local]);
    } finally {
      signal?.removeEventListener('abort', giveUp);
      // If a dashboard answered, no caller waits for the terminal's answer.
      local.catch(() => {});
    }
  }

  /** Asks one question at a time in the terminal. A question that is settled before its turn is not asked there. */
  async #whenTerminalIsFree<T>(signal: AbortSignal, askHere: () => Promise<T>): Promise<T> {
    const before = this.#terminal;
    let free: () => void = () => {};
    this.#terminal = new Promise<void>((resolve) => {
      free = resolve;
    });
    try {
      await before;
      if (signal.aborted) return undefined as T;
      const asked = askHere();
      // After an answer from a dashboard, the editor may stay open without holding up the next question.
      const settled = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      await Promise.race([asked.catch(() => {}), settled]);
      free();
      return await asked;
    } finally {
      free();
    }
  }

  async #showCustom(factory: unknown, options?: { blocked?: { message?: string } }): Promise<unknown> {
    const title = options?.blocked?.message ?? 'An extension waits in the terminal';
    const id = this.#asker.ask({ kind: QuestionKind.CUSTOM, title, dismissStops: false }, () => {});
    this.#customId = id;
    try {
      return await (this.#original('custom') as (...args: unknown[]) => Promise<unknown>).call(
        this.#ui,
        factory,
        options,
      );
    } finally {
      if (this.#customId === id) this.#customId = null;
      this.#guard(() => this.#asker.settled(id, 'terminal', undefined));
    }
  }

  #original<M extends DialogMethod>(method: M): NonNullable<PiUi[M]> {
    return (this.#originals.get(method) ?? this.#ui[method]) as NonNullable<PiUi[M]>;
  }

  #replace(method: DialogMethod, replacement: unknown): void {
    const target = this.#ui as unknown as Record<string, unknown>;
    this.#originals.set(method, target[method]);
    this.#replacements.set(method, replacement);
    target[method] = replacement;
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#onFault(error);
    }
  }
}
