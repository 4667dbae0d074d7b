/** The cost of opening a relay: relays that are opened, used for one message, and left. */
import { Load } from '../load/process.ts';
import { measurementOf } from '../measuring.ts';
import { outpace } from '../processor.ts';
import type { Scenario, Workload } from '../scenario.ts';
import {
  httpProxyRelay,
  nginx128KiBRelay,
  nginxRelay,
  ourRelay,
  RELAYS,
  type RelaySubject,
} from '../subjects/relay.ts';
import { OUTPACED, texts } from './relays.ts';

const AT_A_TIME = 64;
const RELAYS_A_WINDOW = 1000;
const WARM_UP_RELAYS = 4000;

const workload: Workload<RelaySubject> = {
  name: `${AT_A_TIME} at a time`,
  subjects: RELAYS.filter((relay) => relay !== nginx128KiBRelay),
  targets: [
    { peer: nginxRelay.name, atLeast: 0.58 },
    { peer: httpProxyRelay.name, atLeast: 1.2 },
  ],
  quick: [ourRelay, nginxRelay, httpProxyRelay].map(({ name }) => name),
  async measure(subject, window) {
    const [agent, clients] = [new Load(), new Load()];
    const message = texts(100);
    const serving = { agents: 1, answers: true, clientsLeave: true, pattern: message };
    const [agentPort] = await agent.tell('serve', serving);
    const server = await subject.start(agentPort as number, agent);
    const pids = await server.pids();
    await outpace(pids, [agent.pid, clients.pid]);
    const counted = await clients.tell('visitAgent', {
      ...window,
      warmUpWork: WARM_UP_RELAYS,
      leastWork: RELAYS_A_WINDOW,
      port: server.port,
      path: server.paths[0] as string,
      atATime: AT_A_TIME,
      pattern: message,
      pids,
    });
    return measurementOf(server, counted);
  },
};

export const relayOpen: Scenario = {
  name: 'relay-open',
  title: 'Relay: opening one',
  description: `Each opening is a whole relay: TCP connect by the client, its upgrade request in one write, the relay's own connection to the agent, the 101 checked, a text message of 100 B there and one back, TCP close by the client without a closing handshake; ${AT_A_TIME} at a time, at least ${RELAYS_A_WINDOW.toLocaleString('en-US')} of them, after ${WARM_UP_RELAYS.toLocaleString('en-US')} as a warm-up. ${OUTPACED}`,
  unit: 'relays',
  baseline: nginxRelay.name,
  workloads: [workload],
};
