/**
 * Finds the program that a command names, as a shell does, but never in the folder that an agent is started in.
 */

import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { basename, delimiter, isAbsolute, join } from 'node:path';
import { HostError, hasCode } from './error.ts';
import type { SilentPaths } from './silent-paths.ts';

/** The folders that execvp(3) searches if there is no PATH. */
const DEFAULT_PATH = '/bin:/usr/bin';

/**
 * The absolute path of `program`, which is absolute already or a name to be found in `path`. Entries that are relative
 * (also empty ones, `.` and `node_modules/.bin`) are skipped, because they would refer to the agent's folder. Those
 * that do not answer are skipped too.
 *
 * @throws HostError if there is no such program, or none that this user may run
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
