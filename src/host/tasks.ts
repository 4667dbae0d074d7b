/**
 * The tasks that the helper process performs on the disk, and the beginnings of the sentences for their failures.
 */

import { join, resolve } from 'node:path';
import { type DirectoryListing, listDirectories } from './directories.ts';
import { HostError, hostError } from './error.ts';
import { expandPath } from './expand-path.ts';
import { Jail } from './jail.ts';
import { readEnd, type TendingReport, tendOutput } from './output.ts';
import { type Preparation, prepareAgent, type SpawnParams } from './prepare.ts';
import { listSessions, type SessionListing, sessionDirectory } from './sessions.ts';
import { LATE, type SilentPaths, within } from './silent-paths.ts';

/** The parameters of each kind of task. They are JSON, because a task is sent to the helper process. */
export interface Tasks {
  listDirectories: { home: string; path: unknown };
  listSessions: { home: string; path: unknown; environment: NodeJS.ProcessEnv };
  prepareAgent: {
    home: string;
    program: string;
    environment: NodeJS.ProcessEnv;
    outputDirectory: string;
    params: SpawnParams;
  };
  tendOutput: { outputDirectory: string; maxBytes: number; minAgeMs: number };
  readEnd: { file: string };
}

export interface Results {
  listDirectories: DirectoryListing;
  listSessions: SessionListing;
  prepareAgent: Preparation;
  tendOutput: TendingReport;
  readEnd: string;
}

export type TaskKind = keyof Tasks;
export type Task = { [Kind in TaskKind]: { kind: Kind; params: Tasks[Kind] } }[TaskKind];

/** The beginning of the sentence for the caller. */
export const FAILURE: Record<TaskKind, string> = {
  listDirectories: 'Cannot read directory',
  listSessions: 'Cannot list sessions',
  prepareAgent: 'Failed to spawn',
  tendOutput: "Cannot tend the agents' output",
  readEnd: 'Cannot read the output of an agent',
};

/**
 * Performs a task within `timeoutMs`. Paths that do not answer are added to `silentPaths`.
 *
 * @throws HostError
 */
export async function perform(task: Task, silentPaths: SilentPaths, timeoutMs: number): Promise<Results[TaskKind]> {
  const subjects = subjectsOf(task);
  if (subjects.some((path) => silentPaths.covers(path))) throw noAnswer(task.kind);
  const result = await within(timeoutMs, start(task, silentPaths));
  if (result !== LATE) return result;
  await Promise.all(subjects.map((path) => silentPaths.findSilentFolder(path)));
  throw noAnswer(task.kind);
}

/** The error for a task whose file system does not answer. */
export function noAnswer(kind: TaskKind): HostError {
  return new HostError(`${FAILURE[kind]}: the file system does not answer`);
}

async function start({ kind, params }: Task, silentPaths: SilentPaths): Promise<Results[TaskKind]> {
  switch (kind) {
    case 'listDirectories':
      return listDirectories(await openJail(params.home), params.path, silentPaths);
    case 'listSessions':
      return listSessions(await openJail(params.home), params.environment, params.path);
    case 'prepareAgent':
      return prepareAgent(await openJail(params.home), params, params.params, silentPaths);
    case 'tendOutput':
      return inWords(kind, tendOutput(params.outputDirectory, params.maxBytes, params.minAgeMs, Date.now()));
    case 'readEnd':
      return inWords(kind, readEnd(params.file));
  }
}

async function inWords<T>(kind: TaskKind, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw hostError(FAILURE[kind], error);
  }
}

async function openJail(home: string): Promise<Jail> {
  try {
    return await Jail.open(home);
  } catch (error) {
    throw hostError('Cannot use the home folder', error);
  }
}

/** The absolute paths that a task uses. */
function subjectsOf({ kind, params }: Task): string[] {
  switch (kind) {
    case 'listDirectories':
      return [absolute(params.home, params.path)];
    case 'listSessions': {
      const folder = absolute(params.home, params.path);
      return [folder, sessionDirectory(folder, params.environment, params.home)];
    }
    case 'prepareAgent': {
      const { path, new_folder } = params.params;
      const folder = absolute(params.home, path);
      return [typeof new_folder === 'string' ? join(folder, new_folder.trim()) : folder, params.outputDirectory];
    }
    case 'tendOutput':
      return [params.outputDirectory];
    case 'readEnd':
      return [params.file];
  }
}

function absolute(home: string, path: unknown): string {
  try {
    return resolve(home, typeof path === 'string' ? expandPath(path, home) : '');
  } catch {
    return home;
  }
}
