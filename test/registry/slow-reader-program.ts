/**
 * Run by slow-reader.test.ts in a network of its own, where the kernel's buffers are small. Two dashboards read a large
 * roster: one slowly, to its end, while the roster changes so much that it falls behind; the other until it stops in the
 * middle. Prints how it went, as JSON.
 */
import { TEXT } from '../support/raw-peer.ts';
import { House, sleep, until, type Visitor } from './harness.ts';

const NODES = 200;
/** A peer that the kernel writes nothing to for three times as long is dead. */
const PING_INTERVAL_MS = 500;
/** Likewise one that has fallen behind. */
const LAGGARD_TIMEOUT_MS = 1000;
const BYTES_A_SECOND = 160_000;

/** Reads at that rate until so much was read. */
async function readSlowly({ peer, connection }: Visitor, bytes: number): Promise<void> {
  const { socket } = peer;
  const begunAt = performance.now();
  let readBytes = 0;
  socket.on('data', (chunk) => {
    readBytes += chunk.length;
    socket.pause();
  });
  while (readBytes < bytes && !connection.gone && !peer.ended) {
    if (readBytes < ((performance.now() - begunAt) / 1000) * BYTES_A_SECOND) socket.resume();
    await sleep(2);
  }
}

await House.with(
  { limits: { pingIntervalMs: PING_INTERVAL_MS, laggardTimeoutMs: LAGGARD_TIMEOUT_MS } },
  async (house) => {
    house.fill(NODES);
    const rosterBytes = house.roster.initBytes;

    const slow = await house.open({ fromBrowser: true });
    const begunAt = performance.now();
    slow.peer.socket.pause();
    const whole = slow.peer.frame().catch(() => null);
    while (house.roster.resyncs === 0) {
      house.fill(NODES);
      await new Promise(setImmediate);
    }
    await readSlowly(slow, rosterBytes);
    const tookMs = performance.now() - begunAt;
    slow.peer.socket.removeAllListeners('data');
    const init = await whole;
    const nodes = init?.opcode === TEXT ? JSON.parse(init.payload.toString()).nodes.length : null;

    const stopped = await house.open({ fromBrowser: true });
    stopped.peer.socket.pause();
    await readSlowly(stopped, rosterBytes / 4);
    stopped.peer.socket.pause();
    const stoppedAt = performance.now();
    await until(() => stopped.connection.gone, 'a reader that has stopped is dead').catch(() => {});
    const deadAfterMs = stopped.connection.gone ? performance.now() - stoppedAt : null;
    const { laggardsClosed } = house;
    process.stdout.write(`${JSON.stringify({ tookMs, nodes, laggardsClosed, deadAfterMs })}\n`);
  },
);
