/**
 * Lists the files in an agent's folder, for clients that complete names after `@`. Files outside the folder are never
 * listed: not by `..`, not in a sibling folder with a longer name, not through a symbolic link.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { FilesList } from '../protocol/agent.ts';

const MAX_FILES = 100;
/** Names that are not listed, because nobody refers to such files in a prompt. */
const SKIPPED = new Set(['.git', 'node_modules', '.DS_Store']);

/**
 * The files whose path begins with the prefix.
 *
 * @param folder the agent's folder
 * @param prefix the typed beginning: `src/ag` finds `src/agent`; an absolute path must be within the folder
 * @returns at most a hundred files, folders first; none if the prefix leads out of the folder or cannot be read
 */
export async function listFiles(folder: string, prefix: string): Promise<FilesList['files']> {
  if (prefix.includes('\0')) return [];
  try {
    const root = await realpath(folder);
    const typed = path.isAbsolute(prefix) ? path.relative(folder, prefix) : prefix;
    const slash = typed.lastIndexOf('/');
    const parent = path.join(root, typed.slice(0, slash + 1));
    const beginning = typed.slice(slash + 1);
    if (beginning === '..' || beginning === '.') return [];
    const directory = await realpath(parent);
    if (!isWithin(root, directory)) return [];
    const names = (await readdir(directory)).filter((name) => isOffered(name, beginning)).sort();
    const files: FilesList['files'] = [];
    for (const name of names) {
      if (files.length === MAX_FILES) break;
      const isDirectory = await isDirectoryWithin(root, path.join(directory, name));
      if (isDirectory !== null) files.push({ path: path.join(path.relative(root, parent), name), isDirectory });
    }
    return files.sort((a, b) => Number(b.isDirectory) - Number(a.isDirectory));
  } catch {
    return [];
  }
}

function isOffered(name: string, beginning: string): boolean {
  if (SKIPPED.has(name) || (name.startsWith('.') && !beginning.startsWith('.'))) return false;
  return name.toLowerCase().startsWith(beginning.toLowerCase());
}

/** @returns whether the file is a folder; null if it leads out of the root, or does not exist */
async function isDirectoryWithin(root: string, file: string): Promise<boolean | null> {
  try {
    const real = await realpath(file);
    return isWithin(root, real) ? (await stat(real)).isDirectory() : null;
  } catch {
    return null;
  }
}

function isWithin(root: string, file: string): boolean {
  const relative = path.relative(root, file);
  return relative === '' || (relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative));
}
