/** The plain side: the page, the health check, and upgrades that are refused. */
import { createKey } from '../../src/opening/key.ts';
import { REGISTRY_PATH } from '../../src/protocol/registry.ts';
import type { HttpRequests } from '../load/http.ts';
import { Load } from '../load/process.ts';
import { measurementOf } from '../measuring.ts';
import type { Scenario, Workload } from '../scenario.ts';
import { type HttpSubject, nodeHttp, ourHttp } from '../subjects/http.ts';

const AT_A_TIME = 32;
const WARM_UP_REQUESTS = 4000;

const FOREIGN_UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': createKey(),
  Origin: 'http://elsewhere.example',
};

function workload(
  name: string,
  requests: Pick<HttpRequests, 'path' | 'fields' | 'status' | 'bodyEnd'>,
): Workload<HttpSubject> {
  return {
    name,
    subjects: [ourHttp, nodeHttp],
    targets: [],
    quick: true,
    maxRounds: 1,
    seconds: 4,
    async measure(subject, window) {
      const server = await subject.start();
      const options = {
        ...requests,
        ...window,
        warmUpWork: WARM_UP_REQUESTS,
        port: server.port,
        atATime: AT_A_TIME,
        pids: await server.pids(),
      };
      return measurementOf(server, await new Load().tell('request', options));
    },
  };
}

export const http: Scenario = {
  name: 'http',
  title: 'HTTP',
  description: `Driven by autocannon, ${AT_A_TIME} requests at a time, each in one write on a connection of its own, which the server closes after the answer. An upgrade from a page of another origin is refused with 403. The daemon also logs up to a hundred such refusals a second; node:http refuses every upgrade without looking at it. The warm-up is at least ${WARM_UP_REQUESTS} requests.`,
  unit: 'requests',
  baseline: nodeHttp.name,
  workloads: [
    workload('page', { path: '/', status: 200, bodyEnd: '</html>\n' }),
    workload('health', { path: '/healthz', status: 200, bodyEnd: 'ok\n' }),
    workload('refused upgrade', { path: REGISTRY_PATH, fields: FOREIGN_UPGRADE, status: 403, bodyEnd: '\n' }),
  ],
};
