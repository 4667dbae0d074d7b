/**
 * The state that outlives a session within one process. pi evaluates an extension again on `/reload`, and older pis do
 * so for every session. Two copies, such as a global and a project's installation, share this state too: one serves,
 * and the other says so.
 */
import { randomBytes } from 'node:crypto';
import type { PiSession, ProcessState } from './session.ts';

/** One evaluation of the extension. */
export interface Copy {
  readonly path: string;
  readonly version: string;
}

/** A served session, with the copy that serves it. */
export interface Serving {
  /** The path of the copy. */
  readonly path: string;
  readonly session: PiSession;
}

export interface Shared extends ProcessState {
  copies: Copy[];
  /** The served session; null if none is. */
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

/** The copy that serves: the newest version, and the first of two equal ones. */
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
