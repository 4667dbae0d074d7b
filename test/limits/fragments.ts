/** Messages in very many, very small fragments. */
import { setTimeout as delay } from 'node:timers/promises';
import { growthWhile } from '../../bench/resident.ts';
import { MEBIBYTE } from '../../bench/units.ts';
import { Daemon } from '../support/daemon.ts';
import { MASKING_KEY, rawFrame, readFrames } from '../support/raw-frame.ts';
import { CLOSE, RawPeer, TEXT } from '../support/raw-peer.ts';
import { atMost, exactly, inMebibytes, type Part } from './figure.ts';

export const CLIENTS = 50;
const FRAGMENTS = 16_000;
/** As many as a message may have. */
const ALLOWED = 1024;
const BOUND_BYTES = 16 * MEBIBYTE;
const SETTLE_MS = 2000;
/** After that: all with more fragments than a message may have. */
const CLOSED_WITHIN_MS = 10_000;

export const fragments: Part = {
  title: `${CLIENTS} clients that send one-byte fragments`,
  async run() {
    const daemon = await Daemon.start();
    try {
      const target = { port: daemon.port, path: '/ws' };
      const just = await unfinished(target, ALLOWED, [daemon.pid]);
      const far = await unfinished(target, FRAGMENTS, [daemon.pid]);
      return [
        atMost(`${ALLOWED} each, the message not finished: grows by`, just.grownBytes, BOUND_BYTES, inMebibytes),
        exactly('… closed', just.closeCodes.length, 0),
        atMost(`${FRAGMENTS} each: grows by`, far.grownBytes, BOUND_BYTES, inMebibytes),
        exactly('… closed with 1008', far.closeCodes.filter((code) => code === 1008).length, CLIENTS),
      ];
    } finally {
      await daemon.stop();
    }
  },
};

/** @returns by how much it grew, and the codes of those it closed */
export async function unfinished(
  target: { port: number; path: string },
  count: number,
  pids: number[],
): Promise<{ grownBytes: number; closeCodes: number[] }> {
  const bytes = Buffer.concat([fragment(TEXT), ...Array.from({ length: count - 1 }, () => fragment(0))]);
  const open = () => RawPeer.upgrade(target.port, target.path);
  // The first one costs what the code itself costs.
  const first = await open();
  first.socket.write(bytes);
  await delay(500);
  first.socket.destroy();

  const peers = await Promise.all(Array.from({ length: CLIENTS }, open));
  const grownBytes = await growthWhile(pids, async () => {
    for (const { socket } of peers) socket.write(bytes);
    await delay(SETTLE_MS);
    const endsAt = performance.now() + CLOSED_WITHIN_MS;
    while (count > ALLOWED && peers.some(({ ended }) => !ended) && performance.now() < endsAt) await delay(100);
  });
  const closed = peers.filter(({ ended }) => ended);
  const codes = await Promise.all(closed.map(closeCodeOf));
  for (const { socket } of peers) socket.destroy();
  return { grownBytes, closeCodes: codes.filter((code) => code !== null) };
}

async function closeCodeOf(peer: RawPeer): Promise<number | null> {
  const last = readFrames(await peer.rest()).at(-1);
  return last?.opcode === CLOSE && last.payload.length >= 2 ? last.payload.readUInt16BE() : null;
}

function fragment(opcode: number): Buffer {
  return rawFrame({ opcode, fin: false, payload: 'x', maskingKey: MASKING_KEY });
}
