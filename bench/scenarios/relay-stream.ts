/** Agents at work: their clients watch answers grow. */
import type { WritePattern } from '../load/pattern.ts';
import { measurementOf } from '../measuring.ts';
import type { Measurement, Scenario, Target, Window, Workload } from '../scenario.ts';
import { nginxRelay, ourRelay, RELAYS, type RelaySubject, wsRelay } from '../subjects/relay.ts';
import { KIBIBYTE } from '../units.ts';
import { openRelays, SILENT } from './relays.ts';

export const STREAMS_AT_ONCE = 64;
const FEW = [ourRelay, nginxRelay, wsRelay];

function workload(
  name: string,
  payloadBytes: readonly number[],
  perSecond: number,
  subjects: readonly RelaySubject[],
  targets: readonly Target[] = [],
  quick = false,
): Workload<RelaySubject> {
  return {
    name: `${name}, ${STREAMS_AT_ONCE} × ${perSecond}/s`,
    subjects,
    targets,
    ...(targets.length === 0 && { maxRounds: 2 }),
    quick: quick && [ourRelay.name, nginxRelay.name],
    measure: (subject, window) => measureStream(subject, window, payloadBytes, perSecond),
  };
}

export async function measureStream(
  subject: RelaySubject,
  window: Window,
  payloadBytes: readonly number[],
  perSecond: number,
): Promise<Measurement> {
  const pattern: WritePattern = { payloadBytes, messagesPerWrite: 1, text: true, stamped: true };
  const { server, pids, agent, clients } = await openRelays(subject, {
    relays: STREAMS_AT_ONCE,
    client: SILENT,
    agent: pattern,
  });
  await agent.tell('pour', { writesPerSecond: perSecond });
  return measurementOf(server, await clients.tell('count', { ...window, pids }));
}

/** Every update of a message repeats the whole message so far. */
function growing(from: number, to: number): number[] {
  const steps = 64;
  return Array.from({ length: steps }, (_, i) => Math.round(from + ((to - from) * i) / (steps - 1)));
}

export const relayStream: Scenario = {
  name: 'relay-stream',
  title: 'Relay: streams',
  description: `An agent writes text messages on ${STREAMS_AT_ONCE} relays at a steady pace, one relay after the other, each message as one frame and one write. Every millisecond it writes the messages that are due by then. The messages of a real pi grow from one to the next, from 0.3 to 1.7 KiB or from 0.8 to 23.2 KiB, and then begin anew. The latency lasts from the agent's write until the client has read the whole message, which contains the time of the write.`,
  unit: 'messages',
  baseline: nginxRelay.name,
  workloads: [
    workload('deltas of 100 B', [100], 200, RELAYS, [{ peer: nginxRelay.name, atLeast: 0.95 }], true),
    workload('pi, median 1 KiB', growing(0.3 * KIBIBYTE, 1.7 * KIBIBYTE), 100, FEW),
    workload('pi, median 12 KiB', growing(0.8 * KIBIBYTE, 23.2 * KIBIBYTE), 50, FEW),
  ],
};
