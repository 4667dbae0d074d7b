/** How many nodes there can be. */
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { inLanes } from '../support/measure.ts';
import { clientFrame, RawPeer, TEXT, upgradeRequest } from '../support/raw-peer.ts';
import { exactly, type Figure, figure, inMebibytes, type Part, type Say } from './figure.ts';

const REGISTERS = 5000;
const MAX_NODES = 20_000;
const LANES = 16;
/** Each lane connects from an address of its own, or the ports of one would run out. */
const SOURCE = (lane: number) => `127.0.0.${2 + lane}`;

export const roster: Part = {
  title: 'The roster',
  async run(say) {
    // They need not all be connected at once: who has left stays in the roster until its time is over.
    const daemon = await Daemon.start({ args: ['--node-ttl', '3600'] });
    try {
      return [...(await oneConnection(daemon)), ...(await full(daemon, say))];
    } finally {
      await daemon.stop();
    }
  },
};

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
