/**
 * The path jail: callers reach folders in the home folder, and none outside.
 *
 *   caller's path ─▶ locate ─▶ canonical path ─▶ is it in home? ─▶ walk ─▶ Folder
 *                    (check)                                       (use)
 *
 * A program that may write in the home folder can replace a folder by a symbolic link after the check and before the
 * use. So the check alone is not enough. The walk opens the canonical path again, component by component from home,
 * each through the descriptor of its parent (`/proc/self/fd/N/name`) and without following links. A canonical path has
 * no links, so a link that the walk finds is new, and is refused. The caller gets a descriptor, which stays with its
 * folder even if that is renamed.
 *
 * This needs Linux with /proc mounted. On Linux without /proc nothing works here. Other systems cannot reach a folder
 * through a descriptor, so there the walk uses names, and reads the canonical path once more at its end. That finds a
 * link that came and stayed. It does not find a link that came and went, or that comes later, and a folder may already
 * have been created behind a link. This is best effort.
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

/** An open folder in the jail. It must be closed. */
export interface Folder {
  /** The canonical path at the time of opening. */
  readonly path: string;
  /** A path that reaches this folder even if it is renamed. Outside Linux it is the same as `path`. */
  readonly handlePath: string;
  close(): Promise<void>;
}

/** The place that a path leads to. */
interface Location {
  /** The canonical path of the existing part, followed by the rest as requested. It is always in the jail. */
  readonly path: string;
  /** The names at the end that do not exist or cannot be read. */
  readonly missing: readonly string[];
  /** The error that kept the path from being canonical to its end; null if there was none. */
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
   * Makes a jail around `home`, which may be a symbolic link. A jail holds nothing open.
   *
   * @throws a system error if `home` does not exist.
   */
  static async open(home: string, throughDescriptors = process.platform === 'linux'): Promise<Jail> {
    return new Jail(await realpath(home), throughDescriptors);
  }

  /** Whether a canonical path is the home folder or in it. */
  contains(path: string): boolean {
    // The separator is needed because /home/u2 is not in /home/u. Only a root already ends with one.
    return path === this.home || path.startsWith(this.home.endsWith(sep) ? this.home : this.home + sep);
  }

  /**
   * The canonical path of an existing folder or file.
   *
   * @param path absolute, relative to home, or in a form of `expandPath`
   * @throws HostError if the path leads outside, even if it does not exist there; otherwise a system error or
   *   UnusablePathError
   */
  async canonicalise(path: string): Promise<string> {
    const location = await this.#locate(path);
    if (location.error !== undefined) throw location.error;
    return location.path;
  }

  /**
   * Opens the folder at `path`, which is in a form of `canonicalise`.
   *
   * @throws the errors of `canonicalise`, and a system error if the folder cannot be opened
   */
  async enter(path: string): Promise<Folder> {
    return this.#walk(await this.canonicalise(path), openFolder);
  }

  /**
   * Opens the folder `newFolder` (relative, may be nested) in `path`. Both are created with their parents if they are
   * missing.
   *
   * @throws the errors of `checkNew` and `enter`
   */
  async create(path: string, newFolder: string): Promise<Folder> {
    return this.#walk(await this.checkNew(path, newFolder), makeFolder);
  }

  /**
   * The path of the folder that `create` would open. It creates nothing.
   *
   * @throws the errors of `canonicalise`; also HostError if `newFolder` is absolute or climbs out of `path`, and
   *   UnusablePathError if a folder would have to be created with an unfit name
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

  /** The check. The error does not reveal whether a path outside exists. */
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

/**
 * Checks a path before anything is created, because a path that fails at its last name would leave the others behind.
 */
function checkUsable(path: string): void {
  if (path.includes('\0')) throw new UnusablePathError('NUL byte in path');
  const tooLong = path.split(sep).some((name) => Buffer.byteLength(name) > MAX_NAME_BYTES);
  if (tooLong || Buffer.byteLength(path) > MAX_PATH_BYTES) throw new UnusablePathError('name too long');
}

/** Checks that an agent could register its folder: the registry accepts no control character. */
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
    // mkdir follows no link in its last component, so only the open after it must check for one.
    await mkdir(path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  return openFolder(path);
}
