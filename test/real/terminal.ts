/** A real pi in a real terminal: tmux runs it, types, and reads the screen. */
import { execFile, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Home } from './home.ts';
import { ASKER, EXTENSION, type Pi } from './pis.ts';

const run = promisify(execFile);
const PATIENCE_MS = 20_000;

/** Why there is no terminal; false if there is one. */
export const withoutTmux = spawnSync('tmux', ['-V']).status === 0 ? false : 'tmux is not installed';

const sockets = new Set<string>();
process.once('exit', () => {
  for (const socket of sockets) spawnSync('tmux', ['-L', socket, 'kill-server']);
});

export class TerminalPi {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** @param extensions that are loaded; by default ours and one that asks */
  static async start(
    pi: Pi,
    home: Home,
    environment: NodeJS.ProcessEnv,
    args: string[] = [],
    extensions: string[] = [EXTENSION, ASKER],
  ): Promise<TerminalPi> {
    const socket = `hypivisor-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
    sockets.add(socket);
    const variables = Object.entries(
      home.environment({ TERM: 'xterm-256color', COLORTERM: 'truecolor', ...environment }),
    );
    const command = [
      'env',
      '-i',
      ...variables.map(([name, value]) => `${name}=${value}`),
      ...pi.command,
      ...extensions.flatMap((path) => ['-e', path]),
      ...args,
    ];
    const terminal = new TerminalPi(socket);
    await terminal.#tmux('new-session', '-d', '-x', '140', '-y', '50', '-c', home.work, ...command);
    await terminal.#tmux('set-option', '-g', 'remain-on-exit', 'on');
    return terminal;
  }

  async #tmux(...args: string[]): Promise<string> {
    const { stdout } = await run('tmux', ['-L', this.#socket, '-f', '/dev/null', ...args]);
    return stdout;
  }

  async pid(): Promise<number> {
    return Number(await this.#tmux('display-message', '-p', '#{pane_pid}'));
  }

  /** What is on the screen; with escape sequences if they matter. */
  screen(withEscapes = false): Promise<string> {
    return this.#tmux('capture-pane', '-p', ...(withEscapes ? ['-e'] : []));
  }

  /** Keys by their names in tmux: Enter, Escape, Down, C-c. */
  async keys(...keys: string[]): Promise<void> {
    await this.#tmux('send-keys', ...keys);
  }

  async type(text: string): Promise<void> {
    await this.#tmux('send-keys', '-l', text);
    // What comes at once is taken for pasted.
    await sleep(150);
  }

  /** Types a line. */
  async line(text: string): Promise<void> {
    await this.type(text);
    await this.keys('Enter');
  }

  /** Runs a command. A menu of completions may take the first Enter. */
  async command(text: string): Promise<void> {
    await this.type(text);
    for (let tries = 0; tries < 3; tries++) {
      await this.keys('Enter');
      await sleep(400);
      const typed = new RegExp(`^${text.replaceAll('/', '\\/')} *$`, 'm');
      if (!typed.test(await this.screen())) return;
    }
  }

  async shows(pattern: RegExp, patienceMs = PATIENCE_MS): Promise<RegExpMatchArray> {
    const until = Date.now() + patienceMs;
    for (;;) {
      const screen = await this.screen();
      const match = pattern.exec(screen);
      if (match !== null) return match;
      if (Date.now() >= until) throw new Error(`${pattern} is not on the screen:\n${screen}`);
      await sleep(100);
    }
  }

  async isRunning(): Promise<boolean> {
    return (await this.#tmux('display-message', '-p', '#{pane_dead}')).trim() === '0';
  }

  async end(): Promise<void> {
    await this.#tmux('kill-server').catch(() => {});
    sockets.delete(this.#socket);
  }
}
