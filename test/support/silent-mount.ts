/**
 * A file system that never answers, as a network mount does whose server is gone: a FUSE server that reads each request and
 * answers none but the first, which is the mount's own. Whoever asks waits in the kernel, and cannot even be killed.
 *
 * It takes root on Linux, and FUSE.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A process of its own, so that the file system answers no sooner than it ends, and then all waits fail at once. */
const SERVER = `
  const fs = require('node:fs');
  const { spawnSync } = require('node:child_process');
  const [folder] = process.argv.slice(1);
  const device = fs.openSync('/dev/fuse', 'r+');
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other';
  const { status } = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'silent', folder], {
    stdio: ['ignore', 'inherit', 'inherit', device],
  });
  if (status !== 0) process.exit(1);
  const FUSE_INIT = 26;
  const request = Buffer.alloc(256 * 1024);
  const read = () => fs.read(device, request, 0, request.length, null, (error) => {
    if (error) process.exit();
    if (request.readUInt32LE(4) === FUSE_INIT) {
      const reply = Buffer.alloc(80);
      reply.writeUInt32LE(reply.length, 0);
      request.copy(reply, 8, 8, 16);
      reply.writeUInt32LE(7, 16);
      reply.writeUInt32LE(31, 20);
      reply.writeUInt32LE(4096, 36);
      fs.writeSync(device, reply);
      console.log('mounted');
    }
    read();
  });
  read();
`;

export class SilentMount {
  readonly folder: string;
  readonly #server: ChildProcess;

  private constructor(folder: string, server: ChildProcess) {
    this.folder = folder;
    this.#server = server;
  }

  /** Mounts it at `folder`, which must exist. Unmount it. */
  static async at(folder: string): Promise<SilentMount> {
    const server = spawn(process.execPath, ['-e', SERVER, folder], { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaint = '';
    server.stderr.on('data', (chunk) => {
      complaint += chunk;
    });
    const failed = once(server, 'exit').then(() => Promise.reject(new Error(complaint.trim() || 'no mount')));
    failed.catch(() => {});
    await Promise.race([once(server.stdout, 'data'), failed]);
    return new SilentMount(folder, server);
  }

  /** Whoever waits for it is told that there is no connection. */
  async unmount(): Promise<void> {
    await run('umount', ['--lazy', this.folder]).catch(() => {});
    const exited = once(this.#server, 'exit');
    if (this.#server.kill('SIGKILL')) await exited;
  }
}

/** Why there can be no such mount here, or false if there can. */
export async function whyNoSilentMount(): Promise<string | false> {
  if (process.platform !== 'linux') return 'FUSE is mounted on Linux only';
  if (process.getuid?.() !== 0) return 'only root mounts';
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-mount-'));
  try {
    await access('/dev/fuse');
    await (await SilentMount.at(folder)).unmount();
    return false;
  } catch (error) {
    return `no FUSE here: ${error instanceof Error ? error.message : error}`;
  } finally {
    await rm(folder, { recursive: true });
  }
}
