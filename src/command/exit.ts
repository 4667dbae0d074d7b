/**
 * Ends the process even if a thread of Node's pool hangs in a system call.
 *
 * `process.exit` waits for every thread of the pool (libuv joins them). A thread that looks up a name with a silent
 * name server, or touches a file on a mount that does not answer, holds it up, and no more JavaScript runs meanwhile.
 *
 * Two cases remain. Node 23.0 to 23.10 has neither way below, so there the process is killed and its exit code is not
 * 0. And no process can end while a thread waits for a FUSE server that has read its request. So only the log may be on
 * such a file system; host/ works in a process of its own.
 */
import fs from 'node:fs';
import tty from 'node:tty';
import v8 from 'node:v8';

/**
 * In Node 22.15 and later another program replaces this one, and the kernel ends the threads. The types do not have it
 * yet.
 */
type Execve = (file: string, args: readonly string[], environment: NodeJS.ProcessEnv) => never;

/** In earlier Node, V8 ends the process with exit code 0 and without waiting, if flags contradict each other. */
const CONTRADICTION = ['--exit-on-contradictory-flags', '--no-exit-on-contradictory-flags'];

/** How long a thread may take to finish before it counts as hanging. */
const PATIENCE_MS = 100;
const POLL_MS = 10;

/** The descriptors of stdin, stdout and stderr that were a terminal when the process started. */
export const TERMINALS = [0, 1, 2].filter((descriptor) => tty.isatty(descriptor));

/** Ends the process with this exit code: at once, or after `PATIENCE_MS` if threads of the pool hang. */
export function exit(code: number): void {
  const startedAt = performance.now();
  const attempt = () => {
    if (!isPoolBusy()) void closeTerminals().then(() => process.exit(code));
    else if (performance.now() - startedAt < PATIENCE_MS) setTimeout(attempt, POLL_MS);
    else exitByForce(code);
  };
  attempt();
}

/** Closes descriptors of a terminal that is gone. Node resets terminals as it exits, and would abort otherwise. */
async function closeTerminals(): Promise<void> {
  await Promise.all(TERMINALS.splice(0).map((descriptor) => new Promise((resolve) => fs.close(descriptor, resolve))));
}

function exitByForce(code: number): void {
  const { execve } = process as { execve?: Execve };
  if (execve !== undefined) {
    const { NODE_OPTIONS: _, ...environment } = process.env;
    // The new program looks for files in its working directory, which may be the folder that hangs.
    process.chdir('/');
    execve(ownProgram(), [process.execPath, '--eval', `process.exit(${code})`], environment);
  } else if (code === 0) {
    for (const flag of CONTRADICTION) v8.setFlagsFromString(flag);
  }
  process.kill(process.pid, 'SIGKILL');
}

/** Whether threads of the pool have work. Their requests, for files and look-ups, all have `Req` in their names. */
function isPoolBusy(): boolean {
  return process.getActiveResourcesInfo().some((name) => name.includes('Req'));
}

/** The path of this program. With /proc, Linux finds it even if an upgrade has replaced or removed the file. */
function ownProgram(): string {
  return process.platform === 'linux' ? '/proc/self/exe' : process.execPath;
}
