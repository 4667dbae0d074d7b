/**
 * The daemon's side of the helper process, which keeps the daemon's own threads from waiting for a disk.
 *
 *   ask() ─▶ queue ─▶ the current process ──────────▶ answer
 *                        │ a path did not answer, or the process did not
 *                        ▼
 *                     retired: gets no more tasks, and is killed once it has answered its last
 *                        │ the kernel has ended it
 *                        ▼
 *                     its silent paths may be used again
 *
 * A thread in an uninterruptible wait keeps the kernel from ending a killed process. It may wait, for example, for a
 * FUSE server that has read the request and does not answer. So the paths of a killed process are silent as long as it
 * exists.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { HostError, hostError } from './error.ts';
import type { Question, Reply } from './helper.ts';
import { LATE, within } from './silent-paths.ts';
import { FAILURE, noAnswer, type Results, type Task, type TaskKind, type Tasks } from './tasks.ts';

/** The number of tasks performed at once. Further tasks wait in a queue. */
const MAX_TASKS = 8;

/** A task makes up to four calls in parallel (directories.ts, sessions.ts), and one more to find a silent folder. */
const THREADS = MAX_TASKS * 5;

/** The share of the time limit for the task itself. The rest is for finding the silent folder and for the reply. */
const TASK_SHARE = 0.7;

/**
 * The share of the time limit after which a process without a reply is retired. It is below 1, so the caller still
 * waits.
 */
const REPLY_SHARE = 0.95;

/**
 * The process ends after this time without a task. People look through folders for some seconds, then not for hours.
 */
const IDLE_MS = 30_000;

/** The most killed processes that still exist. Each holds some memory. Usually there are none. */
const MAX_RETIRED = 4;

export interface HelperOptions {
  /** The file of helper.ts, or of its build. */
  readonly program: URL;
  /** The longest time that a caller waits, in milliseconds. */
  readonly timeoutMs: number;
  /** The process ends after this time without tasks, in milliseconds. */
  readonly idleMs?: number;
  readonly onFault: (error: unknown) => void;
}

export class Helper {
  readonly #options: HelperOptions;
  #current: HelperProcess | null = null;
  readonly #retired = new Set<HelperProcess>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #isClosed = false;

  constructor(options: HelperOptions) {
    this.#options = options;
  }

  /** @throws HostError */
  async ask<K extends TaskKind>(kind: K, params: Tasks[K]): Promise<Results[K]> {
    let isLate = false;
    const answer = this.#inTurn(async () => {
      if (isLate) throw tooBusy(kind);
      return this.#perform({ kind, params } as Task);
    });
    const result = await within(this.#options.timeoutMs, answer);
    isLate = true;
    // A task in progress has an earlier limit of its own, so this one is still in the queue.
    if (result === LATE) throw tooBusy(kind);
    return result as Results[K];
  }

  /** Ends its processes, and rejects the tasks in progress. A later task starts a new process. */
  close(): void {
    this.#isClosed = true;
    if (this.#current !== null) this.#retire(this.#current);
    for (const retired of this.#retired) retired.kill();
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    if (this.#running === MAX_TASKS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await act();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  async #perform(task: Task): Promise<unknown> {
    const { onFault, timeoutMs } = this.#options;
    const process = this.#process(task.kind);
    const silent = [...this.#retired].flatMap((retired) => retired.silent);
    let reply: Reply | typeof LATE;
    try {
      reply = await process.ask({ task, silent, timeoutMs: timeoutMs * TASK_SHARE }, timeoutMs * REPLY_SHARE);
    } catch (error) {
      // An error of the system, such as too many open files, is no fault of this program.
      if (!this.#isClosed && !('errno' in (error as Error))) onFault(error);
      throw hostError(FAILURE[task.kind], error);
    }
    if (reply === LATE) {
      this.#retire(process);
      throw noAnswer(task.kind);
    }
    process.silent.push(...reply.silent);
    if (reply.gaveUp) this.#retire(process);
    if ('result' in reply) return reply.result;
    if ('error' in reply) throw new HostError(reply.error);
    onFault(new Error(reply.fault));
    throw hostError(FAILURE[task.kind], null);
  }

  #process(kind: TaskKind): HelperProcess {
    if (this.#current !== null) return this.#current;
    if (this.#retired.size > MAX_RETIRED) throw noAnswer(kind);
    const { program, idleMs = IDLE_MS } = this.#options;
    const process: HelperProcess = new HelperProcess(program, idleMs, {
      onIdle: () => this.#retire(process),
      onGone: () => {
        if (this.#current === process) this.#current = null;
        this.#retired.delete(process);
      },
    });
    this.#current = process;
    this.#isClosed = false;
    return process;
  }

  #retire(process: HelperProcess): void {
    if (this.#current !== process) return;
    this.#current = null;
    this.#retired.add(process);
    process.killOnceIdle();
  }
}

function tooBusy(kind: TaskKind): HostError {
  return new HostError(`${FAILURE[kind]}: too many requests are waiting for the file system`);
}

interface HelperProcessEvents {
  /** Called when the process had no task for a while. */
  readonly onIdle: () => void;
  /** Called when the process has ended, or could not be started. */
  readonly onGone: () => void;
}

interface Pending {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

class HelperProcess {
  /** Absolute paths that have not answered. */
  readonly silent: string[] = [];
  readonly #child: ChildProcess;
  readonly #idleMs: number;
  readonly #events: HelperProcessEvents;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #isRetired = false;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(program: URL, idleMs: number, events: HelperProcessEvents) {
    this.#idleMs = idleMs;
    this.#events = events;
    this.#child = fork(program, [], {
      env: { ...process.env, UV_THREADPOOL_SIZE: String(THREADS), NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const end = (error: Error) => {
      this.#rejectAll(error);
      events.onGone();
    };
    // The sentence for the caller must not name the helper's program.
    this.#child.once('error', (error) => end(Object.assign(error, { path: undefined })));
    this.#child.once('exit', () => end(new Error('the helper process has ended')));
    this.#child.on('message', (reply: Reply) => this.#pending.get(reply.id)?.resolve(reply));
    this.#rest();
  }

  /** @returns LATE if there is no reply within `timeoutMs` */
  async ask(question: Omit<Question, 'id'>, timeoutMs: number): Promise<Reply | typeof LATE> {
    const id = ++this.#lastId;
    const reply = new Promise<Reply>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#work();
      // If not connected, its `error` or `exit` event is about to come and rejects this.
      if (!this.#child.connected) return;
      this.#child.send({ ...question, id } satisfies Question, (error) => {
        if (error !== null) reject(error);
      });
    });
    try {
      return await within(timeoutMs, reply);
    } finally {
      this.#forget(id);
    }
  }

  killOnceIdle(): void {
    this.#isRetired = true;
    if (this.#pending.size === 0) this.kill();
  }

  /**
   * Kills the process and rejects its tasks at once, because it may be in an uninterruptible wait and exit much later.
   */
  kill(): void {
    clearTimeout(this.#idleTimer);
    this.#child.kill('SIGKILL');
    this.#rejectAll(new Error('the helper process was ended'));
  }

  #rejectAll(error: Error): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #forget(id: number): void {
    this.#pending.delete(id);
    if (this.#pending.size > 0) return;
    this.#rest();
    if (this.#isRetired) this.kill();
  }

  /** Makes the helper keep the daemon's process alive while a caller waits for it. */
  #work(): void {
    clearTimeout(this.#idleTimer);
    this.#child.ref();
    this.#child.channel?.ref();
  }

  #rest(): void {
    clearTimeout(this.#idleTimer);
    this.#child.unref();
    this.#child.channel?.unref();
    this.#idleTimer = setTimeout(this.#events.onIdle, this.#idleMs);
    this.#idleTimer.unref();
  }
}
