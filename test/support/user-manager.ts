/**
 * A user manager of systemd, with units of its own and nothing of this machine's: in namespaces of its own, with control
 * groups of version 2. `systemctl` reaches it from outside. It takes root on Linux, and systemd.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './measure.ts';

const run = promisify(execFile);

const SYSTEMD = '/lib/systemd/systemd';

/** What units refer to by default. */
const TARGETS = ['default', 'basic', 'sysinit', 'shutdown', 'sockets', 'timers', 'paths'];

/** Joins a control group, makes it the root of all that is seen, looks as if systemd had started this machine. */
const BECOME = `
  echo $$ >"$1/cgroup.procs" && exec unshare --cgroup --mount --pid --fork --kill-child --mount-proc sh -c '
    umount --recursive /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs none /run && mkdir -p /run/systemd/system || exit
    mkdir /sys/fs/cgroup/manager && echo $$ >/sys/fs/cgroup/manager/cgroup.procs || exit
    # Process 1 would have to be the system manager.
    "$0" --user --unit=default.target & wait
  ' "$2"
`;

export class UserManager {
  /** The folder for units. */
  readonly units: string;
  readonly #base: string;
  readonly #controlGroup: string;
  readonly #process: ChildProcess;

  private constructor(base: string, controlGroup: string, process: ChildProcess) {
    this.#base = base;
    this.units = join(base, 'units');
    this.#controlGroup = controlGroup;
    this.#process = process;
  }

  /** @param environment what all its units get, HOME for one */
  static async start(environment: NodeJS.ProcessEnv): Promise<UserManager> {
    const base = await mkdtemp(join(tmpdir(), 'hypivisor-systemd-'));
    await mkdir(join(base, 'runtime'), { mode: 0o700 });
    await mkdir(join(base, 'units'));
    for (const target of TARGETS) {
      await writeFile(join(base, 'units', `${target}.target`), '[Unit]\nDefaultDependencies=no\n');
    }
    const controlGroup = join(await hierarchy(), `hypivisor-${randomBytes(3).toString('hex')}`);
    await mkdir(controlGroup);
    const child = spawn('sh', ['-c', BECOME, 'sh', controlGroup, SYSTEMD], {
      env: {
        PATH: process.env.PATH,
        ...environment,
        XDG_RUNTIME_DIR: join(base, 'runtime'),
        SYSTEMD_UNIT_PATH: join(base, 'units'),
        SYSTEMD_LOG_TARGET: 'console',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (chunk) => {
      log += chunk;
    });
    const manager = new UserManager(base, controlGroup, child);
    try {
      await eventually(async () => {
        if (child.exitCode !== null) return;
        await access(join(base, 'runtime', 'systemd', 'private'));
      });
      if (child.exitCode !== null) throw new Error(log.trim());
      return manager;
    } catch (error) {
      await manager.stop();
      throw error;
    }
  }

  /** @returns what it prints */
  async systemctl(...args: string[]): Promise<string> {
    const env = { PATH: process.env.PATH, XDG_RUNTIME_DIR: join(this.#base, 'runtime') };
    // The manager answers no process that it cannot see.
    const { pid } = this.#process;
    const [first = ''] = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ');
    const enter = ['--target', first, '--mount', '--pid', '--cgroup', 'systemctl', '--user', '--no-pager'];
    return (await run('nsenter', [...enter, ...args], { env })).stdout.trim();
  }

  /** Ends it with all that it has started. */
  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await exited;
    }
    await eventually(() => removeControlGroup(this.#controlGroup));
    await rm(this.#base, { recursive: true });
  }
}

/** Why there can be no user manager here, or false if there can. */
export async function whyNoUserManager(): Promise<string | false> {
  if (process.platform !== 'linux') return 'systemd is of Linux';
  if (process.getuid?.() !== 0) return 'only root makes control groups';
  try {
    await access(SYSTEMD);
    await (await UserManager.start({})).stop();
    return false;
  } catch (error) {
    return `no user manager here: ${error instanceof Error ? error.message : error}`;
  }
}

/** Where control groups of version 2 are. */
async function hierarchy(): Promise<string> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const path = mounts.find(([, , type]) => type === 'cgroup2')?.[1];
  if (path === undefined) throw new Error('there are no control groups of version 2');
  return path;
}

/** Innermost first; those that are in use cannot be removed yet. */
async function removeControlGroup(path: string): Promise<void> {
  const { stdout } = await run('find', [path, '-mindepth', '0', '-depth', '-type', 'd']);
  for (const group of stdout.trim().split('\n')) await rmdir(group);
}
