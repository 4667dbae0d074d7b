import { spawn } from 'node:child_process';

/** The clone's root folder. */
export const root = new URL('..', import.meta.url);

/**
 * Runs a command in the root folder to its end; where it fails, so does this process.
 *
 * What it prints goes to stderr, so that stdout stays the caller's own (`npm pack --json` runs `prepare`).
 */
export async function run(command, args, options = {}) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  // Whoever stops this process means the command too: a signal sent to npm alone reaches only its own child.
  const pass = (signal) => child.kill(signal);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('exit', resolve));
  process.off('SIGINT', pass).off('SIGTERM', pass);
  if (code !== 0) process.exit(code ?? 1);
}
