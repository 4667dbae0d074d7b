/**
 * Paths and folder names that people type, or paste from a shell or a file manager.
 */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UnusablePathError } from './error.ts';

/** The ways to write the home folder in a shell. */
const HOME = /^(?:~|\$HOME|\$\{HOME\})(?=$|\/)/;

const FILE_URL = /^file:\//i;

/** The beginning of a path that is not relative to the folder for which it was typed. */
const ELSEWHERE = /^[~$]|^[a-z][a-z\d+.-]*:\//i;

/**
 * Names that a new folder must not have: a shell would replace their beginning, or they contain characters that a
 * registration must not have (control characters and lone surrogates).
 */
const UNFIT_NAME = /^[~$]|^file:$|[\p{Cc}\p{Cs}]/iu;

const UNFIT_CHARACTER = /[\p{Cc}\p{Cs}]/u;

/**
 * Expands a typed path. `~`, `$HOME` and `${HOME}`, alone or before a slash, become the home folder, and a `file:` URL
 * becomes its path. Any other text is returned unchanged: it is an absolute path, or a path relative to home.
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

/** Whether `typed` is a name or a relative path of names. The jail handles `..`. */
export function isRelativeName(typed: string): boolean {
  return !ELSEWHERE.test(typed);
}

/** Whether a new folder may have this name. */
export function isFitName(name: string): boolean {
  return !UNFIT_NAME.test(name);
}

/**
 * Whether the path has a character that a registration must not have, so an agent in that folder could not register.
 */
export function hasUnfitCharacter(path: string): boolean {
  return UNFIT_CHARACTER.test(path);
}
