/** How servers under test are started: each prints the port that it took, once it serves. */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../test/support/measure.ts';
import { spawnProcess } from '../processes.ts';
import { withChildren } from '../resident.ts';
import type { Server } from '../scenario.ts';

/** Of the file in this folder or `../peers/`. */
export function programAt(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

/**
 * Starts a program whose first line on stdout is `{"port": n}`.
 *
 * @param env beside PATH; nothing else of this process's own is passed on
 * @throws Error if it ends without one
 */
export async function startServer(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Server> {
  const child = spawnProcess(command, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stdout = child.stdout as NodeJS.ReadableStream;
  const lines = createInterface({ input: stdout });
  const port = await new Promise<number>((resolve, reject) => {
    lines.once('line', (line) => resolve(JSON.parse(line).port));
    child.once('error', reject).once('exit', () => reject(new Error(`${command} ${args.join(' ')} did not start`)));
  });
  lines.close();
  stdout.resume();
  return { port, pids: () => withChildren(child.pid as number) };
}

/** A program for Node. */
export function startNode(path: string, env?: NodeJS.ProcessEnv, args: readonly string[] = []): Promise<Server> {
  return startServer(process.execPath, [programAt(path), ...args], env);
}

/** Ends it without warning. @returns once its port is free */
export async function killServer(server: Server): Promise<void> {
  const pids = await server.pids();
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await eventually(() => {
    if (pids.some(isAlive)) throw new Error('the server did not end');
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
