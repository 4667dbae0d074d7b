/**
 * What public node:net costs by itself: the plainest program, without a check or a limit. It is no bound, for fewer
 * calls or better reads are above it, but it tells about how much of a target there is to be won.
 */
import type { Subject } from '../scenario.ts';

/** Its programs are in `peers/net-*.mjs`. */
export const YARDSTICK: Subject = {
  name: 'node:net (no checks)',
  version: async () => process.version,
};

/** The yardstick for relays: Node's own pipe. */
export const PIPE = { ...YARDSTICK, name: 'socket.pipe (no checks)' };

export const YARDSTICKS: readonly string[] = [YARDSTICK.name, PIPE.name];
