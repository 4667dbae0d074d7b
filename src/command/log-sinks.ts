/**
 * The two destinations of log lines: a descriptor such as stderr, and a file.
 *
 * Neither blocks the daemon, and neither grows without bound. Lines wait in a queue of limited length. Batches are
 * written one at a time, in a thread of Node's pool. Lines that do not fit are dropped and counted. A sink that cannot
 * write reports that once, and again only if it fails after it has written.
 */
import fs from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { createEntry, type LogEntry, type LogFormat, LogLevel, type LogSink } from './log.ts';

/** The longest queue for a slow disk or terminal, in characters. */
const MAX_QUEUED_LENGTH = 1024 * 1024;

/** The shortest time between two batches. A batch costs four turns of Node's pool, as much as serving a relay. */
const BATCH_EVERY_MS = 100;

/** The pause before the next try if a descriptor takes nothing at the moment. */
const RETRY_MS = 50;

const LINE_END = 0x0a;

/** Called with one sentence if lines are being lost, or a file cannot be rotated. */
export type OnTrouble = (sentence: string) => void;

/** The result of a batch: the number of bytes that were written, and the error that stopped it. */
interface Outcome {
  readonly taken: number;
  readonly error: Error | null;
}

class QueuedSink implements LogSink {
  readonly #name: string;
  readonly #format: LogFormat;
  readonly #writeBatch: (batch: Buffer) => Promise<Outcome>;
  readonly #onTrouble: OnTrouble;
  #queue: string[] = [];
  #queuedLength = 0;
  #lostLines = 0;
  #isFailing = false;
  #writing: Promise<void> | null = null;
  #nextBatchAt = 0;
  #isFlushing = false;
  /** Ends the wait for the next batch. */
  #hurry = () => {};

  constructor(name: string, format: LogFormat, writeBatch: (batch: Buffer) => Promise<Outcome>, onTrouble: OnTrouble) {
    this.#name = name;
    this.#format = format;
    this.#writeBatch = writeBatch;
    this.#onTrouble = onTrouble;
  }

  write(entry: LogEntry): void {
    const line = this.#format(entry);
    if (this.#queuedLength + line.length > MAX_QUEUED_LENGTH) {
      this.#lostLines++;
      return;
    }
    this.#queue.push(line);
    this.#queuedLength += line.length;
    this.#writing ??= this.#drain();
  }

  async flush(): Promise<void> {
    this.#isFlushing = true;
    this.#hurry();
    await this.#writing;
    this.#isFlushing = false;
  }

  async #drain(): Promise<void> {
    // Lines of the same turn of the event loop leave together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      await this.#untilNextBatch();
      const lines = this.#queue;
      const lost = this.#lostLines;
      this.#queue = [];
      this.#queuedLength = 0;
      this.#lostLines = 0;
      // The lost lines came after those that filled the queue, or in an earlier batch, so the report is at the end.
      const report = lost > 0 ? [this.#format(createEntry(LogLevel.WARN, `${lost} log lines lost`, {}))] : [];
      const batch = Buffer.from(`${[...lines, ...report].join('\n')}\n`);
      const { taken, error } = await this.#writeBatch(batch);
      if (taken < batch.length)
        this.#lostLines += lost + lines.length - Math.min(lines.length, countLines(batch, taken));
      this.#tell(error);
    }
    this.#writing = null;
  }

  /** Waits until the next batch is due. The first line after a pause does not wait. */
  async #untilNextBatch(): Promise<void> {
    const waitMs = this.#nextBatchAt - performance.now();
    if (waitMs > 0 && !this.#isFlushing) {
      await new Promise<void>((resolve) => {
        this.#hurry = resolve;
        setTimeout(resolve, waitMs);
      });
    }
    this.#nextBatchAt = performance.now() + BATCH_EVERY_MS;
  }

  #tell(error: Error | null): void {
    const isNew = error !== null && !this.#isFailing;
    this.#isFailing = error !== null;
    if (isNew) this.#onTrouble(`${this.#name} cannot be written, and lines are lost until it can: ${error.message}`);
  }
}

/** The number of complete lines in the first `length` bytes. */
function countLines(batch: Buffer, length: number): number {
  let count = 0;
  for (let at = batch.indexOf(LINE_END); at !== -1 && at < length; at = batch.indexOf(LINE_END, at + 1)) count++;
  return count;
}

/**
 * Makes a sink for a descriptor such as stderr. It writes in Node's thread pool, because `process.stderr` would block
 * the daemon while no program reads its pipe.
 *
 * @param name the name for people, the subject of a sentence
 */
export function descriptorSink(name: string, descriptor: number, format: LogFormat, onTrouble: OnTrouble): LogSink {
  /** True if the last written byte does not end a line. */
  let isMidLine = false;
  const writeBatch = async (batch: Buffer): Promise<Outcome> => {
    if (isMidLine) {
      const { error } = await writeAll(descriptor, Buffer.of(LINE_END));
      if (error !== null) return { taken: 0, error };
      isMidLine = false;
    }
    const outcome = await writeAll(descriptor, batch);
    isMidLine = outcome.taken > 0 && batch[outcome.taken - 1] !== LINE_END;
    return outcome;
  };
  return new QueuedSink(name, format, writeBatch, onTrouble);
}

async function writeAll(descriptor: number, bytes: Buffer): Promise<Outcome> {
  let taken = 0;
  try {
    while (taken < bytes.length) taken += await write(descriptor, bytes.subarray(taken));
    return { taken, error: null };
  } catch (error) {
    return { taken, error: error as Error };
  }
}

/** @returns the number of written bytes */
function write(descriptor: number, bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(descriptor, bytes, (error, count) => {
      if (error === null) resolve(count);
      // The pipe is full, or the terminal is stopped and does not block.
      else if (error.code === 'EAGAIN') setTimeout(resolve, RETRY_MS, 0).unref();
      else reject(error);
    });
  });
}

/**
 * With `O_NONBLOCK`, opening a FIFO without a reader fails at once instead of waiting, and a full pipe takes nothing
 * instead of blocking a thread. With `O_NOCTTY`, a terminal does not become the daemon's controlling terminal.
 */
const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK = 0, O_NOCTTY = 0 } = fs.constants;
const APPEND = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;

/**
 * Makes a sink for a file that other programs append to as well.
 *
 * A plain file is opened for each batch, so that no line is lost if another program renames it. Past `maxBytes` it is
 * renamed to the same name with `.1`, and the former `.1` is dropped. A FIFO or a device stays open and is never
 * renamed. The target of a link is not renamed either.
 */
export function fileSink(file: string, format: LogFormat, maxBytes: number, onTrouble: OnTrouble): LogSink {
  const target = new AppendedFile(file, maxBytes, onTrouble);
  return new QueuedSink(`The log file ${file}`, format, (batch) => target.append(batch), onTrouble);
}

class AppendedFile {
  readonly #file: string;
  readonly #maxBytes: number;
  readonly #onTrouble: OnTrouble;
  /** An open FIFO or device; null for a plain file. */
  #kept: FileHandle | null = null;
  /** True if the file may end in the middle of a line, because of a full disk or a killed process. */
  #mayBeMidLine = true;
  #cannotRotate = false;

  constructor(file: string, maxBytes: number, onTrouble: OnTrouble) {
    this.#file = file;
    this.#maxBytes = maxBytes;
    this.#onTrouble = onTrouble;
  }

  async append(batch: Buffer): Promise<Outcome> {
    let handle: FileHandle | null = null;
    try {
      handle = this.#kept ?? (await this.#open());
      const before = await handle.stat();
      const isPlain = before.isFile();
      const outcome = await this.#write(handle.fd, batch, isPlain);
      this.#kept = isPlain || outcome.error !== null ? null : handle;
      if (isPlain && before.size + outcome.taken > this.#maxBytes) await this.#rotate();
      return outcome;
    } catch (error) {
      return { taken: 0, error: error as Error };
    } finally {
      if (this.#kept === null) await handle?.close().catch(() => {});
    }
  }

  async #open(): Promise<FileHandle> {
    try {
      return await open(this.#file, APPEND, 0o600);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENXIO' && (await stat(this.#file)).isFIFO()) throw new Error('no program reads this pipe');
      if (code !== 'ENOENT') throw error;
    }
    await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    return open(this.#file, APPEND, 0o600);
  }

  async #write(descriptor: number, batch: Buffer, isPlain: boolean): Promise<Outcome> {
    if (this.#mayBeMidLine && isPlain && (await endsMidLine(this.#file))) {
      const { error } = await writeAll(descriptor, Buffer.of(LINE_END));
      if (error !== null) return { taken: 0, error };
    }
    const outcome = await writeAll(descriptor, batch);
    this.#mayBeMidLine = outcome.error !== null;
    return outcome;
  }

  async #rotate(): Promise<void> {
    const former = `${this.#file}.1`;
    try {
      for (const name of [this.#file, former]) {
        if (!(await isPlainOrMissing(name))) throw new Error(`${name} is not a plain file`);
      }
      await rename(this.#file, former);
      this.#cannotRotate = false;
    } catch (error) {
      // Another program that appends here may have renamed the file first.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' || this.#cannotRotate) return;
      this.#cannotRotate = true;
      this.#onTrouble(`The log file ${this.#file} is too large and cannot be rotated: ${(error as Error).message}`);
    }
  }
}

async function isPlainOrMissing(file: string): Promise<boolean> {
  try {
    return (await lstat(file)).isFile();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Whether the file ends in the middle of a line. It is false for a file that this process may not read. */
async function endsMidLine(file: string): Promise<boolean> {
  const handle = await open(file, fs.constants.O_RDONLY | O_NONBLOCK).catch(() => null);
  if (handle === null) return false;
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    const { bytesRead } = await handle.read(last, 0, 1, Math.max(0, size - 1));
    return bytesRead === 1 && last[0] !== LINE_END;
  } finally {
    await handle.close();
  }
}
