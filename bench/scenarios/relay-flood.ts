/** Agents that write as fast as they are read. */
import { WRITES_A_TURN } from '../load/pattern.ts';
import { measurementOf } from '../measuring.ts';
import type { Measurement, Scenario, Target, Window, Workload } from '../scenario.ts';
import {
  haproxyRelay,
  nginxRelay,
  ourRelay,
  pipeRelay,
  RELAYS,
  type RelaySubject,
  wsRelay,
} from '../subjects/relay.ts';
import { OUTPACED, openRelays, pour, SILENT, texts } from './relays.ts';

const RELAYS_AT_ONCE = 64;
const FEW = [ourRelay, nginxRelay, haproxyRelay, pipeRelay];
/** The targets, × nginx. */
const ONE_FRAME = 1;
const TWENTY_FRAMES = 1.9;

function workload(
  messagesPerWrite: number,
  subjects: readonly RelaySubject[],
  targets: readonly Target[],
  quick = false,
): Workload<RelaySubject> {
  return {
    name: `100 B, ${messagesPerWrite === 1 ? 'one frame' : `${messagesPerWrite} frames`} a write`,
    subjects,
    targets,
    quick: quick && [ourRelay.name, nginxRelay.name],
    measure: (subject, window) => measureFlood(subject, window, RELAYS_AT_ONCE, messagesPerWrite),
  };
}

/** How often a server is woken decides here, which changes from machine to machine and from run to run. */
function unhurried(messagesPerWrite: number): Workload<RelaySubject> {
  return {
    name: `100 B, ${messagesPerWrite === 1 ? 'one frame' : `${messagesPerWrite} frames`} a write, on all processors`,
    subjects: FEW,
    targets: [{ peer: nginxRelay.name, atLeast: messagesPerWrite === 1 ? ONE_FRAME : TWENTY_FRAMES }],
    measure: (subject, window) => measureFlood(subject, window, RELAYS_AT_ONCE, messagesPerWrite, false),
  };
}

export async function measureFlood(
  subject: RelaySubject,
  window: Window,
  relays: number,
  messagesPerWrite: number,
  outpaced = true,
): Promise<Measurement> {
  const open = await openRelays(subject, {
    relays,
    client: SILENT,
    agent: { ...texts(100, messagesPerWrite), verbatim: true },
  });
  await pour(open, open.agent, outpaced);
  return measurementOf(open.server, await open.clients.tell('count', { ...window, pids: open.pids }));
}

export const relayFlood: Scenario = {
  name: 'relay-flood',
  title: 'Relay: flood',
  description: `An agent writes text messages on ${RELAYS_AT_ONCE} relays in turn, up to ${WRITES_A_TURN} writes each, as long as the kernel takes them. The messages of a write leave in one system call, and nothing else shares it. ${OUTPACED} In the workloads "on all processors", the system places and schedules every process freely. All arriving messages are compared byte by byte.`,
  unit: 'messages',
  baseline: nginxRelay.name,
  workloads: [
    workload(1, FEW, [{ peer: nginxRelay.name, atLeast: ONE_FRAME }]),
    workload(
      20,
      RELAYS,
      [
        { peer: nginxRelay.name, atLeast: TWENTY_FRAMES },
        { peer: wsRelay.name, atLeast: 20 },
      ],
      true,
    ),
    unhurried(1),
    unhurried(20),
  ],
};
