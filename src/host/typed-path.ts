/**
 * Paths and folder names as people type them, or paste them from a shell or a file manager.
 */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UnusablePathError } from './error.ts';

/** What a shell takes for the home folder. */
const HOME = /^(?:~|\$HOME|\$\{HOME\})(?=$|\/)/;

const FILE_URL = /^file:\//i;

/** The beginning of a path to somewhere else than the folder it was typed for. */
const ELSEWHERE = /^[~$]|^[a-z][a-z\d+.-]*:\//i;

/**
 * What no folder is made of: the beginning of something that a shell would have replaced, and what JSON or an agent's
 * registration could not carry (control characters and lone surrogates).
 */
const UNFIT_NAME = /^[~$]|^file:$|[\p{Cc}\p{Cs}]/iu;

const UNFIT_CHARACTER = /[\p{Cc}\p{Cs}]/u;

/**
 * The path that is meant by `typed`, absolute or relative to home: `~`, `$HOME` and `${HOME}`, alone or before a slash, are
 * the home folder, and a `file:` URL is the path it names. All else is a path already.
 *
 * @throws UnusablePathError for the URL of a file on another machine
 */
export function meantPath(typed: string, home: string): string {
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

/** Whether `typed` is a name, or a path of names, for a folder in another. `..` is for the jail to judge. */
export function isNameForFolder(typed: string): boolean {
  return !ELSEWHERE.test(typed);
}

/** Whether a folder of that name may be made. */
export function isFitName(name: string): boolean {
  return !UNFIT_NAME.test(name);
}

/** Whether an agent in the folder at `path` could register. */
export function hasUnfitCharacter(path: string): boolean {
  return UNFIT_CHARACTER.test(path);
}
