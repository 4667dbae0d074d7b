import { spawn } from 'node:child_process';

/** The clone's root folder. */
export const root = new URL('..', import.meta.url);

/**
 * Runs a command in the root folder to its end. If it fails, this process ends with its exit code.
 *
 * Its output goes to stderr, because stdout belongs to the caller (`npm pack --json` runs `prepare`).
 */
export async function run(command, args, options = {}) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  // A signal that stops this process is meant for the command too, but one sent to npm reaches only npm's own child.
  const pass = (signal) => child.kill(signal);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('exit', resolve));
  process.off('SIGINT', pass).off('SIGTERM', pass);
  if (code !== 0) process.exit(code ?? 1);
}
