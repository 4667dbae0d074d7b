/**
 * Errors of this machine, as sentences for the caller.
 */

import { basename } from 'node:path';
import { getSystemErrorMap } from 'node:util';

/** This machine refused the caller's wish. The message is the sentence the caller will be told. */
export class HostError extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'HostError';
  }
}

/** No folder can have such a path. The message is a plain reason, still without its sentence. */
export class UnusablePathError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'UnusablePathError';
  }
}

/**
 * The sentence for an error met while doing `what`. A HostError already has its sentence and stays as it is. Of any
 * other error only a plain reason is told: its message and stack may name paths that are none of the caller's business.
 */
export function hostError(what: string, error: unknown): HostError {
  return error instanceof HostError ? error : new HostError(`${what}: ${reasonOf(error)}`);
}

/** Whether the operating system refused with this code, such as 'ENOENT'. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** A plain reason, without a path or a stack. */
export function reasonOf(error: unknown): string {
  if (error instanceof UnusablePathError) return error.message;
  if (!(error instanceof Error)) return 'unexpected error';
  const { errno, syscall, path } = error as NodeJS.ErrnoException;
  const reason = getSystemErrorMap().get(errno ?? 0)?.[1] ?? 'unexpected error';
  // "spawn pi" and ENOENT: it is the program that is missing, and a shell would say so in these words.
  if (path !== undefined && syscall?.startsWith('spawn ')) {
    return `${basename(path)}: ${hasCode(error, 'ENOENT') ? 'command not found' : reason}`;
  }
  return reason;
}
