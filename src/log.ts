/**
 * One line per event: for people on a terminal, JSON otherwise and in the log file that all parts of Hyper-Pi share.
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

export interface Log {
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  /** @param boundary which part of the daemon the error was caught at */
  error(msg: string, boundary: string, fields?: LogFields): void;
  /** Waits until what was logged is written, but no longer than that. */
  flush(timeoutMs: number): Promise<void>;
}

/** Takes finished lines, without their line end. */
export interface LineSink {
  write(line: string): void;
  flush(): Promise<void>;
}

type Format = (entry: LogFields) => string;

const COMPONENT = 'hypivisor';
const MAX_VALUE_LENGTH = 200;
/** C0, DEL, C1, and what some readers of JSON take for a line end. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** One line for a machine. */
export function formatJson(entry: LogFields): string {
  return JSON.stringify(entry);
}

/** One line for a person: `12:34:56 warn  message  key=value`. */
export function formatText(entry: LogFields): string {
  const { ts, level, component: _component, msg, ...fields } = entry;
  const details = Object.entries(fields).map(([name, value]) => `  ${name}=${value}`);
  return `${String(ts).slice(11, 19)} ${String(level).padEnd(5)} ${msg}${details.join('')}`;
}

/** @param outputs each with the format it takes */
export function createLog(outputs: readonly { sink: LineSink; format: Format }[], now = () => new Date()): Log {
  function log(level: LogLevel, msg: string, fields: LogFields): void {
    const entry: Record<string, string | number | boolean> = {
      ts: now().toISOString(),
      level,
      component: COMPONENT,
      msg: harmless(msg),
    };
    for (const [name, value] of Object.entries(fields)) {
      entry[name] = typeof value === 'string' ? harmless(value) : value;
    }
    for (const { sink, format } of outputs) sink.write(format(entry));
  }
  return {
    info: (msg, fields = {}) => log(LogLevel.INFO, msg, fields),
    warn: (msg, fields = {}) => log(LogLevel.WARN, msg, fields),
    error: (msg, boundary, fields = {}) => log(LogLevel.ERROR, msg, { ...fields, needsHardening: true, boundary }),
    async flush(timeoutMs) {
      const flushed = Promise.all(outputs.map(({ sink }) => sink.flush()));
      await Promise.race([flushed, new Promise((resolve) => setTimeout(resolve, timeoutMs).unref())]);
    },
  };
}

function harmless(text: string): string {
  const escaped = text.replace(UNPRINTABLE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return escaped.length > MAX_VALUE_LENGTH ? `${escaped.slice(0, MAX_VALUE_LENGTH)}…` : escaped;
}

/** What may wait, in characters, while a disk or a terminal is slow. */
const MAX_QUEUED_LENGTH = 1024 * 1024;

/** Writes lines in batches, one batch at a time. Where a batch fails its lines are lost, and counted. */
class QueuedSink implements LineSink {
  readonly #writeBatch: (text: string) => Promise<void>;
  #queue: string[] = [];
  #queuedLength = 0;
  #dropped = 0;
  #writing: Promise<void> | null = null;

  constructor(writeBatch: (text: string) => Promise<void>) {
    this.#writeBatch = writeBatch;
  }

  write(line: string): void {
    if (this.#queuedLength + line.length > MAX_QUEUED_LENGTH) {
      this.#dropped++;
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
      this.#queue = [];
      this.#queuedLength = 0;
      if (this.#dropped > 0) {
        lines.push(
          `${JSON.stringify({ component: COMPONENT, level: LogLevel.WARN, msg: `${this.#dropped} lines lost` })}`,
        );
        this.#dropped = 0;
      }
      try {
        await this.#writeBatch(`${lines.join('\n')}\n`);
      } catch {
        this.#dropped += lines.length;
      }
    }
    this.#writing = null;
  }
}

/**
 * A descriptor such as stderr, through Node's thread pool: `process.stderr` would block the daemon while nobody reads
 * the pipe it may be.
 */
export function descriptorSink(descriptor: number): LineSink {
  return new QueuedSink(async (text) => {
    for (let bytes = Buffer.from(text); bytes.length > 0; ) {
      const written = await new Promise<number>((resolve, reject) => {
        fs.write(descriptor, bytes, (error, count) => (error ? reject(error) : resolve(count)));
      });
      bytes = bytes.subarray(written);
    }
  });
}

/**
 * A file that others append to as well. It is opened for each batch, so that whoever renames it loses nothing; past
 * `maxBytes` it is renamed to `.1` of the same name, whose former content is dropped.
 */
export function fileSink(file: string, maxBytes: number): LineSink {
  return new QueuedSink(async (text) => {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    const handle = await open(file, 'a', 0o600);
    let full: boolean;
    try {
      await handle.appendFile(text);
      full = (await handle.stat()).size > maxBytes;
    } finally {
      await handle.close();
    }
    if (full) await rename(file, `${file}.1`);
  });
}
