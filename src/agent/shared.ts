/**
 * What outlives a session within one process: pi evaluates an extension anew on `/reload`, and on older ones for every
 * session. And it is where two copies, of a global and a project's installation say, meet: one serves, the other says so.
 */
import { randomBytes } from 'node:crypto';
import type { PiSession } from './session.ts';

/** One evaluation of the extension. */
export interface Copy {
  readonly path: string;
  readonly version: string;
}

/** What the next session of this process begins with. */
export interface Inheritance {
  readonly nodeId: string;
  /** The port to try first. */
  readonly port: number | null;
}

/** A session that is served, by whichever copy. */
export interface Serving {
  /** The path of the copy. */
  readonly path: string;
  readonly session: PiSession;
}

export interface Shared {
  copies: Copy[];
  inheritance: Inheritance | null;
  /** What the daemon presents when it dials any session of this process. */
  readonly dialKey: string;
  /** What started this process, if it was a daemon. */
  spawnId: string | null;
  /** The session that is served; null if none is. */
  serving: Serving | null;
}

const KEY = Symbol.for('hypivisor.pi-socket');

export function shared(): Shared {
  const world = globalThis as { [KEY]?: Shared };
  world[KEY] ??= {
    copies: [],
    inheritance: null,
    dialKey: randomBytes(24).toString('base64url'),
    spawnId: null,
    serving: null,
  };
  return world[KEY];
}

export function newNodeId(): string {
  return randomBytes(12).toString('base64url');
}

/** The one that serves: the newest version, and of two the one that came first. */
export function chosen(copies: readonly Copy[]): Copy | null {
  let best: Copy | null = null;
  for (const copy of copies) if (best === null || isNewer(copy.version, best.version)) best = copy;
  return best;
}

function isNewer(version: string, other: string): boolean {
  const [numbers, others] = [version, other].map((text) => text.split(/[.-]/, 3).map(Number)) as [number[], number[]];
  for (const [i, number] of numbers.entries()) {
    const difference = number - (others[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
