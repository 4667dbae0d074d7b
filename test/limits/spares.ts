/** A thousand agents that open connections for the daemon: what the connections that wait for a relay cost. */
import { setTimeout as delay } from 'node:timers/promises';
import { residentBytes } from '../../bench/resident.ts';
import { KIBIBYTE } from '../../bench/units.ts';
import { Daemon } from '../support/daemon.ts';
import { footprint } from '../support/measure.ts';
import { clientFrame, RawPeer, TEXT } from '../support/raw-peer.ts';
import { atMost, exactly, type Figure, inKibibytes, type Part, type Say } from './figure.ts';

const AGENTS = 1000;
const SPARE_BYTES = 12 * KIBIBYTE;
const SETTLE_MS = 2000;

interface Cost {
  descriptors: number;
  bytes: number;
}

export const spares: Part = {
  title: `${AGENTS} agents that open connections for the daemon`,
  async run(say): Promise<Figure[]> {
    const dialled = await costOf(false, say);
    const back = await costOf(true, say);
    return [
      exactly('descriptors for each: registration and spare', Math.round(back.descriptors / AGENTS), 2),
      atMost('memory for the spare of each', (back.bytes - dialled.bytes) / AGENTS, SPARE_BYTES, inKibibytes),
    ];
  },
};

/** Registers them with a daemon of their own. */
async function costOf(dialsBack: boolean, say: Say): Promise<Cost> {
  const daemon = await Daemon.start();
  const peers: RawPeer[] = [];
  try {
    const before = await footprint(daemon.pid);
    for (let i = 0; i < AGENTS; i++) {
      say(`${i} of ${AGENTS} registered`);
      const uplink = await RawPeer.upgrade(daemon.port, '/ws');
      peers.push(uplink);
      const place = { machine: `machine-${i}`, cwd: '/work', port: 8080, status: 'active' };
      const params = { id: `agent-${i}`, ...place, ...(dialsBack && { dial_back: true }) };
      uplink.socket.write(clientFrame(TEXT, JSON.stringify({ id: 1, method: 'register', params })));
      while ((await uplink.json()).id !== 1);
      if (dialsBack) peers.push(await RawPeer.upgrade(daemon.port, `/ws/back/${(await uplink.json()).ticket}`));
    }
    await delay(SETTLE_MS);
    const { descriptors } = await footprint(daemon.pid);
    const bytes = (await residentBytes([daemon.pid])) - before.residentBytes;
    return { descriptors: descriptors - before.descriptors, bytes };
  } finally {
    for (const { socket } of peers) socket.destroy();
    await daemon.stop();
  }
}
