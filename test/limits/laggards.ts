/** Readers of the roster that do not read while 60,000 events pass, and a dashboard beside them that does. */
import { setTimeout as delay } from 'node:timers/promises';
import { growthWhile } from '../../bench/resident.ts';
import { MEBIBYTE } from '../../bench/units.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually } from '../support/measure.ts';
import { clientFrame, RawPeer, TEXT } from '../support/raw-peer.ts';
import { atMost, exactly, type Figure, figure, inMebibytes, inMs, type Part, type Say, spread } from './figure.ts';

const EVENTS = 60_000;
const EVENTS_A_BATCH = 300;
const BATCH_EVERY_MS = 50;
/** A round of events that makes it grow by less is a steady one. */
const STEADY_BYTES = MEBIBYTE;
const MAX_WARM_UPS = 10;
/** In batches so large V8 soon lets the young part of its heap grow to its full size, a step that would come some time. */
const EVENTS_A_WARM_BATCH = 1500;
/** So much is stuck in the kernel's buffers, some megabytes for each reader, long before the last event. */
const CWD = `/${'x'.repeat(255)}`;
const LAGGARD_PATIENCE_MS = 45_000;
const CLOSED = 'a reader that did not read was closed';

export const laggards: Part = {
  title: `Readers that never read while ${EVENTS} events pass`,
  async run(say) {
    const daemon = await Daemon.start();
    let dashboard: Client | undefined;
    let agent: RawPeer | undefined;
    try {
      dashboard = await Client.open(daemon.registryUrl);
      agent = await RawPeer.upgrade(daemon.port, '/ws');
      const crew = { daemon, dashboard, agent };
      const { rounds, grownBytes } = await warmUp(crew, say);
      return [
        figure(`warming up, ${rounds} times as many events: the daemon grows by`, inMebibytes(grownBytes)),
        ...(await among(crew, 1, 8, say)),
        ...(await among(crew, 50, 64, say)),
      ];
    } finally {
      dashboard?.terminate();
      agent?.socket.destroy();
      await daemon.stop();
    }
  },
};

interface Crew {
  daemon: Daemon;
  dashboard: Client;
  agent: RawPeer;
}

/**
 * Until the heap has the size that such traffic and such readers give it, twice in a row: that is no part of what the next
 * reader costs. The one of each round has left, and what was kept for it with it.
 */
async function warmUp(crew: Crew, say: Say): Promise<{ rounds: number; grownBytes: number }> {
  let grownBytes = 0;
  let steadyRounds = 0;
  let rounds = 0;
  while (steadyRounds < 2 && rounds < MAX_WARM_UPS) {
    const sleeper = await fallAsleep(crew.daemon);
    const grown = await growthWhile([crew.daemon.pid], async () => {
      await pour(crew, say, `warming up, round ${++rounds}, `, EVENTS_A_WARM_BATCH);
    });
    sleeper.terminate();
    grownBytes += grown;
    steadyRounds = grown < STEADY_BYTES ? steadyRounds + 1 : 0;
  }
  return { rounds, grownBytes };
}

async function fallAsleep(daemon: Daemon): Promise<Client> {
  const sleeper = await Client.open(daemon.registryUrl);
  await sleeper.nextJson();
  sleeper.socket.pause();
  return sleeper;
}

async function among(crew: Crew, count: number, boundMebibytes: number, say: Say): Promise<Figure[]> {
  const { daemon } = crew;
  const who = count === 1 ? 'one' : `${count}`;
  const sleepers: Client[] = [];
  try {
    for (let i = 0; i < count; i++) sleepers.push(await fallAsleep(daemon));
    let delaysMs: number[] = [];
    const grownBytes = await growthWhile([daemon.pid], async () => {
      delaysMs = await pour(crew, say, `${who}, `);
    });
    const { median, p99, max } = spread(delaysMs);
    return [
      atMost(`${who}: the daemon grows by`, grownBytes, boundMebibytes * MEBIBYTE, inMebibytes),
      atMost(`${who}: a dashboard beside sees an event after, 99 of 100`, p99, 50, inMs),
      figure(`${who}: … half of them, and the last`, `${inMs(median)}, ${inMs(max)}`),
      ...(await outcome(daemon, sleepers, who, say)),
    ];
  } finally {
    for (const client of sleepers) client.terminate();
  }
}

/** Half of them begin to read, the others never do. */
async function outcome(daemon: Daemon, sleepers: Client[], who: string, say: Say): Promise<Figure[]> {
  const waking = sleepers.slice(0, Math.ceil(sleepers.length / 2));
  const sleeping = sleepers.slice(waking.length);
  let inits = 0;
  await Promise.all(
    waking.map(async (client) => {
      client.socket.resume();
      await client.until(({ event }) => event === 'init');
      inits++;
    }),
  );
  const figures = [exactly(`${who}: brought up to date by a fresh roster, once they read`, inits, waking.length)];
  if (sleeping.length === 0) return figures;

  const closed = () => daemon.stderr.split(CLOSED).length - 1;
  const untilClosed = eventually(() => {
    say(`${closed()} of ${sleeping.length} closed`);
    if (closed() < sleeping.length) throw new Error(`only ${closed()} closed`);
  }, LAGGARD_PATIENCE_MS);
  await untilClosed.catch(() => {});
  for (const client of sleeping) client.socket.resume();
  const codes = await Promise.all(sleeping.map((client) => client.closed));
  figures.push(
    exactly(`${who}: counted as closed, after 30 s without reading`, closed(), sleeping.length),
    exactly(`${who}: closed with 1013`, codes.filter(({ code }) => code === 1013).length, sleeping.length),
  );
  return figures;
}

/** Registers the same node again and again. @returns how long after its batch was sent the dashboard saw each event */
async function pour(
  { agent, dashboard }: Crew,
  say: Say,
  what: string,
  eventsABatch = EVENTS_A_BATCH,
): Promise<number[]> {
  const sentAt: number[] = [];
  const delaysMs: number[] = [];
  const { socket } = agent;
  // Nobody reads the answers.
  socket.removeAllListeners('data').resume();
  const seen = (payload: Buffer) => {
    const now = performance.now();
    const { event, node } = JSON.parse(payload.toString());
    if (event === 'node_joined') delaysMs.push(now - (sentAt[node.pid] as number));
  };
  dashboard.socket.on('message', seen);
  for (let sent = 0; sent < EVENTS; sent += eventsABatch) {
    const frames = Array.from({ length: eventsABatch }, (_, i) => clientFrame(TEXT, registration(sent + i)));
    const now = performance.now();
    for (let i = 0; i < eventsABatch; i++) sentAt.push(now);
    socket.write(Buffer.concat(frames));
    say(`${what}${sent} of ${EVENTS} events`);
    await delay(BATCH_EVERY_MS);
  }
  await eventually(() => {
    if (delaysMs.length < EVENTS) throw new Error(`only ${delaysMs.length} events came`);
  });
  dashboard.socket.off('message', seen);
  return delaysMs;
}

function registration(pid: number): string {
  const params = { id: 'churning', machine: 'm', cwd: CWD, port: 1, status: 'active', pid };
  return JSON.stringify({ method: 'register', params });
}
