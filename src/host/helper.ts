/**
 * The helper process: performs tasks on the disk, so that a file system that never answers blocks only this process.
 * Unlike a thread of the daemon, it can be killed and replaced.
 *
 *   daemon ─ Question ─▶ helper ─ Reply ─▶ daemon
 */

import { HostError } from './error.ts';
import { SilentPaths } from './silent-paths.ts';
import { perform, type Task } from './tasks.ts';

export interface Question {
  readonly id: number;
  readonly task: Task;
  /** Absolute paths that did not answer before. The helper does not touch them again. */
  readonly silent: readonly string[];
  /** How long the task may take, in milliseconds. */
  readonly timeoutMs: number;
}

export type Outcome =
  | { readonly result: unknown }
  /** A sentence for the caller. */
  | { readonly error: string }
  /** A fault of this program, with its stack. */
  | { readonly fault: string };

export type Reply = Outcome & {
  readonly id: number;
  /** Absolute paths that have not answered. */
  readonly silent: readonly string[];
  /** True if a thread of this process still waits for a file system. */
  readonly gaveUp: boolean;
};

async function reply({ id, task, silent, timeoutMs }: Question): Promise<void> {
  const silentPaths = new SilentPaths(silent);
  const outcome = await outcomeOf(task, silentPaths, timeoutMs);
  process.send?.({ ...outcome, id, silent: silentPaths.met, gaveUp: silentPaths.gaveUp } satisfies Reply);
}

async function outcomeOf(task: Task, silentPaths: SilentPaths, timeoutMs: number): Promise<Outcome> {
  try {
    return { result: await perform(task, silentPaths, timeoutMs) };
  } catch (error) {
    if (error instanceof HostError) return { error: error.message };
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

process.on('message', (question: Question) => void reply(question));

// The daemon is gone. process.exit() would wait for the threads.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

// Ctrl-C reaches the whole process group, but only the daemon decides when this process ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
