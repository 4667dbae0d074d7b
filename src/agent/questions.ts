/**
 * The questions that wait for a person, in the terminal and on every dashboard at once. The first answer wins, and the
 * question disappears everywhere else. Pure.
 */
import type { Question, QuestionSettled, SettledBy } from '../protocol/agent.ts';
import { QuestionKind } from '../protocol/registry.ts';

/** An answer from a dashboard. Undefined dismisses the question, as Escape does in the terminal. */
export type Answer = string | boolean | undefined;

interface Waiting {
  question: Question;
  /** Called once if a dashboard settles the question. */
  settle: (answer: Answer) => void;
}

/** The number of settled questions kept for clients that answer second. */
const MAX_SETTLED = 64;

export interface QuestionsSink {
  onAsked(question: Question): void;
  onSettled(settled: QuestionSettled): void;
}

export class Questions {
  readonly #sink: QuestionsSink;
  readonly #waiting = new Map<string, Waiting>();
  readonly #settled = new Map<string, QuestionSettled>();

  constructor(sink: QuestionsSink) {
    this.#sink = sink;
  }

  /** Oldest first. */
  get all(): Question[] {
    return [...this.#waiting.values()].map(({ question }) => question);
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** @param settle called once if a dashboard answers or dismisses the question, but not after `settled` */
  ask(question: Question, settle: (answer: Answer) => void): void {
    this.#waiting.set(question.id, { question, settle });
    this.#sink.onAsked(question);
  }

  /** Changes the title of a waiting question. */
  rename(id: string, title: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined || waiting.question.title === title) return;
    waiting.question = { ...waiting.question, title };
    this.#sink.onAsked(waiting.question);
  }

  /** Settles a question in the terminal, or because the asker no longer waits. */
  settled(id: string, by: SettledBy, value: Answer): void {
    if (this.#waiting.has(id)) this.#end(settledQuestion(id, by, value, null));
  }

  /**
   * Takes an answer from a dashboard.
   *
   * @param client the name that the client gives itself
   * @returns null if the answer counts; the earlier outcome if it comes second; a sentence if it is invalid
   */
  answer(id: string, value: string | boolean, client: string | null): QuestionSettled | string | null {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return this.#settled.get(id) ?? 'No such question';
    const objection = objectionTo(waiting.question, value);
    if (objection !== null) return objection;
    this.#end(settledQuestion(id, 'dashboard', value, client));
    waiting.settle(value);
    return null;
  }

  /** Dismisses a question. @returns the dismissed question, or otherwise the same as `answer` */
  dismiss(id: string, client: string | null): QuestionSettled | string | { dismissed: Question } {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return this.#settled.get(id) ?? 'No such question';
    if (waiting.question.kind === QuestionKind.CUSTOM) return 'This can only be answered in the terminal';
    this.#end(settledQuestion(id, 'dismissed', undefined, client));
    waiting.settle(undefined);
    return { dismissed: waiting.question };
  }

  /** Settles all questions, because their askers are gone. */
  clear(): void {
    for (const id of [...this.#waiting.keys()]) this.settled(id, 'gone', undefined);
  }

  #end(settled: QuestionSettled): void {
    this.#waiting.delete(settled.id);
    this.#settled.set(settled.id, settled);
    for (const id of this.#settled.keys()) {
      if (this.#settled.size <= MAX_SETTLED) break;
      this.#settled.delete(id);
    }
    this.#sink.onSettled(settled);
  }
}

function objectionTo({ kind, options }: Question, value: string | boolean): string | null {
  switch (kind) {
    case QuestionKind.CONFIRM:
      return typeof value === 'boolean' ? null : 'The answer must be true or false';
    case QuestionKind.SELECT:
      return typeof value === 'string' && options?.includes(value) ? null : 'The answer must be one of the options';
    case QuestionKind.CUSTOM:
      return 'This can only be answered in the terminal';
    default:
      return typeof value === 'string' ? null : 'The answer must be a text';
  }
}

function settledQuestion(id: string, by: SettledBy, value: Answer, client: string | null): QuestionSettled {
  const settled: QuestionSettled = { type: 'question_settled', id, by };
  if (client !== null) settled.client = client;
  if (value !== undefined) settled.value = value;
  return settled;
}
