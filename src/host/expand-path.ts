/**
 * Paths and folder names as people type them, or paste them from a shell or a file manager.
 */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UnusablePathError } from './error.ts';

/** The ways to write the home folder in a shell. */
const HOME = /^(?:~|\$HOME|\$\{HOME\})(?=$|\/)/;

const FILE_URL = /^file:\//i;

/** The beginning of a path that is not relative to the folder it was typed for. */
const ELSEWHERE = /^[~$]|^[a-z][a-z\d+.-]*:\//i;

/**
 * Names that no new folder gets: a shell would have replaced their beginning, or they hold characters that a
 * registration cannot carry (control characters and lone surrogates).
 */
const UNFIT_NAME = /^[~$]|^file:$|[\p{Cc}\p{Cs}]/iu;

const UNFIT_CHARACTER = /[\p{Cc}\p{Cs}]/u;

/**
 * Expands a path as people type it. `~`, `$HOME` and `${HOME}`, alone or before a slash, become the home folder, and a
 * `file:` URL becomes its path. Any other text is returned as it is: an absolute path, or one relative to home.
 *
 * @throws UnusablePathError for the URL of a file on another machine
 */
export function expandPath(typed: string, home: string): string {
  if (FILE_URL.test(typed)) return pathOfUrl(typed);
  const start = HOME.exec(typed)?.[0];
  return start === undefined ? typed : join(home, typed.slice(start.length));
}

function pathOfUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw new UnusablePathError('not the URL of a local file');
  }
}

/** Whether `typed` is a name or a relative path of names. `..` is left to the jail. */
export function isRelativeName(typed: string): boolean {
  return !ELSEWHERE.test(typed);
}

/** Whether a new folder may have that name. */
export function isFitName(name: string): boolean {
  return !UNFIT_NAME.test(name);
}

/** Whether an agent in the folder at `path` could register. */
export function hasUnfitCharacter(path: string): boolean {
  return UNFIT_CHARACTER.test(path);
}
