/**
 * What the page knows of the daemon, and when it says so. Pure.
 *
 * The roster greys at once when the daemon is gone. The banner comes 4 s after the first drop, however many tries fail in
 * between, and goes once the roster is back.
 */

export const BANNER_DELAY_MS = 4000;

/** Why the page cannot use the daemon. */
export type Obstacle =
  /** It does not answer. */
  | 'silent'
  /** It wants a token, or another one. */
  | 'token'
  /** It answers, but opens no WebSocket to this page. */
  | 'refused';

export interface Daemon {
  /** Whether the roster is up to date. */
  live: boolean;
  /** Since when it is not, in milliseconds; null while it is. */
  downSince: number | null;
  obstacle: Obstacle | null;
  /** Whether it was ever live. */
  met: boolean;
  /** The features that it has of ours. */
  features: readonly string[];
}

export const UNKNOWN_DAEMON: Daemon = { live: false, downSince: null, obstacle: null, met: false, features: [] };

export type DaemonEvent =
  | { kind: 'roster' }
  | { kind: 'lost' }
  | { kind: 'obstacle'; obstacle: Obstacle }
  | { kind: 'features'; features: readonly string[] };

export function daemonAfter(daemon: Daemon, event: DaemonEvent, now: number): Daemon {
  switch (event.kind) {
    case 'roster':
      return daemon.live ? daemon : { ...daemon, live: true, downSince: null, obstacle: null, met: true };
    case 'lost':
      return { ...daemon, live: false, downSince: daemon.downSince ?? now, features: [] };
    case 'obstacle':
      return daemon.live ? daemon : { ...daemon, obstacle: event.obstacle, downSince: daemon.downSince ?? now };
    case 'features':
      return { ...daemon, features: event.features };
  }
}

/** How long until the banner is due: 0 if it is, null if there is nothing to say. */
export function bannerIn({ live, downSince }: Daemon, now: number): number | null {
  if (live || downSince === null) return null;
  return Math.max(downSince + BANNER_DELAY_MS - now, 0);
}
