/** Messages that come back: the cost of one, small and large, alone and sixteen at a time. */
import { Load } from '../load/process.ts';
import { measurementOf } from '../measuring.ts';
import { shareProcessor } from '../processor.ts';
import type { Scenario, StartableSubject, Target, Workload } from '../scenario.ts';
import { bunEcho, ECHO_SUBJECT, netEcho, ourEcho, wsBufferutilEcho, wsEcho } from '../subjects/echo.ts';
import { YARDSTICK } from '../subjects/yardstick.ts';
import { KIBIBYTE, MEBIBYTE } from '../units.ts';

const LIBRARIES = [ourEcho, wsEcho];
const ALL = [...LIBRARIES, wsBufferutilEcho, bunEcho];

function workload(
  size: string,
  payloadBytes: number,
  depth: number,
  subjects: readonly StartableSubject[],
  atLeast: number | null = null,
  quick = false,
): Workload<StartableSubject> {
  const targets: Target[] = atLeast === null ? [] : [{ peer: wsEcho.name, atLeast }];
  return {
    name: `${size}, depth ${depth}`,
    subjects,
    targets,
    ...(atLeast === null && { maxRounds: 2 }),
    quick: quick && LIBRARIES.map(({ name }) => name),
    async measure(subject, window) {
      const load = new Load();
      const server = await subject.start();
      await load.tell('connect', {
        port: server.port,
        paths: ['/'],
        connections: payloadBytes === MEBIBYTE ? 4 : 32,
        pattern: { payloadBytes: [payloadBytes], messagesPerWrite: depth },
      });
      const pids = await server.pids();
      await shareProcessor([...pids, load.pid]);
      const counted = await load.tell('roundTrips', { ...window, pids });
      return measurementOf(server, counted);
    },
  };
}

export const echo: Scenario = {
  name: 'echo',
  title: 'Echo',
  description: `${ECHO_SUBJECT} Binary messages, each as one frame; 32 connections, 4 for 1 MiB. Load and server share one processor. At depth 16 a client writes 16 messages in one write, and the next 16 once all have come back; the latency is that of all 16. The yardstick, ${YARDSTICK.name}, knows only messages of up to 125 bytes.`,
  unit: 'messages',
  baseline: wsEcho.name,
  workloads: [
    workload('20 B', 20, 1, [...LIBRARIES, netEcho], 1.12),
    workload('20 B', 20, 16, LIBRARIES),
    workload('125 B', 125, 1, [...ALL, netEcho], 1.12, true),
    workload('125 B', 125, 16, [...ALL, netEcho], 9, true),
    workload('1 KiB', KIBIBYTE, 1, LIBRARIES, 1.12),
    workload('1 KiB', KIBIBYTE, 16, ALL, 7, true),
    workload('64 KiB', 64 * KIBIBYTE, 1, ALL, 4, true),
    workload('64 KiB', 64 * KIBIBYTE, 16, LIBRARIES, 4),
    workload('1 MiB', MEBIBYTE, 1, LIBRARIES),
    workload('1 MiB', MEBIBYTE, 16, LIBRARIES),
  ],
};
