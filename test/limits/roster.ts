/** How many nodes there can be, and how many bytes of them. */

import { DEFAULT_LIMITS } from '../../src/options.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { inLanes } from '../support/measure.ts';
import { clientFrame, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';
import { atMost, exactly, type Figure, figure, inMebibytes, inMs, type Part, type Say } from './figure.ts';

const REGISTERS = 5000;
const MAX_NODES = 20_000;
const LANES = 16;
/** As long as a folder's name can be, and each byte takes two in JSON. */
const LONGEST_CWD = '"'.repeat(4096);
const DASHBOARDS = 30;
const MAX_HELD_UP_MS = 100;
const FULL = `The roster is full: ${DEFAULT_LIMITS.maxRosterBytes} bytes`;
/** Each lane connects from an address of its own, or the ports of one would run out. */
const SOURCE = (lane: number) => `127.0.0.${2 + lane}`;

export const roster: Part = {
  title: 'The roster',
  async run(say) {
    // They need not all be connected at once: who has left stays in the roster until its time is over.
    const daemon = await Daemon.start({ args: ['--node-ttl', '3600'] });
    try {
      return [...(await oneConnection(daemon)), ...(await full(daemon, say)), ...(await heaviest())];
    } finally {
      await daemon.stop();
    }
  },
};

/** The largest roster that the bytes allow, and what each dashboard that comes to it costs the others. */
export async function heaviest(): Promise<Figure[]> {
  const daemon = await Daemon.start({ args: ['--node-ttl', '3600'] });
  const clients: Client[] = [];
  const open = async (origin?: string) => {
    const client = await Client.open(daemon.registryUrl, [], origin === undefined ? {} : { origin });
    clients.push(client);
    return client;
  };
  try {
    let refusal: string | undefined;
    let nodes = 0;
    while (refusal === undefined) {
      const peer = await open();
      const answer = await peer.call('register', { ...nodeInfo(`heavy-${nodes}`), cwd: LONGEST_CWD });
      refusal = answer.error;
      if (refusal === undefined) nodes++;
      await peer.close();
    }
    const [beside, agent] = [await open(), await open()];
    await beside.call('ping');
    let slowestMs = 0;
    for (let i = 0; i < DASHBOARDS; i++) {
      // Each needs a roster that was not encoded yet.
      await agent.call('register', { ...nodeInfo(`light-${i}`), cwd: '' });
      const came = open('http://localhost').then((dashboard) => dashboard.next());
      const askedAt = performance.now();
      await beside.call('ping');
      slowestMs = Math.max(slowestMs, performance.now() - askedAt);
      await came;
    }
    return [
      exactly('a node more than its bytes allow is told', `\`${refusal}\``, `\`${FULL}\``),
      figure('nodes with the longest fields that it takes', String(nodes)),
      atMost('a client beside a dashboard that comes to it waits', slowestMs, MAX_HELD_UP_MS, inMs),
    ];
  } finally {
    for (const client of clients) client.terminate();
    await daemon.stop();
  }
}

async function oneConnection(daemon: Daemon): Promise<Figure[]> {
  const client = await Client.open(daemon.registryUrl);
  for (let i = 0; i < REGISTERS; i++) client.send({ method: 'register', params: nodeInfo(`r-${i}`) });
  const nodes = (await client.call('list_nodes')).result;
  await client.call('deregister', { id: `r-${REGISTERS - 1}` });
  await client.close();
  return [exactly(`nodes after ${REGISTERS} registers on one connection`, nodes.length, 1)];
}

async function full(daemon: Daemon, say: Say): Promise<Figure[]> {
  await inLanes(MAX_NODES, LANES, async (round) => {
    if (round % 1000 === 0) say(`${round} of ${MAX_NODES} registered`);
    const peer = await RawPeer.connect(daemon.port, { localAddress: SOURCE(round % LANES) });
    const request = { id: 1, method: 'register', params: nodeInfo(`n-${round}`) };
    peer.socket.write(upgradeRequest('/ws'));
    peer.socket.write(clientFrame(TEXT, JSON.stringify(request)));
    await peer.head();
    while ((await peer.json()).id !== 1);
    peer.socket.resetAndDestroy();
  });
  const client = await Client.open(daemon.registryUrl);
  try {
    const answer = await client.call('list_nodes');
    const refused = await client.call('register', nodeInfo('one-too-many'));
    const known = await client.call('register', nodeInfo('n-0'));
    return [
      exactly('nodes a roster takes', answer.result.length, MAX_NODES),
      exactly('one more is told', `\`${refused.error}\``, `\`The roster is full: ${MAX_NODES} nodes\``),
      exactly('one of them that comes back', known.result?.status, 'registered'),
      figure('that roster', inMebibytes(JSON.stringify(answer).length)),
    ];
  } finally {
    client.terminate();
  }
}

function nodeInfo(id: string) {
  return { id, machine: `machine-of-${id}`, cwd: '/home/somebody/project', port: 8080, status: 'active' };
}
