/**
 * What public node:net can do at all: the plainest program, without a check or a limit. No server on Node that does its
 * work is above it for long, so it tells how much of a target is ours to reach.
 */
import type { Subject } from '../scenario.ts';

/** Its programs are in `peers/net-*.mjs`. */
export const FLOOR: Subject = {
  name: 'node:net (no checks)',
  version: async () => process.version,
};

/** Of relays: what Node has for it. */
export const PIPE = { ...FLOOR, name: 'socket.pipe (no checks)' };

export const FLOORS: readonly string[] = [FLOOR.name, PIPE.name];
