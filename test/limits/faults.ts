/** What breaks, and how soon who is left knows and all is as before. What only waits is measured beside the rest. */

import { KIBIBYTE } from '../../bench/units.ts';
import { FaultyProxy } from '../faults/faulty-proxy.ts';
import { killAgent } from '../faults/killed-agent.ts';
import { Resets } from '../faults/resets.ts';
import { killAndRestart } from '../faults/returning.ts';
import { Agent } from '../support/agent.ts';
import { Client } from '../support/client.ts';
import { Daemon } from '../support/daemon.ts';
import { eventually, footprint } from '../support/measure.ts';
import { CollectedDaemon } from './collected.ts';
import {
  atMost,
  exactly,
  type Figure,
  figure,
  inMebibytes,
  inMs,
  inSeconds,
  type Part,
  type Say,
  spread,
} from './figure.ts';
import { countingSeconds } from './timeouts.ts';

const KILLED_AGENTS = 20;
const TOLD_WITHIN_MS = 100;

const DIALLED_WITHIN_MS = 5000;
const DEAD_WITHIN_MS = 75_000;
/** The wheel's tick, and what a busy machine may add. */
const SLACK_MS = 1000;

const RESETS = 10_000;
const LANES = 24;
const COLLECTED_AFTER = [1000, 5000, 10_000, 20_000];
const HEAP_GROWS_BY_BYTES = 1024 * KIBIBYTE;

const POPULATION = { agents: 100, dashboards: 20 };
const BACK_WITHIN_MS = 6000;
const PAUSES_MS = [0, 1000, 2500];

export const faults: Part = {
  title: 'Faults',
  async run(say) {
    const waiting = [
      within('an agent swallows the dial: the client is told after', DIALLED_WITHIN_MS, swallowed('dial')),
      within('an open relay, its agent is swallowed: the client is told after', DEAD_WITHIN_MS, swallowed('agent')),
      within('an open relay, its client is swallowed: the agent is told after', DEAD_WITHIN_MS, swallowed('client')),
    ];
    return [
      ...(await killedAgents(say)),
      ...(await killedDaemons(say)),
      ...(await resets(say)),
      ...(await collected(say)),
      ...(await countingSeconds(say, waiting)),
    ];
  },
};

async function killedAgents(say: Say): Promise<Figure[]> {
  const daemon = await Daemon.start();
  try {
    const dashboards: number[] = [];
    const relays: number[] = [];
    for (let round = 0; round < KILLED_AGENTS; round++) {
      say(`${round} of ${KILLED_AGENTS} agents killed`);
      const told = await killAgent(daemon, `killed-${round}`);
      dashboards.push(told.dashboardMs);
      relays.push(told.relayMs);
    }
    return [told('a dashboard is told', dashboards), told('the client of its relay is told', relays)];
  } finally {
    await daemon.stop();
  }
}

function told(whom: string, tookMs: readonly number[]): Figure {
  const { median, max } = spread(tookMs);
  return {
    ...atMost(`an agent is killed: ${whom} after, the last of ${tookMs.length}; half`, max, TOLD_WITHIN_MS, inMs),
    measured: `${inMs(max)}; ${inMs(median)}`,
  };
}

async function killedDaemons(say: Say): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const pauseMs of PAUSES_MS) {
    const what = `SIGKILL under 100 agents and 20 dashboards, started again ${inSeconds(pauseMs)} later`;
    say(what);
    const { backMs, ghosts, doubles } = await killAndRestart(POPULATION, pauseMs, 3 * BACK_WITHIN_MS);
    figures.push(
      atMost(`${what}: all are back after its port opened`, backMs, BACK_WITHIN_MS, inSeconds),
      exactly('… ghosts, doubles', `${ghosts.length}, ${doubles.length}`, '0, 0'),
    );
  }
  return figures;
}

async function resets(say: Say): Promise<Figure[]> {
  const daemon = await Daemon.start();
  return resetting(daemon, async (lanes) => {
    const before = await footprint(daemon.pid);
    const began = performance.now();
    await lanes.run(RESETS, (done) => say(`${done} of ${RESETS} resets`));
    const tookMs = performance.now() - began;
    const after = await eventually(async () => {
      const now = await footprint(daemon.pid);
      if (now.descriptors > before.descriptors) throw new Error('descriptors are not back');
      return now;
    }).catch(() => footprint(daemon.pid));
    return [
      figure(`${RESETS} resets, at every stage of relays and registry connections, took`, inSeconds(tookMs)),
      atMost('… descriptors afterwards, and before', after.descriptors, before.descriptors, String),
      exactly('… the daemon lives', String(daemon.process.exitCode === null), 'true'),
      exactly('… faults it logged', daemon.stderr.split('"level":"error"').length - 1, 0),
    ];
  });
}

/** Its resident memory grows with garbage that was not worth collecting yet: what is held on to is seen without it. */
async function collected(say: Say): Promise<Figure[]> {
  const daemon = await CollectedDaemon.start();
  return resetting(daemon, async (lanes) => {
    const held = [];
    for (const [i, count] of COLLECTED_AFTER.entries()) {
      await lanes.run(count - (COLLECTED_AFTER[i - 1] ?? 0), (done) => say(`${done} resets of a daemon within reach`));
      // Closing handshakes that nobody answers any more take their time.
      await eventually(async () => {
        if ((await daemon.held()).connections > LANES) throw new Error('connections are left');
      });
      held.push(await daemon.held());
    }
    const heaps = held.map(({ heapBytes }) => heapBytes);
    // The first thousands compile code and fill caches.
    const grownBytes = (heaps.at(-1) as number) - (heaps[1] as number);
    return [
      figure(
        `heap in use, garbage collected, after ${COLLECTED_AFTER.join(', ')} resets`,
        heaps.map((bytes) => inMebibytes(bytes)).join(', '),
      ),
      figure('… resident memory then', held.map(({ residentBytes }) => inMebibytes(residentBytes)).join(', ')),
      atMost('… the heap grows in the last 15,000 by', grownBytes, HEAP_GROWS_BY_BYTES, inMebibytes),
      exactly('… connections then, beside the agents of the resets', (held.at(-1)?.connections ?? 0) - LANES, 0),
    ];
  });
}

/** Ends the daemon afterwards. */
async function resetting(
  daemon: { port: number; stop(): Promise<unknown> },
  act: (lanes: Resets) => Promise<Figure[]>,
): Promise<Figure[]> {
  let lanes: Resets | null = null;
  try {
    lanes = await Resets.open(daemon.port, LANES);
    return await act(lanes);
  } finally {
    await lanes?.close();
    await daemon.stop();
  }
}

/** @returns how long until the other side of the relay is told, in milliseconds */
async function swallowed(leg: 'dial' | 'agent' | 'client'): Promise<number> {
  const daemon = await Daemon.start();
  const ended = { agent: () => {} };
  const agentEnded = new Promise<void>((resolve) => {
    ended.agent = resolve;
  });
  const agent = await Agent.serve({
    onConnection: (socket) => {
      socket.on('message', (payload) => socket.send(payload));
      socket.once('close', ended.agent);
    },
  });
  const proxy = await (leg === 'client'
    ? FaultyProxy.open(daemon.port, 'daemon')
    : FaultyProxy.open(agent.port, 'peer'));
  if (leg === 'dial') proxy.plan = { fault: 'blackhole', speaker: 'daemon', afterBytes: 0 };
  try {
    await agent.register(daemon.registryUrl, 'a', leg === 'client' ? {} : { port: proxy.port });
    let began = performance.now();
    const client = await Client.open(
      leg === 'client' ? `ws://127.0.0.1:${proxy.port}/ws/agent/a` : daemon.relayUrl('a'),
    );
    if (leg === 'dial') {
      await client.next();
    } else {
      client.send('are you there?');
      await client.next();
      await proxy.inject('blackhole');
      began = performance.now();
      await (leg === 'agent' ? client.closed : agentEnded);
    }
    return performance.now() - began;
  } finally {
    await daemon.stop();
    await proxy.stop();
    await agent.stop();
  }
}

async function within(what: string, boundMs: number, waiting: Promise<number>): Promise<Figure> {
  return { ...atMost(what, await waiting, boundMs + SLACK_MS, inSeconds), bound: `≤ ${inSeconds(boundMs)}` };
}
