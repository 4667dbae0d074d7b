/**
 * Ends the process even if a thread of Node's pool hangs in a call of the system.
 *
 * `process.exit` waits for every thread of the pool (libuv joins them). One that looks up a name with a silent name
 * server, or touches a file on a mount that does not answer, holds it up for as long, and JavaScript runs no more.
 *
 * Two cases are left: Node 23.0 to 23.10 knows neither way below, so there the process is killed and its exit code is not 0;
 * and no process can end while a thread waits for a FUSE server that has read its request. So only the log may be there:
 * host/ works in a process of its own.
 */
import fs from 'node:fs';
import tty from 'node:tty';
import v8 from 'node:v8';

/** Node 22.15 and later: another program takes the place of this one, and the kernel ends the threads. Not in the types yet. */
type Execve = (file: string, args: readonly string[], environment: NodeJS.ProcessEnv) => never;

/** Before that: V8 ends the process by itself, with exit code 0 and without waiting, if flags contradict each other. */
const CONTRADICTION = ['--exit-on-contradictory-flags', '--no-exit-on-contradictory-flags'];

/** How long a thread may take to finish before it counts as hanging. */
const PATIENCE_MS = 100;
const POLL_MS = 10;

/** The descriptors of stdin, stdout and stderr that were a terminal when the process started. */
export const TERMINALS = [0, 1, 2].filter((descriptor) => tty.isatty(descriptor));

/** Ends the process with that exit code: at once, or after `PATIENCE_MS` if threads of the pool hang. */
export function exit(code: number): void {
  const startedAt = performance.now();
  const attempt = () => {
    if (!isPoolBusy()) void closeTerminals().then(() => process.exit(code));
    else if (performance.now() - startedAt < PATIENCE_MS) setTimeout(attempt, POLL_MS);
    else exitByForce(code);
  };
  attempt();
}

/** Node sets a terminal back to what it was as it exits, and aborts if the terminal is gone, unless it is closed. */
async function closeTerminals(): Promise<void> {
  await Promise.all(TERMINALS.splice(0).map((descriptor) => new Promise((resolve) => fs.close(descriptor, resolve))));
}

function exitByForce(code: number): void {
  const { execve } = process as { execve?: Execve };
  if (execve !== undefined) {
    const { NODE_OPTIONS: _, ...environment } = process.env;
    // The new program looks for files in its working directory, which may be the one that hangs.
    process.chdir('/');
    execve(ownProgram(), [process.execPath, '--eval', `process.exit(${code})`], environment);
  } else if (code === 0) {
    for (const flag of CONTRADICTION) v8.setFlagsFromString(flag);
  }
  process.kill(process.pid, 'SIGKILL');
}

/** Requests that threads of the pool work on all have `Req` in their names: those for files, and look-ups. */
function isPoolBusy(): boolean {
  return process.getActiveResourcesInfo().some((name) => name.includes('Req'));
}

/** Linux finds the program even if an upgrade has replaced or removed its file. */
function ownProgram(): string {
  return process.platform === 'linux' ? '/proc/self/exe' : process.execPath;
}
