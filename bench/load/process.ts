/** The bench's end of a load's process, which sends it commands. */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { forkProcess } from '../processes.ts';
import { WrongAnswer } from './checker.ts';
import type { Commands } from './commands.ts';
import type { Answer } from './main.ts';

const PROGRAM = fileURLToPath(new URL('main.ts', import.meta.url));

type Options<C extends keyof Commands> = Parameters<Commands[C]>[0];
type Result<C extends keyof Commands> = Awaited<ReturnType<Commands[C]>>;

interface Waiting {
  resolve(result: never): void;
  reject(error: Error): void;
}

/** Clients, or agents, in a process of their own. It ends with the measurement. */
export class Load {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor() {
    this.#child = forkProcess(PROGRAM);
    this.#child.on('message', (answer: Answer) => this.#receive(answer));
    this.#child.on('exit', (code, signal) => {
      const error = new Error(`the process of the load ended: ${signal ?? `exit code ${code}`}`);
      for (const { reject } of this.#waiting.values()) reject(error);
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** @throws {WrongAnswer} if the answer differs from the sent message; Error for other failures */
  tell<C extends keyof Commands>(command: C, options: Options<C>): Promise<Result<C>> {
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) throw new Error('the process of the load has ended');
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, command, options });
    });
  }

  #receive({ id, result, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result as never);
    else waiting?.reject(error.isWrongAnswer ? new WrongAnswer(error.message) : new Error(error.message));
  }
}
