/**
 * A daemon within a process that can collect its garbage when it is asked to: what it then still holds is held on to. Its
 * defaults are the built daemon's.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createHypivisor } from 'hypivisor';

/** What a round has freed may free more in the next. */
const ROUNDS = 4;
const BETWEEN_ROUNDS_MS = 50;

export interface Held {
  /** Of the heap, once all that nobody holds is collected. */
  heapBytes: number;
  residentBytes: number;
  connections: number;
}

export class CollectedDaemon {
  readonly port: number;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  static async start(): Promise<CollectedDaemon> {
    const child = fork(fileURLToPath(import.meta.url), ['serve'], { execArgv: ['--expose-gc', '--import', 'tsx'] });
    const [port] = await once(child, 'message');
    return new CollectedDaemon(child, port);
  }

  async held(): Promise<Held> {
    const answered = once(this.#process, 'message');
    this.#process.send('held');
    const [held] = await answered;
    return held;
  }

  async stop(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.disconnect();
    await exited;
  }
}

async function serve(): Promise<void> {
  const hypivisor = createHypivisor({ port: 0, host: '127.0.0.1' });
  const { port } = await hypivisor.listen();
  process.on('message', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      globalThis.gc?.();
      await delay(BETWEEN_ROUNDS_MS);
    }
    const { heapUsed, rss } = process.memoryUsage();
    const held: Held = {
      heapBytes: heapUsed,
      residentBytes: rss,
      connections: hypivisor.counters.connections,
    };
    process.send?.(held);
  });
  process.on('disconnect', () => process.exit());
  process.send?.(port);
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) await serve();
