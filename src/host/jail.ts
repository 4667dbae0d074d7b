/**
 * The path jail: a caller reaches folders in the home folder, and none outside.
 *
 *   caller's path ─▶ locate ─▶ canonical path ─▶ is it in home? ─▶ walk ─▶ Folder
 *                    (check)                                       (use)
 *
 * A program that may write in the home folder can replace a folder by a symbolic link after the check and before the
 * use. So the check alone is not enough: the walk opens the canonical path again component by component, starting at
 * home, each through the descriptor of its parent (`/proc/self/fd/N/name`) and without following links. A canonical
 * path has no links, so a link that is found now was put there since, and is refused. The caller gets a descriptor,
 * which stays with its folder whatever is renamed later.
 *
 * This needs Linux with /proc mounted; without /proc nothing works here. Elsewhere no folder can be reached through a
 * descriptor: there the walk goes by name and asks for the canonical path once more at its end. That finds a link that
 * came and stayed, but not one that came and went, nor one that comes later; and by then a folder may have been made
 * behind it. Best effort.
 */

import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize, relative, resolve, sep } from 'node:path';
import { HostError, hasCode, UnusablePathError } from './error.ts';
import { expandPath, hasUnfitCharacter, isFitName } from './expand-path.ts';

/**
 * Linux: NAME_MAX and PATH_MAX less the terminating NUL, in bytes. The shortest in the field, so they hold elsewhere.
 */
const MAX_NAME_BYTES = 255;
const MAX_PATH_BYTES = 4095;

const OPEN_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** A folder in the jail, held open. Close it. */
export interface Folder {
  /** Its canonical path when it was opened. */
  readonly path: string;
  /** Reaches this very folder whatever is renamed meanwhile; elsewhere than on Linux the same as `path`. */
  readonly handlePath: string;
  close(): Promise<void>;
}

/** The place that a path leads to. */
interface Location {
  /** Canonical as far as it exists, and from there as asked for. Always in the jail. */
  readonly path: string;
  /** The names at its end that do not exist, or could not be looked at. */
  readonly missing: readonly string[];
  /** The error that kept it from being canonical to its end. */
  readonly error?: unknown;
}

export class Jail {
  /** The canonical path of the home folder. */
  readonly home: string;
  readonly #throughDescriptors: boolean;

  private constructor(home: string, throughDescriptors: boolean) {
    this.home = home;
    this.#throughDescriptors = throughDescriptors;
  }

  /**
   * A jail around `home`, which may be a symbolic link. It holds nothing open.
   *
   * @throws a system error if `home` does not exist.
   */
  static async open(home: string, throughDescriptors = process.platform === 'linux'): Promise<Jail> {
    return new Jail(await realpath(home), throughDescriptors);
  }

  /** Whether a canonical path is the home folder or in it. */
  contains(path: string): boolean {
    // With the separator: /home/u2 is not in /home/u. Only a root ends with one already.
    return path === this.home || path.startsWith(this.home.endsWith(sep) ? this.home : this.home + sep);
  }

  /**
   * The canonical path of what exists at `path`: absolute, relative to home, or as `expandPath` understands it.
   *
   * @throws HostError if it leads outside, whether it exists or not; else a system error or UnusablePathError.
   */
  async canonicalise(path: string): Promise<string> {
    const location = await this.#locate(path);
    if (location.error !== undefined) throw location.error;
    return location.path;
  }

  /**
   * Opens the folder at `path`, as canonicalise understands it.
   *
   * @throws as canonicalise does, and a system error if it cannot be opened.
   */
  async enter(path: string): Promise<Folder> {
    return this.#walk(await this.canonicalise(path), openFolder);
  }

  /**
   * Opens the folder `newFolder` (relative, may be nested) in `path`, making both with their parents if they are
   * missing.
   *
   * @throws as checkNew and enter do
   */
  async create(path: string, newFolder: string): Promise<Folder> {
    return this.#walk(await this.checkNew(path, newFolder), makeFolder);
  }

  /**
   * The path of the folder that create would open. Makes nothing.
   *
   * @throws as canonicalise does; HostError also if `newFolder` is absolute or climbs out of `path`, and
   *   UnusablePathError if a folder would have to be made with an unfit name
   */
  async checkNew(path: string, newFolder: string): Promise<string> {
    const name = normalize(newFolder);
    if (newFolder.includes('\0') || isAbsolute(name) || name === '..' || name.startsWith(`..${sep}`)) throw outside();
    const parent = await this.#locate(path);
    const { path: target, missing } = await this.#locate(join(parent.path, name));
    const unfit = missing.find((name) => !isFitName(name));
    if (unfit !== undefined) throw new UnusablePathError(`no folder is made with the name ${unfit}`);
    return target;
  }

  /** The check. Whether something outside exists is not told: outside is outside. */
  async #locate(path: string): Promise<Location> {
    const requested = resolve(this.home, expandPath(path, this.home));
    checkUsable(requested);
    const location = await canonicalAsFarAsItExists(requested);
    if (!this.contains(location.path)) throw outside();
    checkRegistrable(location.path);
    return location;
  }

  /** The use. */
  async #walk(target: string, step: (path: string) => Promise<FileHandle>): Promise<Folder> {
    let path = this.home;
    let handle = await openFolder(path);
    for (const name of relative(this.home, target).split(sep).filter(Boolean)) {
      const parent = handle;
      try {
        path = join(path, name);
        handle = await step(this.#throughDescriptors ? join(descriptorPath(parent), name) : path);
      } finally {
        await parent.close();
      }
    }
    return this.#hold(path, handle);
  }

  async #hold(path: string, handle: FileHandle): Promise<Folder> {
    const close = () => handle.close();
    if (this.#throughDescriptors) return { path, handlePath: descriptorPath(handle), close };
    try {
      if ((await realpath(path)) !== path) throw outside();
      return { path, handlePath: path, close };
    } catch (error) {
      await close();
      throw error;
    }
  }
}

async function canonicalAsFarAsItExists(path: string): Promise<Location> {
  try {
    return { path: await realpath(path), missing: [] };
  } catch (error) {
    const parent = dirname(path);
    // Even a root may be missing: on Windows, a drive.
    if (parent === path) return { path, missing: [], error };
    const location = await canonicalAsFarAsItExists(parent);
    const name = basename(path);
    return { path: join(location.path, name), missing: [...location.missing, name], error };
  }
}

function outside(): HostError {
  return new HostError('Path resolves outside home directory');
}

/** Before anything is made: a path that fails at its last name would leave those before it behind. */
function checkUsable(path: string): void {
  if (path.includes('\0')) throw new UnusablePathError('NUL byte in path');
  const tooLong = path.split(sep).some((name) => Buffer.byteLength(name) > MAX_NAME_BYTES);
  if (tooLong || Buffer.byteLength(path) > MAX_PATH_BYTES) throw new UnusablePathError('name too long');
}

/** An agent tells its folder when it registers, and the registry takes no control character. */
function checkRegistrable(path: string): void {
  if (hasUnfitCharacter(path)) throw new UnusablePathError('control character in path');
}

function descriptorPath(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`;
}

function openFolder(path: string): Promise<FileHandle> {
  return open(path, OPEN_FOLDER);
}

async function makeFolder(path: string): Promise<FileHandle> {
  try {
    // mkdir follows no link in its last component, so only the open after it has to look.
    await mkdir(path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  return openFolder(path);
}
