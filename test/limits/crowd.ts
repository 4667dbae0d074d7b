/**
 * A crowd in a process of its own, so that it costs the measuring one nothing and leaves all at once when it is killed:
 * connections that say nothing, or nothing after their opening handshake, and that come back when they are dropped if told to.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { upgradeRequest } from '../support/raw-peer.ts';
import type { Say } from './figure.ts';

interface CrowdOptions {
  port: number;
  count: number;
  /** Shake hands at this path; without it nothing is ever said. */
  path?: string;
  comesBack?: boolean;
}

const AT_ONCE = 200;
const COMES_BACK_AFTER_MS = 1000;
const PATIENCE_MS = 60_000;

export class Crowd {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  /** Resolves once all are connected, and have shaken hands. */
  static async gather(options: CrowdOptions, say: Say): Promise<Crowd> {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(options)], { execArgv: ['--import', 'tsx'] });
    // Then it has ended, as below.
    const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    await new Promise<void>((resolve, reject) => {
      child.on('message', (connected: number) => {
        say(`${connected} of ${options.count} connected`);
        if (connected === options.count) resolve();
      });
      child.once('exit', () => reject(new Error('the crowd has ended')));
    }).finally(() => clearTimeout(late));
    return new Crowd(child);
  }

  /** All leave at once, without a word. */
  async leave(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

async function main({ port, count, path, comesBack = false }: CrowdOptions): Promise<void> {
  let joined = 0;
  let connected = 0;
  const join = () =>
    new Promise<void>((resolve, reject) => {
      const socket = net.connect({ host: '127.0.0.1', port });
      socket.on('error', () => {});
      socket.once('connect', () => (path === undefined ? resolve() : socket.write(upgradeRequest(path))));
      socket.on('data', () => resolve());
      socket.once('close', () => {
        if (!comesBack) return reject(new Error('dropped before it was connected'));
        resolve();
        setTimeout(() => void join(), COMES_BACK_AFTER_MS);
      });
    });
  const lane = async () => {
    while (joined++ < count) {
      await join();
      connected++;
      if (connected % 1000 === 0 || connected === count) process.send?.(connected);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('disconnect', () => process.exit());
  await main(JSON.parse(process.argv[2] as string));
}
