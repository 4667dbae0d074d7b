/** Large messages one way: a long history, a file that is attached. */
import { WRITES_A_TURN } from '../load/pattern.ts';
import type { Load } from '../load/process.ts';
import { measurementOf } from '../measuring.ts';
import type { Measurement, Scenario, Target, Window, Workload } from '../scenario.ts';
import {
  haproxyRelay,
  httpProxyRelay,
  nginx128KiBRelay,
  nginxRelay,
  ourRelay,
  RELAYS,
  type RelaySubject,
} from '../subjects/relay.ts';
import { KIBIBYTE, MEBIBYTE } from '../units.ts';
import { type OpenRelays, OUTPACED, openRelays, pour, SILENT, texts } from './relays.ts';

const CLIENTS = 8;

type Direction = 'down' | 'up';

const TARGETS: Readonly<Record<Direction, readonly Target[]>> = {
  down: [
    { peer: nginxRelay.name, atLeast: 1.9 },
    { peer: nginx128KiBRelay.name, atLeast: 0.95 },
    { peer: haproxyRelay.name, atLeast: 1.15 },
    { peer: httpProxyRelay.name, atLeast: 1.05 },
  ],
  up: [
    { peer: nginxRelay.name, atLeast: 1.75 },
    { peer: nginx128KiBRelay.name, atLeast: 0.8 },
    { peer: haproxyRelay.name, atLeast: 1.15 },
    { peer: httpProxyRelay.name, atLeast: 1.05 },
  ],
};

/** The relays that targets name, and ours. */
const TARGETED = [ourRelay, nginxRelay, nginx128KiBRelay, haproxyRelay, httpProxyRelay];

function workload(size: string, payloadBytes: number, direction: Direction, quick = false): Workload<RelaySubject> {
  return {
    name: `${size}, ${direction}`,
    subjects: payloadBytes === MEBIBYTE ? TARGETED : RELAYS,
    targets: TARGETS[direction],
    ...(payloadBytes === MEBIBYTE && { maxRounds: 3 }),
    quick: quick && [ourRelay.name, nginxRelay.name],
    measure: (subject, window) => measureBulk(subject, window, CLIENTS, payloadBytes, direction),
  };
}

/** How often a server is woken decides here too. */
function unhurried(size: string, payloadBytes: number, direction: Direction): Workload<RelaySubject> {
  return {
    name: `${size}, ${direction}, on all processors`,
    subjects: TARGETED,
    targets: TARGETS[direction],
    measure: (subject, window) => measureBulk(subject, window, CLIENTS, payloadBytes, direction, false),
  };
}

export async function measureBulk(
  subject: RelaySubject,
  window: Window,
  relays: number,
  payloadBytes: number,
  direction: Direction,
  outpaced = true,
): Promise<Measurement> {
  const message = texts(payloadBytes);
  const isDown = direction === 'down';
  const open = await openRelays(subject, {
    relays,
    client: isDown ? SILENT : message,
    agent: isDown ? message : SILENT,
  });
  const [from, to] = fromTo(open, isDown);
  await pour(open, from, outpaced);
  const counted = await to.tell('count', { ...window, pids: open.pids });
  return measurementOf(open.server, { ...counted, work: counted.bytes / MEBIBYTE });
}

function fromTo({ agent, clients }: OpenRelays, isDown: boolean): [Load, Load] {
  return isDown ? [agent, clients] : [clients, agent];
}

export const relayBulk: Scenario = {
  name: 'relay-bulk',
  title: 'Relay: bulk',
  description: `Text messages, each as one frame and one write, one way over ${CLIENTS} relays: down, from the agent to its clients, or up, masked. They are written in turn, up to ${WRITES_A_TURN} writes each, as long as the kernel takes them. ${OUTPACED} In the workloads "on all processors", the system places and schedules every process freely.`,
  unit: 'MiB',
  baseline: nginxRelay.name,
  workloads: [
    workload('64 KiB', 64 * KIBIBYTE, 'down', true),
    workload('64 KiB', 64 * KIBIBYTE, 'up'),
    workload('1 MiB', MEBIBYTE, 'down'),
    workload('1 MiB', MEBIBYTE, 'up'),
    unhurried('64 KiB', 64 * KIBIBYTE, 'down'),
    unhurried('64 KiB', 64 * KIBIBYTE, 'up'),
  ],
};
