/** A dashboard on a slow line, with a real kernel between: it is alive as long as it takes some of what is written to it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('slow-reader-program.ts', import.meta.url));

/** On loopback as it is, the kernel would take a roster of megabytes before anyone reads it. */
const WITH_SMALL_BUFFERS = `
  ip link set lo up mtu 1500 &&
  echo '4096 8192 32768' > /proc/sys/net/ipv4/tcp_wmem &&
  echo '4096 8192 16384' > /proc/sys/net/ipv4/tcp_rmem &&
  exec "$@"`;
const LAUNCHER = ['unshare', '--user', '--map-root-user', '--net', 'sh', '-c', WITH_SMALL_BUFFERS, 'sh'] as const;

async function launch(...command: string[]): Promise<string> {
  const [unshare, ...args] = LAUNCHER;
  const { stdout } = await run(unshare, [...args, ...command]);
  return stdout;
}

const skip = await launch('true').then(
  () => false,
  (error) => `no network of its own here: ${error.message.trim()}`,
);

test('a slow reader gets the whole roster, and is neither dead nor a laggard; one that stops is dead', {
  skip,
}, async () => {
  const { tookMs, nodes, laggardsClosed, deadAfterMs } = JSON.parse(
    await launch(process.execPath, '--import', 'tsx', PROGRAM),
  );
  assert.ok(tookMs > 3000, `it took ${tookMs} ms: twice as long as a peer lives that takes nothing`);
  assert.equal(nodes, 200);
  assert.equal(laggardsClosed, 0);
  assert.notEqual(deadAfterMs, null);
});
