/**
 * A program on a terminal of its own, which nobody reads unless told to, as one that is stopped with Ctrl-S. Node opens no
 * terminals, Python does.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** Obeys the lines that it reads: `read` lets the terminal flow, `hang up` closes it. Prints the program's pid, then how it ended. */
const PYTHON = `
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
print(pid, flush=True)
watched = [0]
while True:
    ready = select.select(watched, [], [], 0.02)[0]
    if 0 in ready:
        line = os.read(0, 100)
        if b'read' in line:
            watched = [0, terminal]
        elif b'hang up' in line:
            os.close(terminal)
            watched = [0]
        elif line == b'':
            os.kill(pid, 9)
            watched = []
    if terminal in ready:
        try:
            os.read(terminal, 65536)
        except OSError:
            watched = [0]
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        print(os.waitstatus_to_exitcode(status), flush=True)
        break
`;

/** Why there can be no terminals here, or false if there can. */
export async function whyNoTerminals(): Promise<string | false> {
  if (process.platform === 'win32') return 'Windows has other terminals';
  const works = promisify(execFile)('python3', ['-c', 'import os, pty; os.waitstatus_to_exitcode']);
  return works.then(
    () => false as const,
    () => 'needs Python 3.9',
  );
}

export class OnTerminal {
  readonly #python: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  pid = 0;

  private constructor(python: ChildProcess, lines: AsyncIterator<string>) {
    this.#python = python;
    this.#lines = lines;
  }

  static async start(command: string[], env: NodeJS.ProcessEnv): Promise<OnTerminal> {
    const python = spawn('python3', ['-c', PYTHON, ...command], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    await once(python, 'spawn');
    const lines = createInterface({ input: python.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    const terminal = new OnTerminal(python, lines);
    terminal.pid = await terminal.#number();
    return terminal;
  }

  /** Lets flow what the program writes. */
  read(): void {
    this.#python.stdin?.write('read\n');
  }

  hangUp(): void {
    this.#python.stdin?.write('hang up\n');
  }

  /** @returns the exit code of the program, or the negative number of the signal that killed it; once */
  exitCode(): Promise<number> {
    return this.#number();
  }

  /** Kills the program if it still runs. */
  stop(): void {
    this.#python.stdin?.end();
  }

  async #number(): Promise<number> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('no terminal');
    return Number(value);
  }
}
