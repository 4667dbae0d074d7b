/**
 * Assigns processes to processors. The kernel's own choice changes from start to start, and with it a server's cost.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Puts all on one processor, so that waking the readers of its writes costs a server the same from start to start.
 *
 * @throws if `taskset` is missing, which comes with util-linux
 */
export async function shareProcessor(pids: readonly number[]): Promise<void> {
  const processor = await lastProcessor();
  for (const pid of pids) await run('taskset', ['-a', '-p', '-c', processor, String(pid)]);
}

/**
 * The same, with the lowest priority for the server. It runs almost only when the load waits, so its input has piled
 * up, as if many agents wrote at once, each on a machine of its own: a load in JavaScript would not keep every server
 * busy. That favours a server which takes much at once, as it is meant to.
 *
 * @throws as `shareProcessor`
 */
export async function outpace(serverPids: readonly number[], loadPids: readonly number[]): Promise<void> {
  await shareProcessor([...serverPids, ...loadPids]);
  for (const pid of serverPids) {
    for (const thread of await readdir(`/proc/${pid}/task`))
      os.setPriority(Number(thread), os.constants.priority.PRIORITY_LOW);
  }
}

async function lastProcessor(): Promise<string> {
  const status = await readFile('/proc/self/status', 'utf8');
  return /^Cpus_allowed_list:.*?(\d+)$/m.exec(status)?.[1] ?? '0';
}
