/**
 * Errors of this machine, as sentences for the caller.
 */

import { basename } from 'node:path';
import { getSystemErrorMap } from 'node:util';

/** A request that this machine refuses. The message is the sentence for the caller. */
export class HostError extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'HostError';
  }
}

/** A path that no folder can have. The message is only the reason; `hostError` makes a sentence of it. */
export class UnusablePathError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'UnusablePathError';
  }
}

/**
 * Turns an error into a sentence: the failed action `what`, and a plain reason. A HostError already has its sentence
 * and is returned unchanged. The message and stack of other errors are left out, because they may contain paths that
 * the caller must not see.
 */
export function hostError(what: string, error: unknown): HostError {
  return error instanceof HostError ? error : new HostError(`${what}: ${reasonOf(error)}`);
}

/** Whether the error has this code of the operating system, such as 'ENOENT'. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** A plain reason, without a path or a stack. */
export function reasonOf(error: unknown): string {
  if (error instanceof UnusablePathError) return error.message;
  if (!(error instanceof Error)) return 'unexpected error';
  const { errno, syscall, path } = error as NodeJS.ErrnoException;
  const reason = getSystemErrorMap().get(errno ?? 0)?.[1] ?? 'unexpected error';
  // "spawn pi" and ENOENT mean that the program is missing. A shell uses these words.
  if (path !== undefined && syscall?.startsWith('spawn ')) {
    return `${basename(path)}: ${hasCode(error, 'ENOENT') ? 'command not found' : reason}`;
  }
  return reason;
}
