/**
 * The cost of public node:net by itself: the plainest program, without a check or a limit. It is no bound, since fewer
 * calls or better reads can beat it, but it shows roughly how near a target can be.
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
