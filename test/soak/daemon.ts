/** The built daemon in a process and a home folder of its own, and what that process holds. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { cpuSeconds } from '../../bench/cpu.ts';
import { PROGRAM } from '../support/daemon.ts';
import { footprint } from '../support/measure.ts';

const STOP_TIMEOUT_MS = 10_000;

export interface Footprint {
  residentBytes: number;
  descriptors: number;
  /** Of processor time, since its start. */
  cpuSeconds: number;
}

export class DaemonProcess {
  readonly port: number;
  /** Resolves once it has ended, by whomever. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  readonly #home: string;

  private constructor(child: ChildProcess, home: string, port: number) {
    this.#child = child;
    this.#home = home;
    this.port = port;
    this.ended = once(child, 'exit').then(() => {});
  }

  /** @throws Error where it does not start */
  static async start(nodeTtlSeconds: number): Promise<DaemonProcess> {
    const home = await mkdtemp(join(tmpdir(), 'hypivisor-soak-'));
    // Its log goes to a file and to a pipe, as where it is run for long; a Ctrl-C meant for the soak is not for it.
    const child = spawn(process.execPath, [PROGRAM, '--port', '0', '--node-ttl', String(nodeTtlSeconds)], {
      env: { PATH: process.env.PATH, HOME: home },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const port = await portOf(child);
    if (port === null) {
      await rm(home, { recursive: true, force: true });
      throw new Error('the daemon did not start');
    }
    return new DaemonProcess(child, home, port);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async footprint(): Promise<Footprint> {
    const { residentBytes, descriptors } = await footprint(this.pid);
    return { residentBytes, descriptors, cpuSeconds: cpuSeconds([this.pid]) };
  }

  /** Ends it, and removes its home folder. @returns its exit code; null where it had to be killed */
  async stop(): Promise<number | null> {
    if (this.isRunning) {
      const force = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      this.#child.kill('SIGTERM');
      await this.ended;
      clearTimeout(force);
    }
    await rm(this.#home, { recursive: true, force: true });
    return this.#child.exitCode;
  }
}

/** From its "Hypivisor online"; null where it ends without one. */
async function portOf(child: ChildProcess): Promise<number | null> {
  const stderr = child.stderr as NodeJS.ReadableStream;
  const lines = createInterface({ input: stderr });
  const port = await new Promise<number | null>((resolve) => {
    lines.on('line', (line) => {
      if (line.includes('"Hypivisor online"')) resolve(JSON.parse(line).port);
    });
    lines.on('close', () => resolve(null));
  });
  lines.close();
  // What it says from now on is read, for a full pipe would hold it up, and dropped.
  stderr.resume();
  return port;
}
