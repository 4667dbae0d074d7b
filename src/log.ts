/**
 * One line per event: for people on a terminal, JSON otherwise and in the log file that all parts of Hyper-Pi share.
 *
 *   info(), warn(), error() ─▶ entry ─┬▶ LineSink: formatted, queued ─▶ stderr
 *                                     └▶ LineSink: formatted, queued ─▶ file
 *
 * Logging never blocks and never grows without bound: lines wait in a queue of limited length, one write at a time is
 * under way, and what does not fit is dropped and counted. Nothing that came from a peer can forge a line or reach a
 * terminal as a control sequence.
 */
import fs from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';

export const LogLevel = { INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** What one line says. */
export interface LogEntry extends LogFields {
  /** RFC 3339, in UTC. */
  readonly ts: string;
  readonly level: LogLevel;
  readonly component: string;
  readonly msg: string;
}

export interface Log {
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  /** @param boundary which part of the daemon the error was caught at */
  error(msg: string, boundary: string, fields?: LogFields): void;
  /** Waits until what was logged is written, but no longer than that. */
  flush(timeoutMs: number): Promise<void>;
}

export interface LogSink {
  write(entry: LogEntry): void;
  /** Resolves once all is written, or lost. */
  flush(): Promise<void>;
}

/** One line, without its end. */
export type LogFormat = (entry: LogEntry) => string;

const COMPONENT = 'hypivisor';
const MAX_VALUE_LENGTH = 200;
/** C0, DEL, C1; what some readers take for a line end; and what turns the direction of writing. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** One line for a machine. */
export function formatJson(entry: LogEntry): string {
  return JSON.stringify(entry);
}

/** One line for a person: `12:34:56 warn  message  key=value`, in UTC. */
export function formatText({ ts, level, component: _, msg, ...fields }: LogEntry): string {
  const details = Object.entries(fields).map(([name, value]) => `  ${name}=${quoted(value)}`);
  return `${ts.slice(11, 19)} ${level.padEnd(5)} ${msg}${details.join('')}`;
}

/** In quotes where it could be taken for more than one value. */
function quoted(value: string | number | boolean): string {
  return /^[^\s"=]+$/.test(String(value)) ? String(value) : JSON.stringify(value);
}

/** Lines of one kind in a second. What is more, a flood of refused requests say, is counted and not written. */
const MAX_LINES_PER_SECOND = 100;

/** One kind of line in the second that is now. */
interface Throttle {
  second: number;
  lines: number;
  /** Not written since the last one that was. */
  suppressed: number;
}

export function createLog(sinks: readonly LogSink[], now = () => performance.now()): Log {
  const throttles = new Map<string, Throttle>();

  function write(level: LogLevel, msg: string, fields: LogFields): void {
    const entry = createEntry(level, msg, fields);
    for (const sink of sinks) sink.write(entry);
  }

  /** @param kind a constant of the code, never a peer's text */
  function log(kind: string, level: LogLevel, msg: string, fields: LogFields): void {
    const second = Math.floor(now() / 1000);
    let throttle = throttles.get(kind);
    if (throttle === undefined) {
      throttle = { second, lines: 0, suppressed: 0 };
      throttles.set(kind, throttle);
    }
    if (throttle.second !== second) {
      throttle.second = second;
      throttle.lines = 0;
    }
    if (throttle.lines === MAX_LINES_PER_SECOND) {
      throttle.suppressed++;
      return;
    }
    throttle.lines++;
    const { suppressed } = throttle;
    throttle.suppressed = 0;
    write(level, msg, suppressed > 0 ? { ...fields, suppressed } : fields);
  }

  return {
    info: (msg, fields = {}) => log(msg, LogLevel.INFO, msg, fields),
    warn: (msg, fields = {}) => log(msg, LogLevel.WARN, msg, fields),
    error: (msg, boundary, fields = {}) => {
      log(boundary, LogLevel.ERROR, msg, { ...fields, needsHardening: true, boundary });
    },
    async flush(timeoutMs) {
      for (const [kind, throttle] of throttles) {
        if (throttle.suppressed > 0)
          write(LogLevel.WARN, 'lines suppressed', { kind, suppressed: throttle.suppressed });
        throttle.suppressed = 0;
      }
      // The timer keeps the process alive: a write that is only tried again later does not.
      let timer: NodeJS.Timeout | undefined;
      const timedOut = new Promise((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([timedOut, Promise.all(sinks.map((sink) => sink.flush()))]);
      clearTimeout(timer);
    },
  };
}

function createEntry(level: LogLevel, msg: string, fields: LogFields): LogEntry {
  const harmlessFields = Object.entries(fields).map(([name, value]) => {
    return [name, typeof value === 'string' ? harmless(value) : value];
  });
  const ts = new Date().toISOString();
  return { ts, level, component: COMPONENT, msg: harmless(msg), ...Object.fromEntries(harmlessFields) };
}

function harmless(text: string): string {
  // Escapes only make it longer: what is past the bound before them is past it after them.
  const escaped = text.slice(0, MAX_VALUE_LENGTH + 1).replace(UNPRINTABLE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return escaped.length > MAX_VALUE_LENGTH ? `${escaped.slice(0, MAX_VALUE_LENGTH - 1)}…` : escaped;
}

/** What may wait, in characters, while a disk or a terminal is slow. */
const MAX_QUEUED_LENGTH = 1024 * 1024;

/** Writes lines in batches, one batch at a time. Where a batch fails its lines are lost, and counted. */
class QueuedSink implements LogSink {
  readonly #format: LogFormat;
  readonly #writeBatch: (text: string) => Promise<void>;
  #queue: string[] = [];
  #queuedLength = 0;
  #lost = 0;
  #writing: Promise<void> | null = null;

  constructor(format: LogFormat, writeBatch: (text: string) => Promise<void>) {
    this.#format = format;
    this.#writeBatch = writeBatch;
  }

  write(entry: LogEntry): void {
    const line = this.#format(entry);
    if (this.#queuedLength + line.length > MAX_QUEUED_LENGTH) {
      this.#lost++;
      return;
    }
    this.#queue.push(line);
    this.#queuedLength += line.length;
    this.#writing ??= this.#drain();
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    // What is logged in the same turn of the event loop goes out together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const lines = this.#queue;
      const lost = this.#lost;
      this.#queue = [];
      this.#queuedLength = 0;
      this.#lost = 0;
      // Lines are lost behind those that filled the queue, or with a batch before these: it is told at the end.
      const report = lost > 0 ? [this.#format(createEntry(LogLevel.WARN, `${lost} log lines lost`, {}))] : [];
      try {
        await this.#writeBatch(`${[...lines, ...report].join('\n')}\n`);
      } catch {
        this.#lost += lost + lines.length;
      }
    }
    this.#writing = null;
  }
}

/** How long to wait before a descriptor that takes nothing at the moment is tried again. */
const RETRY_MS = 50;

/**
 * A descriptor such as stderr, through Node's thread pool: `process.stderr` would block the daemon while nobody reads
 * the pipe it may be.
 */
export function descriptorSink(descriptor: number, format: LogFormat): LogSink {
  return new QueuedSink(format, async (text) => {
    for (let bytes = Buffer.from(text); bytes.length > 0; ) bytes = bytes.subarray(await write(descriptor, bytes));
  });
}

/** @returns how many bytes were taken */
function write(descriptor: number, bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(descriptor, bytes, (error, count) => {
      if (error === null) resolve(count);
      // A full pipe or a stopped terminal, where Node has made it non-blocking.
      else if (error.code === 'EAGAIN') setTimeout(resolve, RETRY_MS, 0).unref();
      else reject(error);
    });
  });
}

/**
 * A file that others append to as well. It is opened for each batch, so that whoever renames it loses nothing; past
 * `maxBytes` it is renamed to `.1` of the same name, whose former content is dropped.
 */
export function fileSink(file: string, format: LogFormat, maxBytes: number): LogSink {
  return new QueuedSink(format, async (text) => {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    const handle = await open(file, 'a', 0o600);
    let full: boolean;
    try {
      await handle.appendFile(text);
      full = (await handle.stat()).size > maxBytes;
    } finally {
      await handle.close();
    }
    // Another that appends here may have been quicker, and the lines are written either way.
    if (full) await rename(file, `${file}.1`).catch(() => {});
  });
}
