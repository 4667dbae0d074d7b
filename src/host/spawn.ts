/**
 * Starting an agent on this machine: the answer to spawn_agent.
 *
 * The agent has no terminal, and it outlives the daemon even where that is killed: it leads a session of its own, its stdin
 * is a FIFO that never ends (fifo.ts), its output goes to a file (output.ts). Nothing of it stays with the daemon but
 * the process id that Node waits for, so that it leaves no zombie.
 *
 * On Windows there are no such FIFOs: stdin is a pipe there, and agents end with the daemon.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { HostError, hasCode, hostError } from './error.ts';
import { openFifo } from './fifo.ts';
import type { Folder, Jail } from './jail.ts';
import { openOutput } from './output.ts';

export interface SpawnOptions {
  /** The program and its arguments. No shell is asked, so on Windows a script such as pi.cmd needs `cmd /c` before it. */
  readonly command: readonly string[];
  /** The environment the agent gets, whole but for PWD. */
  readonly env: NodeJS.ProcessEnv;
  /** The folder for its stdout and stderr, one file for each agent. */
  readonly outputDirectory: string;
}

/** As they came from the caller. */
export interface SpawnParams {
  readonly path?: unknown;
  readonly new_folder?: unknown;
}

/**
 * Starts an agent in the folder `path`, or in `new_folder` in it, which is then made with its parents where missing. It is
 * resolved once the program runs.
 *
 * @returns the canonical path of the agent's folder.
 * @throws HostError
 */
export async function spawnAgent(
  jail: Jail,
  options: SpawnOptions,
  params: SpawnParams,
): Promise<{ status: 'spawning'; path: string }> {
  try {
    const folder = await openFolder(jail, params);
    try {
      await start(folder, options);
      return { status: 'spawning', path: folder.path };
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw hostError('Failed to spawn', error);
  }
}

async function openFolder(jail: Jail, { path, new_folder }: SpawnParams): Promise<Folder> {
  if (typeof path !== 'string' || path === '') throw pathDoesNotExist();
  const newFolder = new_folder ?? '';
  if (typeof newFolder !== 'string') throw new HostError('Failed to spawn: new_folder is not a string');
  if (newFolder.trim() !== '') return jail.create(path, newFolder.trim());
  try {
    return await jail.enter(path);
  } catch (error) {
    throw hasCode(error, 'ENOENT') ? pathDoesNotExist() : error;
  }
}

function pathDoesNotExist(): HostError {
  return new HostError('Path does not exist');
}

async function start(folder: Folder, options: SpawnOptions): Promise<void> {
  const [program, ...args] = options.command;
  if (program === undefined) throw new HostError('Failed to spawn: no command');
  const stdin = process.platform === 'win32' ? undefined : await openFifo();
  try {
    const output = await openOutput(options.outputDirectory);
    try {
      const agent = spawn(program, args, {
        cwd: folder.handlePath,
        env: { ...options.env, PWD: folder.path },
        stdio: [stdin?.fd ?? 'pipe', output.fd, output.fd],
        detached: true,
        windowsHide: true,
      });
      await once(agent, 'spawn');
      agent.unref();
      if (agent.pid !== undefined) await output.keep(agent.pid);
    } finally {
      await output.close();
    }
  } finally {
    await stdin?.close();
  }
}
