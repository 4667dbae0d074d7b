/**
 * The past sessions of pi in a folder, for `list_sessions` and for `spawn_agent`, which can resume one.
 *
 * pi keeps each session in a file of JSON lines, `<time>_<id>.jsonl`. The first line is a header with the session's id
 * and folder. The messages, and the name, which may change, are in later lines. Tried with pi 0.73.1, 0.87.1 and 1.6.0.
 */

import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { HostError, hasCode, hostError } from './error.ts';
import { expandPath } from './expand-path.ts';
import type { Jail } from './jail.ts';

/** The number of listed sessions, newest first. People look for a recent one. */
const MAX_SESSIONS = 100;

/** The number of files that are considered, those with the latest names. */
const MAX_FILES = 1000;

/** The number of files read at once. */
const READS_AT_ONCE = 4;

/** How long reading may take, in milliseconds. Sessions that are not read by then are left out. */
const READING_MS = 2000;

/** How much of a file is read, in bytes. Sessions with pictures grow to tens of MB. */
const MAX_READ_BYTES = 64 * 1024 * 1024;

/** Longer lines are skipped, because they contain pictures or the output of tools. */
const MAX_LINE_BYTES = 1024 * 1024;

const CHUNK_BYTES = 256 * 1024;

/** The longest `name` and `first`, in characters. */
const MAX_TEXT_LENGTH = 200;

const SESSION_ID = /^[A-Za-z\d](?:[\w.-]{0,126}[A-Za-z\d])?$/;

/** O_NONBLOCK is needed because opening a FIFO would wait for a writer. */
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A past session. */
export interface PastSession {
  /** The session's id. */
  session: string;
  name?: string;
  /** When the file was last written, in Unix seconds. */
  modified: number;
  /** The beginning of the first prompt. */
  first?: string;
}

export interface SessionListing {
  /** The canonical path of the folder. */
  path: string;
  /** The sessions, newest first. */
  sessions: PastSession[];
}

/**
 * Lists the past sessions of the folder at `path`; without a path, of the home folder.
 *
 * @param environment the environment of agents, which may move pi's files
 * @throws HostError
 */
export async function listSessions(
  jail: Jail,
  environment: NodeJS.ProcessEnv,
  path?: unknown,
): Promise<SessionListing> {
  try {
    if (path !== undefined && path !== null && typeof path !== 'string')
      throw new HostError('Invalid path: not a string');
    const folder = await jail.canonicalise(path ?? jail.home);
    return { path: folder, sessions: await sessionsOf(folder, sessionDirectory(folder, environment, jail.home)) };
  } catch (error) {
    throw hostError('Cannot list sessions', error);
  }
}

/**
 * The file of a past session of `folder`.
 *
 * @throws HostError if there is no such session
 */
export async function findSession(
  folder: string,
  environment: NodeJS.ProcessEnv,
  home: string,
  id: string,
): Promise<string> {
  const directory = sessionDirectory(folder, environment, home);
  // The id comes from a caller, so it is compared with existing names and never becomes part of a path.
  for (const name of await namesOfFiles(directory)) {
    if (!name.endsWith(`_${id}.jsonl`)) continue;
    const path = join(directory, name);
    const summary = await readSummary(path, folder);
    if (summary?.session === id) return path;
  }
  throw new HostError('Failed to spawn: this folder has no such session');
}

/**
 * The folder in which pi keeps the sessions of `folder`.
 *
 * @param environment pi's environment, of which `PI_CODING_AGENT_SESSION_DIR` and `PI_CODING_AGENT_DIR` count
 */
export function sessionDirectory(folder: string, environment: NodeJS.ProcessEnv, home: string): string {
  const { PI_CODING_AGENT_SESSION_DIR, PI_CODING_AGENT_DIR } = environment;
  const absolute = (path: string) => resolve(folder, expandPath(path, home));
  if (PI_CODING_AGENT_SESSION_DIR) return absolute(PI_CODING_AGENT_SESSION_DIR);
  const ofPi = PI_CODING_AGENT_DIR ? absolute(PI_CODING_AGENT_DIR) : join(home, '.pi', 'agent');
  return join(ofPi, 'sessions', `--${folder.replace(/^[/\\]/, '').replace(/[/\\:]/g, '-')}--`);
}

async function sessionsOf(folder: string, directory: string): Promise<PastSession[]> {
  const until = Date.now() + READING_MS;
  const files = await newestFiles(directory);
  const found: PastSession[] = [];
  const remaining = files.values();
  const lane = async () => {
    for (const { path, modified } of remaining) {
      if (found.length >= MAX_SESSIONS || Date.now() > until) return;
      const summary = await readSummary(path, folder);
      if (summary !== null) found.push({ ...summary, modified });
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, lane));
  return found.sort((a, b) => b.modified - a.modified).slice(0, MAX_SESSIONS);
}

async function newestFiles(directory: string): Promise<{ path: string; modified: number }[]> {
  const names = (await namesOfFiles(directory)).sort().reverse().slice(0, MAX_FILES);
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      const status = await lstat(path).catch(() => null);
      return status?.isFile() ? [{ path, modified: Math.floor(status.mtimeMs / 1000) }] : [];
    }),
  );
  return files.flat().sort((a, b) => b.modified - a.modified);
}

async function namesOfFiles(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => name.endsWith('.jsonl'));
  } catch (error) {
    // No session was started in that folder so far.
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

type Summary = Omit<PastSession, 'modified'>;

/** @returns null if the file is no session of `folder`, or cannot be read, so that one bad file hides no others */
async function readSummary(path: string, folder: string): Promise<Summary | null> {
  try {
    const handle = await open(path, OPEN_FILE);
    try {
      return (await handle.stat()).isFile() ? await summarise(handle, folder) : null;
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}

async function summarise(handle: FileHandle, folder: string): Promise<Summary | null> {
  let summary: Summary | null = null;
  for await (const line of linesOf(handle)) {
    if (summary === null) {
      const { type, id, cwd } = parse(line);
      if (type !== 'session' || cwd !== folder || typeof id !== 'string' || !SESSION_ID.test(id)) return null;
      summary = { session: id };
    } else if (line.includes('"session_info"')) {
      const { type, name } = parse(line);
      if (type === 'session_info') setText(summary, 'name', name);
    } else if (summary.first === undefined && line.includes('"user"')) {
      const { type, message } = parse(line);
      if (type === 'message' && isObject(message) && message.role === 'user')
        setText(summary, 'first', textOf(message));
    }
  }
  return summary;
}

/** The lines of a file, without line ends. Text after the last line end is left out, because pi is still writing it. */
async function* linesOf(handle: FileHandle): AsyncGenerator<Buffer> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for (let position = 0; position < MAX_READ_BYTES; ) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    let start = 0;
    for (let end = 0; ; start = end + 1) {
      end = chunk.subarray(0, bytesRead).indexOf(LF, start);
      if (end === -1) break;
      const tail = chunk.subarray(start, end);
      if (begunBytes + tail.length <= MAX_LINE_BYTES) yield begun.length === 0 ? tail : Buffer.concat([...begun, tail]);
      begun = [];
      begunBytes = 0;
    }
    const tail = chunk.subarray(start, bytesRead);
    begunBytes += tail.length;
    // The chunk's memory is reused for the next read.
    if (begunBytes <= MAX_LINE_BYTES) begun.push(Buffer.from(tail));
  }
}

const LF = 0x0a;

function parse(line: Buffer): Record<string, unknown> {
  try {
    const entry: unknown = JSON.parse(line.toString());
    return isObject(entry) ? entry : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The text of a message: its content, or the blocks of text in its content. */
function textOf({ content }: Record<string, unknown>): unknown {
  if (!Array.isArray(content)) return content;
  const blocks = content.filter((block) => isObject(block) && block.type === 'text');
  return blocks.map(({ text }) => text).join(' ');
}

/** Sets the text, shortened and in one line; removes the field if the text is missing. */
function setText(summary: Summary, field: 'name' | 'first', value: unknown): void {
  delete summary[field];
  if (typeof value !== 'string') return;
  const text = value
    .slice(0, 4 * MAX_TEXT_LENGTH)
    .replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ')
    .trim();
  const characters = Array.from(text);
  if (text !== '') summary[field] = characters.slice(0, MAX_TEXT_LENGTH).join('');
}
