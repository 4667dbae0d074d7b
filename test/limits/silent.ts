/** Ten thousand connections that say nothing, and who is served beside them. */
import { setTimeout as delay } from 'node:timers/promises';
import { residentBytes } from '../../bench/resident.ts';
import { Daemon } from '../support/daemon.ts';
import { footprint } from '../support/measure.ts';
import { clientFrame, RawPeer, TEXT } from '../support/raw-peer.ts';
import { Crowd } from './crowd.ts';
import { atMost, type Figure, figure, inKibibytes, inMs, type Part, type Say, spread } from './figure.ts';

const CONNECTIONS = 10_000;
const ASKED = 200;
const SERVED_WITHIN_MS = 20;
const BACK_WITHIN_MS = 300;
const PATIENCE_MS = 10_000;

export const silent: Part = {
  title: `${CONNECTIONS} connections that say nothing`,
  async run(say) {
    return [...(await among('before any request', say)), ...(await among('after their handshake', say, '/ws'))];
  },
};

async function among(when: string, say: Say, path?: string): Promise<Figure[]> {
  const daemon = await Daemon.start();
  let crowd: Crowd | undefined;
  try {
    await timesOfService(daemon.port);
    const before = await footprint(daemon.pid);
    const options = { port: daemon.port, count: CONNECTIONS, ...(path === undefined ? {} : { path }) };
    crowd = await Crowd.gather(options, (text) => say(`${when}: ${text}`));
    say(`${when}: serving`);
    const { median, p99, max } = spread(await timesOfService(daemon.port));
    const { descriptors } = await footprint(daemon.pid);
    const eachBytes = ((await residentBytes([daemon.pid])) - before.residentBytes) / CONNECTIONS;
    await crowd.leave();
    const backMs = await timeUntil(async () => (await footprint(daemon.pid)).descriptors <= before.descriptors);
    return [
      figure(`${when}: descriptors held`, String(descriptors)),
      atMost(`${when}: a client beside them is served after, 99 of 100`, p99, SERVED_WITHIN_MS, inMs),
      figure(`${when}: … half of them, and the last`, `${inMs(median)}, ${inMs(max)}`),
      atMost(`${when}: descriptors are back after their leaving`, backMs, BACK_WITHIN_MS, inMs),
      figure(`${when}: memory for each`, inKibibytes(eachBytes)),
    ];
  } finally {
    await crowd?.leave();
    await daemon.stop();
  }
}

/** Connects, shakes hands, asks and is answered, again and again. */
async function timesOfService(port: number): Promise<number[]> {
  const tookMs: number[] = [];
  while (tookMs.length < ASKED) {
    const began = performance.now();
    await served(port);
    tookMs.push(performance.now() - began);
  }
  return tookMs;
}

export async function served(port: number): Promise<void> {
  const peer = await RawPeer.upgrade(port, '/ws');
  try {
    peer.socket.write(clientFrame(TEXT, '{"id":1,"method":"ping"}'));
    while ((await peer.json()).id !== 1);
  } finally {
    peer.socket.destroy();
  }
}

async function timeUntil(holds: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > PATIENCE_MS) return Number.POSITIVE_INFINITY;
    await delay(20);
  }
  return performance.now() - began;
}
