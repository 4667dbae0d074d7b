/**
 * Starts the process of an agent.
 *
 * The agent has no terminal, and it outlives the daemon even if that is killed: it leads a session of its own, and its
 * output goes to a file. A pi in rpc mode lives until its stdin ends, and a pipe ends when its last writer is gone. So
 * its stdin is a FIFO that the agent itself holds open for reading and writing, and that never ends.
 *
 * Node's spawn() blocks until the new process has entered its folder and loaded its program. On a file system that does
 * not answer, that would block the daemon for ever. So the daemon spawns a shell in the root folder. The shell makes
 * the FIFO, opens the output file, enters the folder, and replaces itself by the agent.
 *
 * Windows has no such FIFOs. There stdin is a pipe, and agents end with the daemon.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { HostError } from './error.ts';
import { outputFileName } from './output.ts';
import { LATE, within } from './silent-paths.ts';

export interface Launch {
  /** Part of the names of this start's files, in hexadecimal digits and dashes. */
  readonly spawnId: string;
  /** The absolute path of the program, and its arguments. */
  readonly command: readonly [program: string, ...args: string[]];
  /** The environment of the agent, complete except for PWD. */
  readonly environment: NodeJS.ProcessEnv;
  /** The canonical path of the agent's folder. If it leads elsewhere when the agent enters it, nothing is started. */
  readonly folder: string;
  /** The folder for output files, which must exist. */
  readonly outputDirectory: string;
  /** A file with the first input for the agent's stdin, which is removed afterwards; null for none. */
  readonly stdinFile: string | null;
}

/**
 * The shell's script. `launchByShell` passes its arguments. Descriptor 3 is a pipe to the daemon: the script writes the
 * name of each stage to it, and the shell its error messages. The script sets no variables, because the agent would
 * inherit them. The shell stays in a folder that it has entered, even if that is renamed, and `pwd -P` prints the
 * folder's real path.
 */
const BECOME_AGENT = `
exec 2>&3
echo stdin >&3
command -p mkfifo -m 600 "$1/stdin-$2" || exit
exec <>"$1/stdin-$2" 4>"$1/stdin-$2"
command -p rm -f "$1/stdin-$2"
echo output >&3
( umask 077; : >"$1/agent-$$-$2.log" )
exec >>"$1/agent-$$-$2.log"
echo folder >&3
cd -P "$3" || exit
unset OLDPWD
if [ "$(pwd -P)" != "$3" ]; then echo moved >&3; exit 1; fi
if [ -n "$4" ]; then
  ( ( command -p cat "$4" >&4; command -p rm -f "$4" ) </dev/null >/dev/null 2>&1 3>&- & )
fi
shift 4
echo program >&3
exec 2>&1 3>&- 4>&-
exec "$@"
`;

/** The reason why a start has failed, by the last stage that it reached. */
const FAILURES: Record<string, string> = {
  stdin: 'its stdin cannot be made',
  output: 'its output cannot be written',
  folder: 'its folder cannot be entered',
};

/** The names that a shell accepts as variables. Some shells drop all others from the environment. */
const VARIABLE = /^[A-Za-z_]\w*$/;

/**
 * Starts an agent. Resolves when the process is about to become the program. If it cannot become that, it ends at once.
 *
 * @param timeoutMs the time limit, in milliseconds
 * @throws HostError, or a system error
 */
export async function launch(options: Launch, timeoutMs: number): Promise<ChildProcess> {
  return process.platform === 'win32' ? launchOnWindows(options) : launchByShell(options, timeoutMs);
}

async function launchByShell(options: Launch, timeoutMs: number): Promise<ChildProcess> {
  const { spawnId, command, environment, folder, outputDirectory, stdinFile } = options;
  const args = [outputDirectory, spawnId, folder, stdinFile ?? '', ...withOddVariables(command, environment)];
  const agent = spawn('/bin/sh', ['-c', BECOME_AGENT, 'sh', ...args], {
    cwd: '/',
    env: { ...environment, PWD: folder },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    detached: true,
  });
  await once(agent, 'spawn');
  agent.unref();
  const said = await within(timeoutMs, text(agent.stdio[3] as Readable));
  if (said === LATE) {
    process.kill(-(agent.pid as number), 'SIGKILL');
    throw new HostError('Failed to spawn: the file system does not answer');
  }
  const stage = said.match(/^(?:stdin|output|folder|program)$/gm)?.at(-1) ?? 'stdin';
  const failure = FAILURES[stage];
  if (failure !== undefined) throw new HostError(`Failed to spawn: ${failure}`);
  return agent;
}

/**
 * The command, preceded by `env` with the variables that the shell may drop, such as the exported functions of bash.
 */
function withOddVariables(command: readonly string[], environment: NodeJS.ProcessEnv): readonly string[] {
  const odd = Object.entries(environment).filter(([name, value]) => !VARIABLE.test(name) && value !== undefined);
  if (odd.length === 0) return command;
  return ['/usr/bin/env', ...odd.map(([name, value]) => `${name}=${value}`), ...command];
}

async function launchOnWindows(options: Launch): Promise<ChildProcess> {
  const { spawnId, command, environment, folder, outputDirectory, stdinFile } = options;
  const [program, ...args] = command;
  const path = join(outputDirectory, `agent-new-${spawnId}.log`);
  const output = await open(path, 'ax');
  try {
    const agent = spawn(program, args, {
      cwd: folder,
      env: { ...environment, PWD: folder },
      stdio: ['pipe', output.fd, output.fd],
      detached: true,
      windowsHide: true,
    });
    await once(agent, 'spawn');
    agent.unref();
    await rename(path, join(outputDirectory, outputFileName(agent.pid as number, spawnId)));
    if (stdinFile !== null) {
      agent.stdin?.on('error', () => {}).write(await readFile(stdinFile));
      await rm(stdinFile);
    }
    return agent;
  } finally {
    await output.close();
  }
}
