/** The daemon as users run it: the built program, in a process and a home folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROGRAM = fileURLToPath(new URL('../../dist/hypivisor.js', import.meta.url));

const STARTING_MS = 30_000;
const STOPPING_MS = 10_000;

/** Nothing of it outlives the process that started it, however that ends: the test runner ends a file that hangs. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
if (process.env.NODE_TEST_CONTEXT !== undefined) process.once('SIGTERM', () => process.exit(143));

export interface DaemonOptions {
  args?: string[];
  env?: NodeJS.ProcessEnv;
  /** What starts it, before the program: `ip netns exec …`, say. */
  launcher?: string[];
  /** Where clients find it. */
  host?: string;
  /** Another build of it. */
  program?: string;
}

export class Daemon {
  readonly process: ChildProcess;
  readonly home: string;
  readonly host: string;
  /** What it has said on stderr. */
  stderr = '';
  stdout = '';
  port = 0;

  private constructor(process: ChildProcess, home: string, host: string) {
    this.process = process;
    this.home = home;
    this.host = host;
    process.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
    process.stdout?.on('data', (chunk) => {
      this.stdout += chunk;
    });
  }

  /** Starts it on a free port and waits until it serves. */
  static async start(options: DaemonOptions = {}): Promise<Daemon> {
    const { args = [], env = {}, launcher = [], host = '127.0.0.1', program = PROGRAM } = options;
    const home = await mkdtemp(join(tmpdir(), 'hypivisor-test-'));
    const [command, ...rest] = [...launcher, process.execPath, program, '--port', '0', ...args];
    const child = spawn(command as string, rest, {
      env: { PATH: process.env.PATH, HOME: home, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    const daemon = new Daemon(child, home, host);
    const late = setTimeout(() => child.kill('SIGKILL'), STARTING_MS);
    try {
      await daemon.#online();
    } catch (error) {
      await daemon.stop('SIGKILL');
      throw error;
    } finally {
      clearTimeout(late);
    }
    return daemon;
  }

  get pid(): number {
    return this.process.pid as number;
  }

  get isRunning(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** `http://host:port` */
  get origin(): string {
    return `http://${this.host}:${this.port}`;
  }

  get registryUrl(): string {
    return `ws://${this.host}:${this.port}/ws`;
  }

  relayUrl(nodeId: string): string {
    return `${this.registryUrl}/agent/${encodeURIComponent(nodeId)}`;
  }

  /** Keeps nothing of what it says from now on: for one that runs for long. */
  forgetOutput(): void {
    for (const stream of [this.process.stdout, this.process.stderr]) stream?.removeAllListeners('data').resume();
  }

  /** Ends it, and removes its home folder. @returns its exit code, or the signal that killed it */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    if (this.isRunning) {
      const exited = once(this.process, 'exit');
      this.process.kill(signal);
      const late = setTimeout(() => this.process.kill('SIGKILL'), STOPPING_MS);
      await exited;
      clearTimeout(late);
    }
    await rm(this.home, { recursive: true, force: true, maxRetries: 5 });
    return this.process.exitCode ?? (this.process.signalCode as NodeJS.Signals);
  }

  async #online(): Promise<void> {
    for (;;) {
      const online = /Hypivisor online.*?\bport\W+(\d+)\D/.exec(this.stderr);
      if (online !== null) {
        this.port = Number(online[1]);
        return;
      }
      const heard = Promise.race([
        once(this.process.stderr as NodeJS.ReadableStream, 'data'),
        once(this.process, 'exit'),
      ]);
      await heard;
      if (!this.isRunning) throw new Error(`the daemon did not start: ${this.stderr}`);
    }
  }
}
