/** The cost of an opening handshake: connections that come and go. */
import { Load } from '../load/process.ts';
import { measurementOf } from '../measuring.ts';
import type { Scenario, StartableSubject, Target, Workload } from '../scenario.ts';
import { bunEcho, ECHO_SUBJECT, netEcho, ourEcho, wsEcho } from '../subjects/echo.ts';
import { ourRegistry, wsRegistry } from '../subjects/registry.ts';
import { YARDSTICK } from '../subjects/yardstick.ts';

const AT_A_TIME = 32;
const WARM_UP_HANDSHAKES = 4000;

/** The baseline's name is that of the library. */
const wsSendingRoster = { ...wsRegistry, name: wsEcho.name };

function workload(
  name: string,
  command: 'shakeHands' | 'visit',
  subjects: readonly StartableSubject[],
  targets: readonly Target[],
  quick = false,
): Workload<StartableSubject> {
  return {
    name,
    subjects,
    targets,
    quick: quick && [ourEcho.name, wsEcho.name],
    seconds: 3.5,
    async measure(subject, window) {
      const server = await subject.start();
      const options = {
        ...window,
        warmUpWork: WARM_UP_HANDSHAKES,
        port: server.port,
        nodes: 0,
        atATime: AT_A_TIME,
        pids: await server.pids(),
      };
      return measurementOf(server, await new Load().tell(command, options));
    },
  };
}

export const handshake: Scenario = {
  name: 'handshake',
  title: 'Handshakes',
  description: `${ECHO_SUBJECT} Each handshake is a whole connection: TCP connect, the upgrade request in one write, the 101 checked, TCP close by the client without a closing handshake; ${AT_A_TIME} at a time. At the registry, which is empty, the client also waits for the roster after the 101. The latency lasts from the connect to the 101, or to the roster. At least ${WARM_UP_HANDSHAKES} of them are the warm-up. The yardstick, ${YARDSTICK.name}, finds the key in the request and writes a 101.`,
  unit: 'handshakes',
  baseline: wsEcho.name,
  workloads: [
    workload('echo', 'shakeHands', [ourEcho, wsEcho, bunEcho, netEcho], [{ peer: wsEcho.name, atLeast: 1.5 }], true),
    workload('registry', 'visit', [ourRegistry, wsSendingRoster], [{ peer: wsEcho.name, atLeast: 1.5 }]),
  ],
};
