/**
 * Finds the program that a command names, as a shell would, but never in a folder that is opened.
 */

import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { basename, delimiter, isAbsolute, join } from 'node:path';
import { HostError, hasCode } from './error.ts';
import type { Silence } from './silence.ts';

/** What execvp(3) looks through if there is no PATH. */
const DEFAULT_PATH = '/bin:/usr/bin';

/**
 * The absolute path of `program`, which is absolute already or a name to be found in `path`. Entries that are relative
 * (empty ones too, `.`, `node_modules/.bin`) would be found in the folder that is opened, and are passed over; so are those
 * that do not answer.
 *
 * @throws HostError if there is no such program, or none that this user may run
 */
export async function findProgram(program: string, path: string | undefined, silence: Silence): Promise<string> {
  let error = new HostError(`Failed to spawn: ${basename(program)}: command not found`);
  for (const candidate of candidatesFor(program, path ?? DEFAULT_PATH)) {
    if (silence.covers(candidate)) continue;
    try {
      if (await silence.waitFor(candidate, isProgram(candidate))) return candidate;
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
