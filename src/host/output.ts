/**
 * The output files of agents. A pi in rpc mode prints everything that it does, and it outlives the daemon. A pipe would
 * break or fill up, so the output goes to a file. The file is emptied from time to time, so it stays within a bound.
 */

import { lstat, open, readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { hasCode, reasonOf } from './error.ts';

/**
 * The name of an output file contains the id of its process. Files with other names are left alone. The name also has a
 * uuid, because systems reuse process ids, and containers may share a folder but not their process ids.
 */
const OUTPUT_FILE = /^agent-(\d+)-[\da-f-]{36}\.log$/;

/** Files that exist only while an agent starts. An interrupted start leaves one behind. */
const START_FILE = /^(?:stdin-[\da-f-]{36}|prompt-[\da-f-]{36}\.jsonl)$/;

const START_FILE_MAX_AGE_MS = 3600 * 1000;

export function outputFileName(processId: number, spawnId: string): string {
  return `agent-${processId}-${spawnId}.log`;
}

export interface TendingReport {
  /** The number of output files of living agents. */
  readonly living: number;
  /** The files that could not be emptied or removed, with the reasons. */
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Tends the files in `outputDirectory`. Output files over `maxBytes` are emptied in place, because their agents hold
 * them open. A file is removed if its agent has ended and nothing was written to it for `minAgeMs` before `now` (Unix
 * milliseconds). The file of a living agent stays at any age, because it could not be emptied without its name.
 *
 * @throws a system error if `outputDirectory` exists and cannot be read
 */
export async function tendOutput(
  outputDirectory: string,
  maxBytes: number,
  minAgeMs: number,
  now: number,
): Promise<TendingReport> {
  let living = 0;
  const failures: { name: string; reason: string }[] = [];
  for (const name of await unlessMissing(readdir(outputDirectory), [])) {
    const path = join(outputDirectory, name);
    const processId = OUTPUT_FILE.exec(name)?.[1];
    try {
      if (processId !== undefined) {
        const lives = isAlive(Number(processId));
        if (lives) living += 1;
        await unlessMissing(lookAfter(path, lives, maxBytes, now - minAgeMs), undefined);
      } else if (START_FILE.test(name)) {
        await unlessMissing(removeOlder(path, now - START_FILE_MAX_AGE_MS), undefined);
      }
    } catch (error) {
      failures.push({ name, reason: reasonOf(error) });
    }
  }
  return { living, failures };
}

async function lookAfter(path: string, lives: boolean, maxBytes: number, abandonedBefore: number): Promise<void> {
  const status = await lstat(path);
  // The target of a link does not belong to the daemon.
  if (!status.isFile()) return;
  if (!lives && status.mtimeMs <= abandonedBefore) await rm(path);
  else if (status.size > maxBytes) await truncate(path);
}

async function removeOlder(path: string, before: number): Promise<void> {
  if ((await lstat(path)).mtimeMs <= before) await rm(path);
}

/** The folder is missing until the first agent was started. A file is missing if another daemon has just removed it. */
async function unlessMissing<T>(wanted: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await wanted;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return otherwise;
    throw error;
  }
}

function isAlive(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch (error) {
    // The process of another user exists.
    return hasCode(error, 'EPERM');
  }
}

/** How much of the end of an output file is read, in bytes, and returned, in characters. */
const END_BYTES = 8 * 1024;
const END_LENGTH = 2000;

/** C0 but tab and line feed, DEL and C1. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern is about control characters
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * The end of an agent's output as plain text: whole lines if possible, without control sequences.
 *
 * @throws a system error if the file cannot be read
 */
export async function readEnd(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const start = Math.max(0, size - END_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(END_BYTES), 0, END_BYTES, start);
    return endOf(buffer.subarray(0, bytesRead).toString(), start > 0);
  } finally {
    await handle.close();
  }
}

function endOf(text: string, isCut: boolean): string {
  const plain = stripVTControlCharacters(text).replace(/\r\n?/g, '\n').replace(UNPRINTABLE, '').trim();
  if (!isCut && plain.length <= END_LENGTH) return plain;
  const end = plain.slice(-END_LENGTH);
  const firstLineEnd = end.indexOf('\n');
  return `…${end.slice(firstLineEnd === -1 ? 0 : firstLineEnd)}`;
}
