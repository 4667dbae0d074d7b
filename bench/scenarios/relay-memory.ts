/** The memory of relays that have carried something and are idle now. */
import { setTimeout as delay } from 'node:timers/promises';
import { maxConnectionsOfProcess } from '../../src/transport/descriptors.ts';
import { number } from '../report/format.ts';
import { residentBytes } from '../resident.ts';
import type { Measurement, Scenario, Target, Workload } from '../scenario.ts';
import { haproxyRelay, nginxRelay, ourRelay, type RelaySubject } from '../subjects/relay.ts';
import { KIBIBYTE } from '../units.ts';
import { openRelays, texts } from './relays.ts';

/** The descriptors of a server beside its relays. */
const RESERVED = 100;
/** A relay is two connections. In hundreds, so that it is the same at every run. */
const MOST_RELAYS = Math.floor(((await maxConnectionsOfProcess()) - RESERVED) / 200) * 100;

export const KIB_PER_RELAY = 'KiB per relay';

const AT_A_TIME = 64;
/** As in connection-memory.ts: until Node has given back memory of the past, first that of the start. */
const STARTED_MS = 15_000;
const IDLE_MS = 45_000;
/** Until all are open and have carried so much. */
const STARTING_SECONDS_OF_ALL = 17;

function workload(
  wished: number,
  subjects: readonly RelaySubject[],
  targets: readonly Target[] = [],
): Workload<RelaySubject> {
  const relays = Math.min(wished, MOST_RELAYS);
  return {
    name: `${number(relays)} relays`,
    subjects,
    targets,
    maxRounds: targets.length > 0 ? 2 : 1,
    dropsFirst: false,
    seconds: secondsOfIdle(relays),
    point: { curve: 'idle relays', x: relays },
    measure: (subject) => measureIdle(subject, relays),
  };
}

/** About how long one measurement takes. */
export function secondsOfIdle(relays: number): number {
  return (relays * STARTING_SECONDS_OF_ALL) / 10_000 + (STARTED_MS + IDLE_MS) / 1000;
}

export async function measureIdle(subject: RelaySubject, relays: number): Promise<Measurement> {
  let before = 0;
  const ends = { relays, client: texts(20), agent: texts(64 * KIBIBYTE, 16), answers: true };
  const { pids, agent, clients } = await openRelays(subject, ends, async (server) => {
    await delay(STARTED_MS);
    before = await residentBytes(await server.pids(), 'anonymousBytes');
  });
  await clients.tell('exchange', { lanes: AT_A_TIME });
  await delay(IDLE_MS);
  for (const load of [agent, clients]) await load.tell('intact', {});
  const after = await residentBytes(pids, 'anonymousBytes');
  return {
    work: relays,
    cpuSeconds: 0,
    seconds: 0,
    residentBytes: await residentBytes(pids),
    extra: { [KIB_PER_RELAY]: (after - before) / KIBIBYTE / relays },
  };
}

export const relayMemory: Scenario = {
  name: 'relay-memory',
  title: 'Relay: memory of idle relays',
  description: `${STARTED_MS / 1000} s after the server's start all relays are opened; then each carries 1 MiB from the agent to its client, 16 messages of 64 KiB in one write, ${AT_A_TIME} relays at a time. The figure is read ${IDLE_MS / 1000} s later, without a forced collection: the growth of the server's resident memory, without mapped files, since before the first relay, divided by their number. With few relays that is mostly the room that a runtime takes for young objects once it is busy, or gives back later. nginx and HAProxy are set to let a relay be silent for an hour, or they would end the idle ones. There are as many as the descriptor limit allows, up to 10,000. The daemon goes on with its pings, one for each side of a relay every 25 s; the others send none. No round is dropped.`,
  unit: 'relays',
  baseline: nginxRelay.name,
  headline: KIB_PER_RELAY,
  workloads: [
    workload(100, [ourRelay, nginxRelay]),
    workload(1000, [ourRelay, nginxRelay]),
    workload(
      10_000,
      [ourRelay, nginxRelay, haproxyRelay],
      [{ peer: nginxRelay.name, figure: KIB_PER_RELAY, atMost: 0.9 }],
    ),
  ],
};
