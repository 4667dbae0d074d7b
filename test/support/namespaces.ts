/**
 * Machines on a network of their own, each a network namespace with its own addresses, host name and hosts file:
 *
 *   machine ── eth0 ──┐
 *   machine ── eth0 ──┼── bridge, in a namespace too
 *   machine ── eth0 ──┘
 *
 *   machine ── link0, delayed ── router (NAT) ── eth0 ── bridge
 *
 * Nothing of it shows outside: no interface in the namespace of the test, no file in /etc. It takes root on Linux, and `ip`.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Json } from './client.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DELAYED_LINK = fileURLToPath(new URL('delayed-link.py', import.meta.url));
const PEER = fileURLToPath(new URL('peer-process.ts', import.meta.url));

const UNHEARD_RESOLVER = 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n';

/** Puts a machine's own files in place, takes its name, and becomes the program. */
const BECOME =
  'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && hostname "$0" && shift 2 && exec "$@"';

/** Why there can be no namespaces here, or false where there can. */
export async function whyNoNamespaces(): Promise<string | false> {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'only root makes network namespaces';
  try {
    const network = await Network.create();
    try {
      const { launcher } = await network.addMachine('probe');
      const [command = '', ...args] = [...launcher, 'true'];
      await run(command, args);
    } finally {
      await network.remove();
    }
    return false;
  } catch (error) {
    return `no network namespaces here: ${error instanceof Error ? error.message.trim() : error}`;
  }
}

export class Network {
  readonly #id = `hypi-${randomBytes(3).toString('hex')}`;
  readonly #directory: string;
  readonly #namespaces: string[] = [];
  readonly #machines: Machine[] = [];
  readonly #links: ChildProcess[] = [];

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** A network without machines. To be removed, whatever happens. */
  static async create(): Promise<Network> {
    const network = new Network(await mkdtemp(join(tmpdir(), 'hypivisor-network-')));
    try {
      const bridge = await network.#addNamespace('switch');
      await ip('-n', bridge, 'link', 'add', 'bridge', 'type', 'bridge');
      await ip('-n', bridge, 'link', 'set', 'bridge', 'up');
    } catch (error) {
      await network.remove();
      throw error;
    }
    return network;
  }

  /**
   * The machines get 10.77.0.1 and fd77::1, 10.77.0.2 and fd77::2, and so on.
   *
   * @param hosts names that this machine's hosts file knows, with their addresses
   * @param resolver its resolv.conf. By default nobody listens there, so that what is not in the hosts file does not resolve,
   *   at once
   */
  async addMachine(
    hostName: string,
    hosts: Record<string, string> = {},
    resolver = UNHEARD_RESOLVER,
  ): Promise<Machine> {
    const number = this.#machines.length + 1;
    const machine = new Machine(
      `${this.#id}-${number}`,
      hostName,
      `10.77.0.${number}`,
      `fd77::${number}`,
      this.#directory,
    );
    await this.#addNamespace(`${number}`);
    const { namespace, address, ipv6Address } = machine;
    const link = ['link', 'add', 'eth0', 'netns', namespace, 'type', 'veth', 'peer', 'name', `port${number}`];
    await ip(...link, 'netns', `${this.#id}-switch`);
    await ip('-n', `${this.#id}-switch`, 'link', 'set', `port${number}`, 'master', 'bridge', 'up');
    await ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    // Usable at once: nobody else can have it.
    await ip('-n', namespace, 'address', 'add', `${ipv6Address}/64`, 'dev', 'eth0', 'nodad');
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    const names = { localhost: '127.0.0.1', [hostName]: '127.0.1.1', ...hosts };
    const lines = Object.entries(names).map(([name, address]) => `${address} ${name}\n`);
    await writeFile(machine.hostsFile, lines.join(''));
    await writeFile(machine.resolverFile, resolver);
    this.#machines.push(machine);
    return machine;
  }

  /**
   * A machine in a network of its own, 192.168.77.0/24, behind a router that hides it (nftables masquerades): it reaches
   * the others, and none of them reaches it.
   *
   * @param delayMs how long a packet between it and the router takes, each way
   * @param lostPercent of the packets between them, at random
   */
  async addMachineBehindNat(hostName: string, delayMs: number, lostPercent = 0): Promise<Machine> {
    const router = await this.addMachine('router');
    const namespace = await this.#addNamespace(`${this.#machines.length}-hidden`);
    const machine = new Machine(namespace, hostName, '192.168.77.2', '', this.#directory);
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    const ends = [router.namespace, '192.168.77.1', namespace, machine.address];
    const link = spawn('python3', [DELAYED_LINK, String(delayMs), String(lostPercent), ...ends], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#links.push(link);
    machine.link = link;
    await once(link.stdout, 'data');
    await ip('-n', namespace, 'route', 'add', 'default', 'via', '192.168.77.1');
    const inRouter = (...args: string[]) => ip('netns', 'exec', router.namespace, ...args);
    await inRouter('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    await inRouter('nft', 'add table ip nat');
    await inRouter('nft', 'add chain ip nat leaving { type nat hook postrouting priority 100; }');
    await inRouter('nft', 'add rule ip nat leaving oifname "eth0" masquerade');
    await writeFile(machine.hostsFile, `127.0.0.1 localhost ${hostName}\n`);
    await writeFile(machine.resolverFile, UNHEARD_RESOLVER);
    this.#machines.push(machine);
    return machine;
  }

  /** Ends what runs on the machines by `start`, and leaves nothing. */
  async remove(): Promise<void> {
    for (const machine of this.#machines) await machine.stop();
    for (const link of this.#links) link.kill('SIGKILL');
    for (const namespace of this.#namespaces) await ip('netns', 'delete', namespace);
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #addNamespace(name: string): Promise<string> {
    const namespace = `${this.#id}-${name}`;
    await ip('netns', 'add', namespace);
    this.#namespaces.push(namespace);
    return namespace;
  }
}

export class Machine {
  readonly namespace: string;
  readonly hostName: string;
  readonly address: string;
  readonly ipv6Address: string;
  readonly hostsFile: string;
  readonly resolverFile: string;
  /** What carries its packets, if that is a process. */
  link: ChildProcess | null = null;
  readonly #programs: ChildProcess[] = [];
  readonly #peers: PeerProcess[] = [];

  constructor(namespace: string, hostName: string, address: string, ipv6Address: string, directory: string) {
    this.namespace = namespace;
    this.hostName = hostName;
    this.address = address;
    this.ipv6Address = ipv6Address;
    this.hostsFile = join(directory, `${namespace}.hosts`);
    this.resolverFile = join(directory, `${namespace}.resolv.conf`);
  }

  /** What makes a command run here: to be put before it. The process is the command's own, for signals. */
  get launcher(): string[] {
    const enter = ['ip', 'netns', 'exec', this.namespace, 'unshare', '--mount', '--uts'];
    return [...enter, 'sh', '-c', BECOME, this.hostName, this.hostsFile, this.resolverFile];
  }

  /** Starts an agent or dashboard here. */
  startPeer(): PeerProcess {
    const peer = new PeerProcess(this.launcher);
    this.#peers.push(peer);
    return peer;
  }

  /** Starts a program here, which ends with the machine. */
  run(command: string, args: readonly string[]): void {
    const [launcher = '', ...rest] = this.launcher;
    this.#programs.push(spawn(launcher, [...rest, command, ...args], { stdio: 'ignore' }));
  }

  /**
   * Stops every process on it, and what carries its packets: nobody gets an answer from it any more, nor a word that it
   * has gone.
   */
  async sleep(): Promise<void> {
    await this.#signal('SIGSTOP');
  }

  async wake(): Promise<void> {
    await this.#signal('SIGCONT');
  }

  async #signal(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    this.link?.kill(signal);
    const { stdout } = await run('ip', ['netns', 'pids', this.namespace]);
    for (const pid of stdout.split('\n').filter(Boolean)) process.kill(Number(pid), signal);
  }

  /** What is meant for that address goes nowhere from here on, and nobody is told. */
  async blackhole(address: string): Promise<void> {
    await ip('-n', this.namespace, 'route', 'add', 'blackhole', address);
  }

  async stop(): Promise<void> {
    for (const peer of this.#peers) await peer.stop();
    for (const program of this.#programs) program.kill('SIGKILL');
  }
}

/** Drives `peer-process.ts`: each of its commands by name. */
export class PeerProcess {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<number, { resolve: (result: Json) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  constructor([command = '', ...args]: string[]) {
    this.#process = spawn(command, [...args, process.execPath, '--import', 'tsx', PEER], {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#process.on('message', ({ id, result, error }: Json) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    });
    this.#exited = new Promise((resolve) => {
      this.#process.once('error', () => resolve());
      this.#process.once('exit', () => resolve());
    });
    void this.#exited.then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the peer has ended'));
    });
  }

  async call(command: string, params: Record<string, unknown> = {}): Promise<Json> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.send({ id, command, params });
    });
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }
}

async function ip(...args: string[]): Promise<void> {
  await run('ip', args);
}
