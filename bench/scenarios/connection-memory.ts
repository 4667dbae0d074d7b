/** The memory of connections that have carried a few messages and are idle now. */
import { setTimeout as delay } from 'node:timers/promises';
import { maxConnectionsOfProcess } from '../../src/transport/descriptors.ts';
import { Load } from '../load/process.ts';
import { residentBytes } from '../resident.ts';
import type { Scenario, StartableSubject, Target, Workload } from '../scenario.ts';
import { bunEcho, ECHO_SUBJECT, netEcho, ourEcho, wsEcho } from '../subjects/echo.ts';
import { ourRegistry, wsRegistry } from '../subjects/registry.ts';
import { KIBIBYTE } from '../units.ts';

/** The descriptors of a server beside its connections. */
const RESERVED = 100;
const MOST_CONNECTIONS = (await maxConnectionsOfProcess()) - RESERVED;
const MESSAGES = 3;
const AT_A_TIME = 64;
/**
 * V8 gives the room of young objects back once it has seen for half a minute that it is not needed: then all are idle.
 */
const IDLE_MS = 45_000;
const QUICK_IDLE_MS = 1000;
const QUICK_CONNECTIONS = Math.min(1000, MOST_CONNECTIONS);
/** How long after its start a server has given back the memory of the start. */
const STARTED_MS = 15_000;

/** Until so many are open and have carried something. */
const STARTING_SECONDS = 4;

const FIGURE = 'KiB per connection';
const AT_MOST = 0.65;

type Carry = (load: Load, port: number, connections: number) => Promise<void>;

async function echo(load: Load, port: number, connections: number): Promise<void> {
  await load.tell('connect', {
    port,
    paths: ['/'],
    connections,
    pattern: { payloadBytes: [125], messagesPerWrite: 1 },
  });
  for (let i = 0; i < MESSAGES; i++) await load.tell('exchange', { lanes: AT_A_TIME });
}

async function callRegistry(load: Load, port: number, connections: number): Promise<void> {
  await load.tell('callRegistry', { port, connections, times: MESSAGES });
}

function workload(
  curve: string,
  wished: number,
  carry: Carry,
  subjects: readonly StartableSubject[],
  targets: readonly Target[] = [],
): Workload<StartableSubject> {
  const connections = Math.min(wished, MOST_CONNECTIONS);
  return {
    ...rested(connections, carry, STARTED_MS, IDLE_MS),
    name: `${curve}, ${connections.toLocaleString('en-US')} connections`,
    subjects,
    targets,
    maxRounds: targets.length > 0 ? 2 : 1,
    point: { curve, x: connections },
  };
}

/** For people who have a minute: it includes memory that V8 would give back. */
const QUICK_WORKLOAD: Workload<StartableSubject> = {
  ...rested(QUICK_CONNECTIONS, echo, 0, QUICK_IDLE_MS),
  name: `echo, ${QUICK_CONNECTIONS.toLocaleString('en-US')} connections, after ${QUICK_IDLE_MS / 1000} s`,
  subjects: [ourEcho, wsEcho],
  targets: [],
  maxRounds: 1,
  quick: true,
};

type Resting = Pick<Workload<StartableSubject>, 'dropsFirst' | 'seconds' | 'measure'>;

function rested(connections: number, carry: Carry, startedMs: number, idleMs: number): Resting {
  return {
    dropsFirst: false,
    seconds: STARTING_SECONDS + (startedMs + idleMs) / 1000,
    async measure(subject) {
      const server = await subject.start();
      const pids = await server.pids();
      await delay(startedMs);
      const before = await residentBytes(pids, 'anonymousBytes');
      const load = new Load();
      await carry(load, server.port, connections);
      await delay(idleMs);
      await load.tell('intact', {});
      const after = await residentBytes(pids, 'anonymousBytes');
      const extra = { [FIGURE]: (after - before) / KIBIBYTE / connections };
      return { work: connections, cpuSeconds: 0, seconds: 0, residentBytes: await residentBytes(pids), extra };
    },
  };
}

const TARGETS: readonly Target[] = [{ peer: wsEcho.name, figure: FIGURE, atMost: AT_MOST }];
const ECHOES = [ourEcho, wsEcho, bunEcho, netEcho];
const REGISTRIES = [ourRegistry, { ...wsRegistry, name: wsEcho.name }];

export const connectionMemory: Scenario = {
  name: 'connection-memory',
  title: 'Memory of idle connections',
  description: `${ECHO_SUBJECT} ${STARTED_MS / 1000} s after the server's start all connections are opened, and each carries ${MESSAGES} messages of 125 bytes and their echoes, or ${MESSAGES} requests to a registry and their answers, ${AT_A_TIME} connections at a time. The figure is read ${IDLE_MS / 1000} s later, without a forced collection: the growth of the server's resident memory, without mapped files, since before the first connection, divided by their number. With few connections that is mostly the room that a runtime takes for young objects once it is busy, or gives back later. There are as many as the descriptor limit allows, up to 10,000. The daemon goes on with its pings, one for each connection every 25 s; the others send none. No round is dropped.`,
  unit: 'connections',
  baseline: wsEcho.name,
  headline: FIGURE,
  workloads: [
    QUICK_WORKLOAD,
    workload('echo', 100, echo, [ourEcho, wsEcho]),
    workload('echo', 1000, echo, [ourEcho, wsEcho]),
    workload('echo', 10_000, echo, ECHOES, TARGETS),
    workload('registry', 100, callRegistry, REGISTRIES),
    workload('registry', 1000, callRegistry, REGISTRIES),
    workload('registry', 10_000, callRegistry, REGISTRIES, TARGETS),
  ],
};
