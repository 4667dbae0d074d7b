/**
 * Finds or creates everything that an agent needs on the disk before it starts: its folder, its program, the folder for
 * its output, the file of the session to resume, and its first prompt.
 */

import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError, hasCode, hostError } from './error.ts';
import { isRelativeName } from './expand-path.ts';
import type { Folder, Jail } from './jail.ts';
import { findProgram } from './program.ts';
import { findSession } from './sessions.ts';
import type { SilentPaths } from './silent-paths.ts';

/** The unchecked parameters from the caller. */
export interface SpawnParams {
  readonly path?: unknown;
  readonly new_folder?: unknown;
  readonly model?: unknown;
  readonly prompt?: unknown;
  readonly session?: unknown;
}

export interface PrepareOptions {
  /** The program: an absolute path, or a name in the PATH of `environment`. */
  readonly program: string;
  /** The agent's environment. */
  readonly environment: NodeJS.ProcessEnv;
  readonly outputDirectory: string;
}

export interface Preparation {
  /** The canonical path of the agent's folder. */
  readonly folder: string;
  /** The absolute path of the program. */
  readonly program: string;
  /**
   * Further arguments for the program, after those of the command: the model, and the file of the session to continue.
   */
  readonly args: readonly string[];
  /** A file with the first input for the agent's stdin, which must be removed afterwards; null for none. */
  readonly stdinFile: string | null;
}

const MAX_MODEL_BYTES = 128;

/**
 * Makes sure that an agent can be started in the folder `path`, or in `new_folder` in it. A missing `new_folder` is
 * created with its parents, but only if everything else is right.
 *
 * @throws HostError
 */
export async function prepareAgent(
  jail: Jail,
  options: PrepareOptions,
  params: SpawnParams,
  silentPaths: SilentPaths,
): Promise<Preparation> {
  try {
    const { environment, outputDirectory } = options;
    const path = pathOf(params);
    const newFolder = newFolderOf(params);
    const model = textOf(params, 'model');
    const session = textOf(params, 'session');
    const prompt = textOf(params, 'prompt');
    if (model !== null && !isModel(model)) throw new HostError('Failed to spawn: model is not the name of a model');
    if (session !== null && newFolder !== null) {
      throw new HostError('Failed to spawn: a session goes on in its own folder, not in new_folder');
    }
    const existing = newFolder === null ? await enter(jail, path) : await jail.checkNew(path, newFolder);
    const program = await findProgram(options.program, environment.PATH, silentPaths);
    const args = model === null ? [] : ['--model', model];
    if (session !== null) args.push('--session', await findSession(existing, environment, jail.home, session));
    await mkdir(outputDirectory, { recursive: true, mode: 0o700 });
    await access(outputDirectory, constants.W_OK | constants.X_OK);
    const folder = newFolder === null ? existing : await pathOfOpened(jail.create(path, newFolder));
    const stdinFile = prompt === null ? null : await writePrompt(outputDirectory, prompt);
    return { folder, program, args, stdinFile };
  } catch (error) {
    throw hostError('Failed to spawn', error);
  }
}

function pathOf({ path }: SpawnParams): string {
  if (typeof path !== 'string' || path === '') throw pathDoesNotExist();
  return path;
}

function newFolderOf(params: SpawnParams): string | null {
  const newFolder = textOf(params, 'new_folder')?.trim() ?? null;
  if (newFolder !== null && !isRelativeName(newFolder)) {
    throw new HostError(
      `Failed to spawn: new_folder is the name of a folder in path, not ${JSON.stringify(newFolder)}`,
    );
  }
  return newFolder;
}

/** @returns the text; null if it is missing or blank */
function textOf(params: SpawnParams, name: 'new_folder' | 'model' | 'prompt' | 'session'): string | null {
  const text = params[name] ?? '';
  if (typeof text !== 'string') throw new HostError(`Failed to spawn: ${name} is not a string`);
  return text.trim() === '' ? null : text;
}

/** Whether the text may be a model's name. A leading dash would make it an option of the agent. */
function isModel(model: string): boolean {
  return !model.startsWith('-') && Buffer.byteLength(model) <= MAX_MODEL_BYTES && !/[\p{Cc}\p{Cs}]/u.test(model);
}

async function enter(jail: Jail, path: string): Promise<string> {
  try {
    return await pathOfOpened(jail.enter(path));
  } catch (error) {
    throw hasCode(error, 'ENOENT') ? pathDoesNotExist() : error;
  }
}

async function pathOfOpened(opened: Promise<Folder>): Promise<string> {
  const folder = await opened;
  await folder.close();
  return folder.path;
}

function pathDoesNotExist(): HostError {
  return new HostError('Path does not exist');
}

/** The first prompt as a command for a pi in rpc mode, which reads one JSON object per line (pi's docs/rpc.md). */
async function writePrompt(outputDirectory: string, prompt: string): Promise<string> {
  const path = join(outputDirectory, `prompt-${randomUUID()}.jsonl`);
  await writeFile(path, `${JSON.stringify({ type: 'prompt', message: prompt })}\n`, { mode: 0o600, flag: 'wx' });
  return path;
}
