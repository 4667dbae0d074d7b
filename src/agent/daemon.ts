/**
 * The daemon of this package. The first pi that finds none on this machine starts it, and only a person ends it.
 *
 * Only a refused connection means that no daemon is running; a slow answer proves nothing. If ten pis find no daemon at
 * the same time, the pi that creates the lock file starts one.
 */
import { spawn } from 'node:child_process';
import { mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_PORT } from '../protocol/registry.ts';
import { type Presence, probe } from '../transport/probe.ts';

const PROBE_TIMEOUT_MS = 2000;
const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 5000;
/** The pi that created a lock of this age ended without removing it. */
const STALE_LOCK_MS = 30_000;

export interface DaemonOptions {
  /** The folder of the lock and of the record of the started daemon. */
  readonly folder: string;
  /** The daemon's own file. */
  readonly program: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly port?: number;
}

interface Started {
  pid: number;
  program: string;
}

export class Daemon {
  readonly #options: Required<DaemonOptions>;

  constructor(options: DaemonOptions) {
    this.#options = { port: DEFAULT_PORT, ...options };
  }

  /** Whether a program listens on this machine's port of the daemon. */
  async presence(): Promise<Presence> {
    const answers = await Promise.all(
      ['127.0.0.1', '::1'].map((host) => probe(host, this.#options.port, PROBE_TIMEOUT_MS)),
    );
    if (answers.includes('there')) return 'there';
    return answers.includes('silent') ? 'silent' : 'absent';
  }

  /**
   * Starts the daemon, unless one is running or another pi is starting it.
   *
   * @returns a sentence that says why no daemon is running; null if one is
   */
  async start(): Promise<string | null> {
    try {
      return await this.#start();
    } catch (error) {
      // The home folder may not be writable, for example.
      return `hypivisor could not be started: ${(error as Error).message}`;
    }
  }

  async #start(): Promise<string | null> {
    if ((await this.presence()) !== 'absent') return null;
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const unlock = await this.#lock();
    if (unlock === null) return this.#awaitPresence(null);
    try {
      // Another pi may have been quicker.
      if ((await this.presence()) !== 'absent') return null;
      return await this.#awaitPresence(await this.#spawn());
    } finally {
      await unlock();
    }
  }

  /**
   * Ends the daemon that a pi has started.
   *
   * @returns a sentence about the result
   */
  async stop(): Promise<string> {
    const started = await this.#read();
    if ((await this.presence()) === 'absent') return 'There is no hypivisor on this machine';
    if (started === null || !(await isProgram(started))) {
      return 'This hypivisor was not started from pi: end it where it was started';
    }
    try {
      process.kill(started.pid, 'SIGTERM');
    } catch (error) {
      return `hypivisor cannot be ended: ${(error as Error).message}`;
    }
    for (let waitedMs = 0; waitedMs < STOP_TIMEOUT_MS; waitedMs += 100) {
      await sleep(100);
      if ((await this.presence()) === 'absent') return 'hypivisor has ended';
    }
    return 'hypivisor was told to end, and has not yet';
  }

  /** @returns a function that unlocks; null if another pi has the lock */
  async #lock(): Promise<(() => Promise<void>) | null> {
    const file = path.join(this.#options.folder, 'start.lock');
    for (let tries = 0; tries < 2; tries++) {
      try {
        const handle = await open(file, 'wx', 0o600);
        await handle.close();
        return () => rm(file, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Date.now() }));
        if (Date.now() - mtimeMs < STALE_LOCK_MS) return null;
        await rm(file, { force: true });
      }
    }
    return null;
  }

  async #spawn(): Promise<Ending> {
    const { program, environment } = this.#options;
    // The daemon logs to its own bounded file. A file for its output would need a bound too.
    const child = spawn(nodeProgram(), [program], {
      cwd: os.homedir(),
      detached: true,
      env: cleanEnvironment(environment),
      stdio: 'ignore',
      windowsHide: true,
    });
    const ending: Ending = { reason: null };
    child.on('error', (error) => {
      ending.reason = `hypivisor could not be started: ${error.message}`;
    });
    child.on('exit', (code, signal) => {
      ending.reason = `hypivisor ended at once (${signal ?? code}): see ~/.pi/logs/hyper-pi.jsonl`;
    });
    child.unref();
    if (child.pid !== undefined) {
      const started: Started = { pid: child.pid, program };
      await writeFile(this.#recordFile, JSON.stringify(started), { mode: 0o600 });
    }
    return ending;
  }

  async #awaitPresence(ending: Ending | null): Promise<string | null> {
    for (let waitedMs = 0; waitedMs < START_TIMEOUT_MS; waitedMs += 100) {
      if ((await this.presence()) === 'there') return null;
      if (ending !== null && ending.reason !== null) return ending.reason;
      await sleep(100);
    }
    return 'hypivisor does not answer yet';
  }

  get #recordFile(): string {
    return path.join(this.#options.folder, 'daemon.json');
  }

  async #read(): Promise<Started | null> {
    try {
      const { pid, program } = JSON.parse(await readFile(this.#recordFile, 'utf8')) as Partial<Started>;
      return Number.isInteger(pid) && typeof program === 'string' ? { pid: pid as number, program } : null;
    } catch {
      return null;
    }
  }
}

interface Ending {
  reason: string | null;
}

/** Whether the process still runs the program: the system reuses the ids of processes. */
async function isProgram({ pid, program }: Started): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').includes(program);
  } catch {
    // Without /proc it must be enough that the port is in use and the process lives.
    return process.platform !== 'linux';
  }
}

/** The program of Node. pi may be a compiled program, so `process.execPath` may not be Node. */
function nodeProgram(): string {
  return /^node(?:\.exe)?$/.test(path.basename(process.execPath)) ? process.execPath : 'node';
}

/** Variables that pi, npm or a shell set for the programs that they start, or that are for this Node alone. */
const NOT_THE_PERSONS =
  /^(?:AI_AGENT|PI_(?:CODING_AGENT|MODEL|PROVIDER|REASONING_LEVEL|SESSION_\w+)|HYPI_SPAWN_ID|npm_.*|INIT_CWD|NODE_(?:OPTIONS|ENV|CHANNEL_\w+|UNIQUE_ID|V8_COVERAGE)|PWD|OLDPWD|SHLVL|_)$/;

/** The person's own environment. A daemon that outlives pi must not keep the other variables. */
export function cleanEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !NOT_THE_PERSONS.test(name)));
}
