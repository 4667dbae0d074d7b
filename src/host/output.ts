/**
 * Where the output of agents goes. A pi in rpc mode prints all it does, and it outlives the daemon: a pipe would break or
 * fill, a file does neither. It would grow without bound, though, so it has to be cut from time to time.
 */

import { randomUUID } from 'node:crypto';
import { lstat, mkdir, open, readdir, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from './error.ts';

/**
 * An output file names its process (agent-4711-<uuid>.log) once that is known. Other files in the folder are left alone. The
 * uuid, because a process id comes again, and because containers may share a folder but not their process ids.
 */
const OUTPUT_FILE = /^agent-(\d+|new)-[\da-f-]{36}\.log$/;

/** An output file held open, before its process is known. */
export interface Output {
  readonly fd: number;
  /** Names the file after the process that writes it. Where that fails, the file keeps its first name: its agent runs. */
  keep(processId: number): Promise<void>;
  /** Closes the file, and removes it where it was not kept. */
  close(): Promise<void>;
}

/** Opens a new output file in `outputDirectory`, which is made where missing. Both are private to this user. Close it. */
export async function openOutput(outputDirectory: string): Promise<Output> {
  await mkdir(outputDirectory, { recursive: true, mode: 0o700 });
  const id = randomUUID();
  const path = join(outputDirectory, `agent-new-${id}.log`);
  // For appending: after a truncation the next write begins the file again, instead of leaving a hole before itself.
  const handle = await open(path, 'ax', 0o600);
  let isKept = false;
  return {
    fd: handle.fd,
    keep: async (processId) => {
      isKept = true;
      await rename(path, join(outputDirectory, `agent-${processId}-${id}.log`)).catch(() => {});
    },
    close: async () => {
      await handle.close();
      if (!isKept) await rm(path, { force: true });
    },
  };
}

/** Told of a file that could not be looked at, emptied or removed: the others are tended all the same. */
export type OnUntouchable = (path: string, error: NodeJS.ErrnoException) => void;

/**
 * Empties, in place, each output file over `maxBytes`: the agent that writes it holds it open and goes on.
 *
 * @returns how many were emptied.
 * @throws a system error if `outputDirectory` exists and cannot be read.
 */
export async function truncateOversized(
  outputDirectory: string,
  maxBytes: number,
  onUntouchable: OnUntouchable,
): Promise<number> {
  return countFiles(outputDirectory, onUntouchable, async (path) => {
    const file = await lstat(path);
    if (!file.isFile() || file.size <= maxBytes) return false;
    await truncate(path);
    return true;
  });
}

/**
 * Removes each output file that was not written for `minAgeMs` before `now` (Unix milliseconds) and whose agent has ended.
 * That of a living agent stays however old: without its name it could not be emptied any more.
 *
 * @returns how many were removed.
 * @throws a system error if `outputDirectory` exists and cannot be read.
 */
export async function removeAbandoned(
  outputDirectory: string,
  minAgeMs: number,
  now: number,
  onUntouchable: OnUntouchable,
): Promise<number> {
  return countFiles(outputDirectory, onUntouchable, async (path, processId) => {
    const file = await lstat(path);
    if (!file.isFile() || file.mtimeMs > now - minAgeMs || isAlive(processId)) return false;
    await rm(path);
    return true;
  });
}

async function countFiles(
  outputDirectory: string,
  onUntouchable: OnUntouchable,
  isDone: (path: string, processId: number) => Promise<boolean>,
): Promise<number> {
  let count = 0;
  for (const name of await unlessMissing(readdir(outputDirectory), [])) {
    const processId = OUTPUT_FILE.exec(name)?.[1];
    if (processId === undefined) continue;
    const path = join(outputDirectory, name);
    try {
      if (await unlessMissing(isDone(path, Number(processId)), false)) count += 1;
    } catch (error) {
      onUntouchable(path, error as NodeJS.ErrnoException);
    }
  }
  return count;
}

/** The folder is missing where nothing was spawned yet; a file, where another daemon removed it just now. */
async function unlessMissing<T>(wanted: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await wanted;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return otherwise;
    throw error;
  }
}

function isAlive(processId: number): boolean {
  // The daemon died before it had named the file. Better a file too many than one that nobody can empty.
  if (Number.isNaN(processId)) return true;
  try {
    return process.kill(processId, 0);
  } catch (error) {
    // Somebody else's process: alive.
    return hasCode(error, 'EPERM');
  }
}
