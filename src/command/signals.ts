/**
 * SIGTERM, SIGINT and, on a terminal, SIGHUP end the daemon.
 *
 *   first signal ─▶ all connections are closed ─▶ the log is written ─▶ exit 0
 *   second signal, or END_MS after the first ────────────────────────▶ exit 0, at once
 */
import type { Hypivisor } from '../server.ts';
import { exit, TERMINALS } from './exit.ts';
import type { Log } from './log.ts';

/** How long the log may take to be written at the end. */
export const FLUSH_MS = 250;

/**
 * The daemon must end within three seconds, even if something hangs. This leaves time for the drain, the flush and the
 * exit.
 */
const END_MS = 2_800;

/** Ctrl-C in a terminal reaches npm and the daemon, and npm passes its own signal on, so the daemon gets it twice. */
const SAME_SIGNAL_MS = 50;

/** @returns whether a signal has begun the end */
export function endOnSignals(hypivisor: Hypivisor, log: Log): () => boolean {
  let endingSince: number | null = null;
  const end = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (endingSince !== null) {
      if (now - endingSince > SAME_SIGNAL_MS) exit(0);
      return;
    }
    endingSince = now;
    log.info('Hypivisor is shutting down', { signal });
    setTimeout(() => exit(0), END_MS);
    void hypivisor
      .close()
      .catch((error: Error) => log.fault(error.message, 'close'))
      .then(() => log.flush(FLUSH_MS))
      .then(() => exit(0));
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  // Closing a terminal ends its programs. Without a terminal, SIGHUP is a supervisor's "reload", or `nohup` keeps it
  // away.
  process.on(
    'SIGHUP',
    TERMINALS.length > 0 ? end : () => log.info('SIGHUP changes nothing: there is nothing to load again'),
  );
  return () => endingSince !== null;
}
