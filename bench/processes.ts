/** The processes that a measurement starts: none is left after it, however it ended. */
import { type ChildProcess, fork, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

const running = new Set<ChildProcess>();
const cleanUps: (() => Promise<unknown>)[] = [];

export function spawnProcess(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return remember(spawn(command, args, options));
}

/** A TypeScript program of the bench, controlled by messages. */
export function forkProcess(program: string): ChildProcess {
  return remember(fork(program, { execArgv: ['--import', 'tsx'], serialization: 'json' }));
}

/** Adds an action for the end of the measurement, such as removing a folder. */
export function afterwards(cleanUp: () => Promise<unknown>): void {
  cleanUps.push(cleanUp);
}

/** Ends all of them. What they hold need not be kept, so they are not asked. */
export async function stopProcesses(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }),
  );
  await Promise.all(cleanUps.splice(0).map((cleanUp) => cleanUp()));
}

/** It ends with the measurement, or with this process. */
export function remember(child: ChildProcess): ChildProcess {
  running.add(child);
  const forget = () => running.delete(child);
  child.once('exit', forget).once('error', forget);
  return child;
}

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
