/** What a relay holds while one end pours and the other reads nothing, beyond the kernel's buffers. */
import { setTimeout as delay } from 'node:timers/promises';
import { residentBytes } from '../../bench/resident.ts';
import { KIBIBYTE } from '../../bench/units.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { MASKING_KEY, rawFrame } from '../support/raw-frame.ts';
import { BINARY, type RawAgent, RawPeer } from '../support/raw-peer.ts';
import { atMost, type Figure, figure, inKibibytes, type Part, type Say } from './figure.ts';
import { serveAgents } from './waiting.ts';
import { ASKABLE, waitingBytes } from './waiting-bytes.ts';

const RELAYS = 64;
/** So many are blocked, and closed, before: what the code itself costs is paid by then. */
const FIRST_RELAYS = 8;
const SETTLE_MS = 2000;
const CHUNK = Buffer.alloc(64 * KIBIBYTE);
const FRAME_BYTES = 2n ** 40n;

export type Pouring = 'client to agent' | 'agent to client';

export const relays: Part = {
  title: `${RELAYS} relays, one end pours and the other reads nothing`,
  async run(say) {
    return [...(await figures('client to agent', 128, say)), ...(await figures('agent to client', 64, say))];
  },
};

async function figures(pouring: Pouring, boundKibibytes: number, say: Say): Promise<Figure[]> {
  const { waiting, resident } = await ofDaemon(pouring, say);
  return [
    atMost(`read and not yet given on, for each, ${pouring}`, waiting, boundKibibytes * KIBIBYTE, inKibibytes),
    figure('… resident memory grows by, for each, with what is not collected yet', inKibibytes(resident)),
  ];
}

export async function ofDaemon(pouring: Pouring, say: Say): Promise<Held> {
  const daemon = await Daemon.start({ env: ASKABLE });
  try {
    return await heldByEach(pouring, say, async (agentPort) => {
      const uplink = await Client.open(daemon.registryUrl);
      const params = { id: 'a', machine: '127.0.0.1', cwd: '/', port: agentPort, status: 'active' };
      await uplink.call('register', params);
      return {
        port: daemon.port,
        path: '/ws/agent/a',
        pids: async () => [daemon.pid],
        waiting: () => waitingBytes(daemon),
        stop: async () => uplink.terminate(),
      };
    });
  } finally {
    await daemon.stop();
  }
}

/** For each relay, in bytes. */
interface Held {
  /** Read and not yet given on. */
  waiting: number;
  /** By so much has resident memory grown. */
  resident: number;
}

/** Something that relays to one agent. */
export interface Relaying {
  port: number;
  path: string;
  pids(): Promise<number[]>;
  /** What it has read and not yet given on; where it cannot be asked, its memory tells. */
  waiting?(): Promise<number>;
  stop(): Promise<unknown>;
}

export async function heldByEach(
  pouring: Pouring,
  say: Say,
  start: (agentPort: number) => Promise<Relaying>,
): Promise<Held> {
  const agent = await serveAgents();
  try {
    const relaying = await start(agent.port);
    try {
      return await held(pouring, say, agent, relaying);
    } finally {
      await relaying.stop();
    }
  } finally {
    await agent.stop();
  }
}

async function held(pouring: Pouring, say: Say, agent: RawAgent, relaying: Relaying): Promise<Held> {
  const open = async (count: number) => {
    const clients: RawPeer[] = [];
    const from = agent.peers.length;
    while (clients.length < count) clients.push(await RawPeer.upgrade(relaying.port, relaying.path));
    const agents = agent.peers.slice(from);
    return pouring === 'client to agent' ? { from: clients, to: agents } : { from: agents, to: clients };
  };
  const block = async ({ from, to }: { from: RawPeer[]; to: RawPeer[] }) => {
    for (const { socket } of to) socket.pause();
    let passed = performance.now();
    for (const peer of from) {
      pour(peer, pouring === 'client to agent', () => {
        passed = performance.now();
      });
    }
    while (performance.now() - passed < SETTLE_MS) await delay(100);
  };
  const close = ({ from, to }: { from: RawPeer[]; to: RawPeer[] }) => {
    for (const { socket } of [...from, ...to]) socket.destroy();
  };
  say(`${pouring}: warming up`);
  const first = await open(FIRST_RELAYS);
  await block(first);
  close(first);
  await delay(SETTLE_MS);
  const all = await open(RELAYS);
  await delay(SETTLE_MS);
  const pids = await relaying.pids();
  const measure = async () => {
    const resident = await residentBytes(pids);
    return { resident, waiting: (await relaying.waiting?.()) ?? resident };
  };
  const before = await measure();
  say(`${pouring}: ${RELAYS} relays fill up`);
  await block(all);
  const after = await measure();
  close(all);
  return {
    waiting: (after.waiting - before.waiting) / RELAYS,
    resident: (after.resident - before.resident) / RELAYS,
  };
}

/** One frame without an end, for as long as somebody takes it. */
function pour({ socket }: RawPeer, masked: boolean, onTaken: () => void): void {
  const key = masked ? MASKING_KEY : undefined;
  socket.write(rawFrame({ opcode: BINARY, announcedLength: FRAME_BYTES, maskingKey: key }));
  const more = () => {
    onTaken();
    while (socket.writable && socket.write(CHUNK));
  };
  socket.on('drain', more);
  more();
}
