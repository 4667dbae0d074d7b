/** The built daemon, in a process and a home folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { registryUrl } from '../src/protocol/url.ts';

const PROGRAM = fileURLToPath(new URL('../dist/hypivisor.js', import.meta.url));

/** Agents outlive the daemon that starts them. The demo must leave nothing behind, so its daemon can start none. */
const NO_SPAWN = ['--spawn-command', 'no-agents-are-started-in-the-demo'];

/** The daemon needs 3 s at most. */
const STOP_TIMEOUT_MS = 5000;

export class DaemonProcess {
  readonly port: number;
  /** The home folder of its user, which goes with it. */
  readonly home: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, home: string, port: number) {
    this.#child = child;
    this.home = home;
    this.port = port;
    // However the demo ends, the daemon does not stay behind.
    process.once('exit', () => child.kill('SIGKILL'));
  }

  /**
   * Starts the daemon for this machine alone, and waits until it serves.
   *
   * @param wantedPort if it is in use, a free one is taken
   * @param nodeTtlSeconds how long an agent that went offline stays in the roster
   * @param flags further ones
   * @throws Error with the daemon's own words if it does not start
   */
  static async start(wantedPort: number, nodeTtlSeconds: number, flags: string[] = []): Promise<DaemonProcess> {
    const home = await mkdtemp(join(tmpdir(), 'hypivisor-demo-'));
    try {
      for (const port of [wantedPort, 0]) {
        const child = launch(port, ['--node-ttl', String(nodeTtlSeconds), ...flags], home);
        const { port: takenPort, msg } = await firstEvent(child);
        if (takenPort !== undefined) return new DaemonProcess(child, home, takenPort);
        if (!msg.includes('is in use')) throw new Error(msg);
      }
      throw new Error('no port is free');
    } catch (error) {
      await rm(home, { recursive: true, force: true });
      throw error;
    }
  }

  /** The registry's URL. */
  get registryUrl(): string {
    return registryUrl(`http://localhost:${this.port}`, null);
  }

  /** Resolves once it has ended, for whatever reason. */
  async ended(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  /** Ends it, and removes its home folder. */
  async stop(): Promise<void> {
    const force = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    this.#child.kill('SIGTERM');
    await this.ended();
    clearTimeout(force);
    await rm(this.home, { recursive: true, force: true });
  }
}

function launch(port: number, flags: string[], home: string): ChildProcess {
  const all = ['--port', String(port), '--log-format', 'json', '--log-file', 'none', ...NO_SPAWN, ...flags];
  // Variables that are set for the user's own daemon are not meant for this one.
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('HYPI_'));
  return spawn(process.execPath, [PROGRAM, ...all], {
    env: { ...Object.fromEntries(environment), HOME: home, USERPROFILE: home },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

interface LogLine {
  level: string;
  msg: string;
  port?: number;
}

/** @returns its "Hypivisor online", which has the port, or its error */
async function firstEvent(child: ChildProcess): Promise<LogLine> {
  const stderr = child.stderr as NodeJS.ReadableStream;
  const lines = createInterface({ input: stderr });
  const said: string[] = [];
  const event = await new Promise<LogLine>((resolve) => {
    lines.on('line', (line) => {
      said.push(line);
      const event = parse(line);
      if (event?.msg === 'Hypivisor online' || event?.level === 'error') resolve(event);
    });
    lines.on('close', () => resolve({ level: 'error', msg: `the daemon ended: ${said.join('\n')}` }));
  });
  lines.close();
  // Its further output is read and dropped, because a full pipe would lose lines.
  stderr.resume();
  return event;
}

function parse(line: string): LogLine | null {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
