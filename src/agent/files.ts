/**
 * The files below an agent's folder, as a client types their names after `@`. Nothing outside the folder is told: not by
 * `..`, not of a sibling that begins with the same name, not through a symbolic link.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { FilesList } from '../protocol/agent.ts';

const MAX_FILES = 100;
/** Nobody looks for a file in these by its beginning. */
const SKIPPED = new Set(['.git', 'node_modules', '.DS_Store']);

/**
 * @param folder the agent's
 * @param prefix as far as it is typed: `src/ag` finds `src/agent`; an absolute path counts only within the folder
 * @returns what begins so, folders first, at most a hundred; nothing if that is elsewhere or cannot be read
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

/** @returns null for what leads out of the folder, or nowhere */
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
