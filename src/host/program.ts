/**
 * Finds the program of a command as a shell does, but never in the agent's folder.
 */

import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { basename, delimiter, isAbsolute, join } from 'node:path';
import { HostError, hasCode } from './error.ts';
import type { SilentPaths } from './silent-paths.ts';

/** The folders that execvp(3) searches if PATH is not set. */
const DEFAULT_PATH = '/bin:/usr/bin';

/**
 * The absolute path of `program`, which is an absolute path or a name in `path`. Relative entries of `path` (including
 * empty ones, `.` and `node_modules/.bin`) are skipped, because they would mean the agent's folder. Entries that do not
 * answer are skipped too.
 *
 * @throws HostError if the program does not exist, or this user may not run it
 */
export async function findProgram(
  program: string,
  path: string | undefined,
  silentPaths: SilentPaths,
): Promise<string> {
  let error = new HostError(`Failed to spawn: ${basename(program)}: command not found`);
  for (const candidate of candidatesFor(program, path ?? DEFAULT_PATH)) {
    if (silentPaths.covers(candidate)) continue;
    try {
      if (await silentPaths.waitFor(candidate, isProgram(candidate))) return candidate;
    } catch (reason) {
      if (hasCode(reason, 'EACCES')) error = new HostError(`Failed to spawn: ${basename(program)}: permission denied`);
    }
  }
  throw error;
}

function candidatesFor(program: string, path: string): string[] {
  if (isAbsolute(program)) return [program];
  const folders = path.split(delimiter).filter(isAbsolute);
  return folders.map((folder) => join(folder, program));
}

async function isProgram(path: string): Promise<boolean> {
  await access(path, constants.X_OK);
  return (await stat(path)).isFile();
}
