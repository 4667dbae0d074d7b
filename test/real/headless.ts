/** A real pi without a terminal, driven by its RPC: one JSON object a line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Home } from './home.ts';
import { ASKER, EXTENSION, type Pi } from './pis.ts';

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class HeadlessPi {
  readonly process: ChildProcess;
  stderr = '';
  /** The answers to commands, as they came; events are many times as much, and nobody asks for them here. */
  readonly #answers: string[] = [];
  #line = '';
  #ids = 0;

  /**
   * @param extensions that are loaded; by default ours and one that asks
   * @param launcher what starts it on another machine, if anything
   */
  constructor(
    pi: Pi,
    home: Home,
    environment: NodeJS.ProcessEnv,
    args: string[] = [],
    extensions: string[] = [EXTENSION, ASKER],
    launcher: string[] = [],
  ) {
    const [command = '', ...first] = [...launcher, ...pi.command];
    const loaded = extensions.flatMap((path) => ['-e', path]);
    this.process = spawn(command, [...first, '--mode', 'rpc', ...loaded, ...args], {
      cwd: home.work,
      env: home.environment(environment),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    running.add(this.process);
    this.process.once('exit', () => running.delete(this.process));
    this.process.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const [first = '', ...others] = chunk.split('\n');
      this.#line += first;
      for (const line of others) {
        if (this.#line.slice(0, 200).includes('"response"')) this.#answers.push(this.#line);
        this.#line = line;
      }
    });
    this.process.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.process.stdin?.on('error', () => {});
  }

  get isRunning(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Sends a command, and waits for its answer. */
  async rpc(command: Record<string, unknown>): Promise<Record<string, unknown>> {
    const id = `rpc${++this.#ids}`;
    this.process.stdin?.write(`${JSON.stringify({ id, ...command })}\n`);
    const until = Date.now() + 20_000;
    while (Date.now() < until) {
      const line = this.#answers.find((line) => line.includes(`"id":"${id}"`));
      if (line !== undefined) return JSON.parse(line) as Record<string, unknown>;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`pi does not answer ${JSON.stringify(command)}: ${this.stderr}`);
  }

  /** Ends it as its user would: its input ends. @returns its exit code */
  async quit(): Promise<number | null> {
    if (this.isRunning) {
      const exited = once(this.process, 'exit');
      const late = setTimeout(() => this.process.kill('SIGKILL'), 10_000);
      this.process.stdin?.end();
      await exited;
      clearTimeout(late);
    }
    return this.process.exitCode;
  }
}
