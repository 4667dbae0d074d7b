/**
 * A stdin that never ends and never says anything.
 *
 * A pi in rpc mode lives until its stdin ends. A pipe ends when its last writer is gone, so an agent whose stdin is a pipe
 * from the daemon dies with the daemon. Whoever holds a FIFO open for reading *and* writing is a writer itself: it waits for
 * bytes that nobody sends, for as long as it lives.
 */

import { execFile } from 'node:child_process';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Opens a new FIFO for reading and writing. It has no name any more, so nobody else can write to it. Close it. */
export async function openFifo(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-'));
  try {
    const path = join(folder, 'stdin');
    // Node cannot make a FIFO itself.
    await promisify(execFile)('mkfifo', ['-m', '600', path]);
    // Opened for both, a FIFO blocks nobody: its other end is there already.
    return await open(path, 'r+');
  } finally {
    await rm(folder, { recursive: true });
  }
}
