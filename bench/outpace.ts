/** For what is measured at a server that has more to do than it can: a load in JavaScript is no faster than the server by itself. */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Puts all on one processor, where the server gets only what the load leaves of it: so whatever it reads has piled up, as
 * where many agents write at once, each on a machine of its own. What it costs the server is counted in its own time
 * alone, so neither favours anybody.
 *
 * @throws where there is no `taskset`, which comes with util-linux
 */
export async function outpace(serverPids: readonly number[], loadPids: readonly number[]): Promise<void> {
  const processor = await lastProcessor();
  for (const pid of [...serverPids, ...loadPids]) await run('taskset', ['-a', '-p', '-c', processor, String(pid)]);
  for (const pid of serverPids) {
    for (const thread of await readdir(`/proc/${pid}/task`))
      os.setPriority(Number(thread), os.constants.priority.PRIORITY_LOW);
  }
}

async function lastProcessor(): Promise<string> {
  const status = await readFile('/proc/self/status', 'utf8');
  return /^Cpus_allowed_list:.*?(\d+)$/m.exec(status)?.[1] ?? '0';
}
