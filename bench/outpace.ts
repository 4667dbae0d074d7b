/** For what is measured at a server that has more to do than it can: a load in JavaScript does not keep every server busy. */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Puts all on one processor, with the lowest priority for the server: it runs when the load waits, and little else, so
 * that what it reads has piled up, as where many agents write at once, each on a machine of its own. That favours a server
 * which takes much at once; it is what is measured.
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
