/**
 * SIGTERM, SIGINT and, on a terminal, SIGHUP end the daemon.
 *
 *   first signal ─▶ clients are told and drained ─▶ the log is written ─▶ exit 0
 *   second signal, or END_MS after the first ─────────────────────────▶ exit 0, at once
 */
import type { Hypivisor } from '../server.ts';
import { exit, TERMINALS } from './exit.ts';
import type { Log } from './log.ts';

/** How long the log may take to be written at the end. */
export const FLUSH_MS = 250;

/** The end comes within three seconds, whatever hangs. This is later than the drain and the flush, and leaves time to exit. */
const END_MS = 2_800;

/** Ctrl-C on a terminal reaches both npm and the daemon, and npm passes its own on: the same signal, twice. */
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
  // Closing a terminal ends the programs on it. Without a terminal, SIGHUP is a supervisor's "reload", or `nohup` is meant
  // to keep it away.
  process.on(
    'SIGHUP',
    TERMINALS.length > 0 ? end : () => log.info('SIGHUP changes nothing: there is nothing to load again'),
  );
  return () => endingSince !== null;
}
