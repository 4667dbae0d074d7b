/**
 * What a daemon has read from its connections and not yet given to the kernel again: it is asked by a signal, and tells by
 * a module loaded before it.
 */
import { once } from 'node:events';
import type { Daemon } from '../support/daemon.ts';

const MODULE = `process.on('SIGUSR2', () => {
  let bytes = 0;
  for (const { writableLength = 0, readableLength = 0 } of process._getActiveHandles()) {
    bytes += writableLength + readableLength;
  }
  process.stderr.write('waiting ' + bytes + ' bytes\\n');
});`;

/** The environment of a daemon that can be asked. */
export const ASKABLE = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(MODULE)}` };

export async function waitingBytes(daemon: Daemon): Promise<number> {
  const answers = () => [...daemon.stderr.matchAll(/waiting (\d+) bytes\n/g)];
  const before = answers().length;
  daemon.process.kill('SIGUSR2');
  while (answers().length === before) await once(daemon.process.stderr as NodeJS.ReadableStream, 'data');
  return Number(answers().at(-1)?.[1]);
}
