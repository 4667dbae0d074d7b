/**
 * What a daemon holds on to, as opposed to what it has not yet given back: its heap and its Buffers after a full garbage
 * collection, which it is made to do by a module loaded before it.
 */
import { once } from 'node:events';
import type { Daemon } from '../../test/support/daemon.ts';

const MODULE = `
import v8 from 'node:v8';
import vm from 'node:vm';
v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');
process.on('SIGUSR2', () => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  process.stderr.write('held ' + (heapUsed + external) + ' bytes\\n');
});`;

/** The environment of a daemon that can be asked. */
export const ASKABLE = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(MODULE)}` };

export async function heldBytes(daemon: Daemon): Promise<number> {
  const answers = () => [...daemon.stderr.matchAll(/held (\d+) bytes\n/g)];
  const before = answers().length;
  daemon.process.kill('SIGUSR2');
  while (answers().length === before) await once(daemon.process.stderr as NodeJS.ReadableStream, 'data');
  return Number(answers().at(-1)?.[1]);
}
