/**
 * The daemon that came with the package: started by the first pi that finds none on this machine, and ended only if a person
 * says so.
 *
 * Only a refused connection means that there is none: a slow answer is no proof. Of ten pis that find none at once, the one
 * that makes the lock file starts it.
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
/** Whoever made a lock this old did not live to remove it. */
const STALE_LOCK_MS = 30_000;

export interface DaemonOptions {
  /** Where the record of the daemon that was started, and the lock, are. */
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

  /** Is something listening on this machine, where agents look for the daemon? */
  async presence(): Promise<Presence> {
    const answers = await Promise.all(
      ['127.0.0.1', '::1'].map((host) => probe(host, this.#options.port, PROBE_TIMEOUT_MS)),
    );
    if (answers.includes('there')) return 'there';
    return answers.includes('silent') ? 'silent' : 'absent';
  }

  /**
   * Starts the daemon, unless somebody else does or has.
   *
   * @returns why it is not there, as a sentence; null if it is
   */
  async start(): Promise<string | null> {
    try {
      return await this.#start();
    } catch (error) {
      // The home folder cannot be written, say.
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
      // Somebody may have been quicker.
      if ((await this.presence()) !== 'absent') return null;
      return await this.#awaitPresence(await this.#spawn());
    } finally {
      await unlock();
    }
  }

  /**
   * Ends the daemon that was started from here.
   *
   * @returns what has become of it, as a sentence
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

  /** @returns a function that unlocks; null if somebody else has the lock */
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
    // It logs to a file of its own, with a bound; what it prints would need another.
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

/** A pid is given again to others: only a process that runs the program is the one. */
async function isProgram({ pid, program }: Started): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').includes(program);
  } catch {
    // No /proc: the port is in use and the process lives.
    return process.platform !== 'linux';
  }
}

/** pi itself may be a program of its own. */
function nodeProgram(): string {
  return /^node(?:\.exe)?$/.test(path.basename(process.execPath)) ? process.execPath : 'node';
}

/** Set for this process: by pi for what it starts, by npm, by a shell, and for this Node alone. */
const NOT_THE_PERSONS =
  /^(?:AI_AGENT|PI_(?:CODING_AGENT|MODEL|PROVIDER|REASONING_LEVEL|SESSION_\w+)|HYPI_SPAWN_ID|npm_.*|INIT_CWD|NODE_(?:OPTIONS|ENV|CHANNEL_\w+|UNIQUE_ID|V8_COVERAGE)|PWD|OLDPWD|SHLVL|_)$/;

/** The person's own environment: a daemon that outlives pi takes nothing else with it. */
export function cleanEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !NOT_THE_PERSONS.test(name)));
}
