/**
 * The log that the extension and the daemon share: `~/.pi/logs/hyper-pi.jsonl`, one JSON object per line. It never
 * prints, throws or waits: a full or slow disk costs only lines of the log.
 */
import { appendFile, mkdir } from 'node:fs/promises';
import path from 'node:path';

/** The most lines that may wait for the disk. */
const MAX_WAITING = 200;
/** The longest value in the log. Longer values are cut. */
const MAX_VALUE_CHARS = 500;

export type Level = 'info' | 'warn' | 'error';

export class AgentLog {
  readonly #file: string;
  readonly #now: () => Date;
  #waiting: string[] = [];
  #isWriting = false;

  constructor(file: string, now: () => Date = () => new Date()) {
    this.#file = file;
    this.#now = now;
  }

  info(msg: string, fields: Record<string, unknown> = {}): void {
    this.#write('info', msg, fields);
  }

  warn(msg: string, fields: Record<string, unknown> = {}): void {
    this.#write('warn', msg, fields);
  }

  /** Logs a fault of the extension's own. @param boundary the name of the boundary that caught it */
  fault(error: unknown, boundary: string): void {
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    this.#write('error', message, { needsHardening: true, boundary, stack: stack?.split('\n').slice(1, 5).join(' ') });
  }

  #write(level: Level, msg: string, fields: Record<string, unknown>): void {
    if (this.#waiting.length >= MAX_WAITING) return;
    const line = { ts: this.#now().toISOString(), level, component: 'pi-socket', msg: shown(msg) };
    const shownFields = Object.entries(fields).map(([name, value]) => [name, shown(value)]);
    this.#waiting.push(`${JSON.stringify({ ...line, ...Object.fromEntries(shownFields), pid: process.pid })}\n`);
    if (!this.#isWriting) void this.#flush();
  }

  async #flush(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const lines = this.#waiting.splice(0).join('');
      try {
        await mkdir(path.dirname(this.#file), { recursive: true });
        await appendFile(this.#file, lines);
      } catch {
        // The lines are lost, and there is no place to say so.
      }
    }
    this.#isWriting = false;
  }
}

function shown(value: unknown): unknown {
  return typeof value === 'string' ? value.slice(0, MAX_VALUE_CHARS) : value;
}
