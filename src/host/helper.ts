/**
 * The helper process: performs tasks on the disk, so that a file system that never answers holds up nothing but this process.
 * It can be killed and replaced; a thread of the daemon could not.
 *
 *   daemon ─ Question ─▶ helper ─ Reply ─▶ daemon
 */

import { HostError } from './error.ts';
import { Silence } from './silence.ts';
import { perform, type Task } from './tasks.ts';

export interface Question {
  readonly id: number;
  readonly task: Task;
  /** Absolute paths that did not answer before, and are not asked about. */
  readonly silent: readonly string[];
  /** How long the task may take, in milliseconds. */
  readonly timeoutMs: number;
}

export type Outcome =
  | { readonly result: unknown }
  /** A sentence for the caller. */
  | { readonly error: string }
  /** A fault of our own, with its stack. */
  | { readonly fault: string };

export type Reply = Outcome & {
  readonly id: number;
  /** Absolute paths that have not answered. */
  readonly silent: readonly string[];
  /** A thread of this process waits for a file system, perhaps for ever. */
  readonly gaveUp: boolean;
};

async function reply({ id, task, silent, timeoutMs }: Question): Promise<void> {
  const silence = new Silence(silent);
  const outcome = await outcomeOf(task, silence, timeoutMs);
  process.send?.({ ...outcome, id, silent: silence.met, gaveUp: silence.gaveUp } satisfies Reply);
}

async function outcomeOf(task: Task, silence: Silence, timeoutMs: number): Promise<Outcome> {
  try {
    return { result: await perform(task, silence, timeoutMs) };
  } catch (error) {
    if (error instanceof HostError) return { error: error.message };
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

process.on('message', (question: Question) => void reply(question));

// It lives as long as the daemon. Not process.exit(), which would wait for the threads.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

// A Ctrl-C is meant for the daemon, which may still need answers while it ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
