/**
 * Lists the folders in a folder, for `list_directories`.
 */

import { isUtf8 } from 'node:buffer';
import { constants, type Dirent } from 'node:fs';
import { access, readdir, realpath, stat } from 'node:fs/promises';
import { hostError, UnusablePathError } from './error.ts';
import { hasUnfitCharacter } from './expand-path.ts';
import type { Folder, Jail } from './jail.ts';
import { SilentPaths } from './silent-paths.ts';

/** The number of entries examined in parallel. A folder with ten thousand entries must not hold up other listings. */
const LOOKS_AT_ONCE = 4;

export interface DirectoryListing {
  /** The canonical path of the listed folder. */
  readonly current: string;
  /** The names of its folders, in code-point order. */
  readonly directories: string[];
}

/**
 * Lists the folders in the folder at `path`; without a path, in the home folder. Leaves out dot entries, files,
 * symbolic links that lead outside the jail or nowhere, folders that cannot be read, names that are not UTF-8 (JSON
 * cannot contain them), names with control characters (an agent in such a folder could not register), and entries that
 * do not answer.
 *
 * @throws HostError
 */
export async function listDirectories(
  jail: Jail,
  path?: unknown,
  silentPaths = new SilentPaths(),
): Promise<DirectoryListing> {
  const current = await canonicalPath(jail, path ?? jail.home);
  try {
    const folder = await jail.enter(current);
    try {
      return { current, directories: await namesOfFolders(jail, folder, silentPaths) };
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw hostError('Cannot read directory', error);
  }
}

async function canonicalPath(jail: Jail, path: unknown): Promise<string> {
  try {
    if (typeof path !== 'string') throw new UnusablePathError('not a string');
    return await jail.canonicalise(path);
  } catch (error) {
    throw hostError('Invalid path', error);
  }
}

async function namesOfFolders(jail: Jail, folder: Folder, silentPaths: SilentPaths): Promise<string[]> {
  const entries = await readdir(folder.handlePath, { withFileTypes: true, encoding: 'buffer' });
  const names: Buffer[] = [];
  // All lanes take from one iterator, so each entry is examined once.
  const remaining = entries.values();
  const lane = async () => {
    for (const entry of remaining) {
      if (!isNamedLikeFolder(entry)) continue;
      const path = `${folder.path}/${entry.name}`;
      if (silentPaths.covers(path)) continue;
      if (await silentPaths.waitFor(path, isListed(jail, folder, entry))) names.push(entry.name);
    }
  };
  await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, lane));
  // The order of UTF-8 bytes is the order of code points; that of JavaScript strings is not.
  return names.sort(Buffer.compare).map(String);
}

function isNamedLikeFolder(entry: Dirent<Buffer>): boolean {
  if (entry.name[0] === DOT || !isUtf8(entry.name) || hasUnfitCharacter(String(entry.name))) return false;
  return entry.isDirectory() || entry.isSymbolicLink();
}

async function isListed(jail: Jail, folder: Folder, entry: Dirent<Buffer>): Promise<boolean> {
  const path = `${folder.handlePath}/${entry.name}`;
  try {
    if (entry.isSymbolicLink() && !jail.contains(await realpath(path))) return false;
    await access(path, constants.R_OK | constants.X_OK);
    return entry.isDirectory() || (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

const DOT = '.'.charCodeAt(0);
