/**
 * What is done on the disk for a caller, each with its sentence for when the disk does not answer.
 */

import { join, resolve } from 'node:path';
import { type DirectoryListing, listDirectories } from './directories.ts';
import { HostError, hostError } from './error.ts';
import { Jail } from './jail.ts';
import { type HouseReport, keepHouse, readEnd } from './output.ts';
import { type Preparation, prepareAgent, type SpawnParams } from './prepare.ts';
import { listSessions, type SessionListing, sessionDirectory } from './sessions.ts';
import { LATE, type Silence, within } from './silence.ts';
import { meantPath } from './typed-path.ts';

/** Each kind of task with what it takes. All of it is JSON: a task is sent to the helper process. */
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
  keepHouse: { outputDirectory: string; maxBytes: number; minAgeMs: number };
  readEnd: { file: string };
}

export interface Results {
  listDirectories: DirectoryListing;
  listSessions: SessionListing;
  prepareAgent: Preparation;
  keepHouse: HouseReport;
  readEnd: string;
}

export type TaskKind = keyof Tasks;
export type Task = { [Kind in TaskKind]: { kind: Kind; params: Tasks[Kind] } }[TaskKind];

/** What could not be done, for the beginning of a sentence. */
export const FAILURE: Record<TaskKind, string> = {
  listDirectories: 'Cannot read directory',
  listSessions: 'Cannot list sessions',
  prepareAgent: 'Failed to spawn',
  keepHouse: "Cannot tend the agents' output",
  readEnd: 'Cannot read the output of an agent',
};

/**
 * Performs a task within `timeoutMs`. What turns out to be silent is noted in `silence`.
 *
 * @throws HostError
 */
export async function perform(task: Task, silence: Silence, timeoutMs: number): Promise<Results[TaskKind]> {
  const subjects = subjectsOf(task);
  if (subjects.some((path) => silence.covers(path))) throw noAnswer(task.kind);
  const result = await within(timeoutMs, start(task, silence));
  if (result !== LATE) return result;
  await Promise.all(subjects.map((path) => silence.blame(path)));
  throw noAnswer(task.kind);
}

/** The error for a task whose file system does not answer. */
export function noAnswer(kind: TaskKind): HostError {
  return new HostError(`${FAILURE[kind]}: the file system does not answer`);
}

async function start({ kind, params }: Task, silence: Silence): Promise<Results[TaskKind]> {
  switch (kind) {
    case 'listDirectories':
      return listDirectories(await openJail(params.home), params.path, silence);
    case 'listSessions':
      return listSessions(await openJail(params.home), params.environment, params.path);
    case 'prepareAgent':
      return prepareAgent(await openJail(params.home), params, params.params, silence);
    case 'keepHouse':
      return inWords(kind, keepHouse(params.outputDirectory, params.maxBytes, params.minAgeMs, Date.now()));
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

/** The absolute paths that a task is about. */
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
    case 'keepHouse':
      return [params.outputDirectory];
    case 'readEnd':
      return [params.file];
  }
}

function absolute(home: string, path: unknown): string {
  try {
    return resolve(home, typeof path === 'string' ? meantPath(path, home) : '');
  } catch {
    return home;
  }
}
