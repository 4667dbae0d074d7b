/** Servers through which clients reach an agent. */
import { rm } from 'node:fs/promises';
import { RELAY_PATH_PREFIX } from '../../src/protocol/registry.ts';
import type { Load } from '../load/process.ts';
import { afterwards } from '../processes.ts';
import { withChildren } from '../resident.ts';
import type { Subject } from '../scenario.ts';
import { type Relaying, startHypivisor, startHypivisorBefore, startJoinedHypivisor } from './hypivisor.ts';
import {
  haproxyRelaying,
  nginx128KiBRelaying,
  nginxRelaying,
  type ProxyProgram,
  proxyVersion,
  startProxy,
} from './proxies.ts';
import { agentNodes } from './registry.ts';
import { startNode } from './server.ts';
import { ownVersion, peerVersion } from './versions.ts';
import { PIPE } from './yardstick.ts';

export interface RelaySubject extends Subject {
  /** @param agent the process of the agent */
  start(agentPort: number, agent: Load): Promise<Relaying>;
}

export const ourRelay: RelaySubject = {
  name: 'hypivisor',
  version: ownVersion,
  start: (agentPort) => startHypivisorBefore([agentPort]),
};

/** The same, over connections that the agent has opened. */
export const ourRelayBack: RelaySubject = {
  name: 'hypivisor, dial-back',
  version: ownVersion,
  async start(_agentPort, agent) {
    const { port, pids } = await startHypivisor();
    await agent.tell('dialBack', { port, id: 'back' });
    return { port, pids, paths: [`${RELAY_PATH_PREFIX}back`] };
  },
};

/** Two hubs: a client connects to one, and the agent has registered with the other, which has joined the first. */
export const ourTwoHubs: RelaySubject = {
  name: 'two hypivisors',
  version: ownVersion,
  start: (agentPort) => startJoinedHypivisor([agentPort]),
};

/** The same among so many other agents. */
export function ourRelayAmong(agents: number): RelaySubject {
  return { ...ourRelay, start: (agentPort) => startHypivisorBefore([agentPort], agentNodes(agents)) };
}

export const nginxRelay = proxyRelay('nginx', nginxRelaying);
export const nginx128KiBRelay = proxyRelay('nginx 128 KiB', nginx128KiBRelaying);
/** One nginx in front of another. */
export const twoNginxRelay: RelaySubject = {
  name: 'two nginx',
  version: nginxRelay.version,
  async start(agentPort, agent) {
    const lower = await nginxRelay.start(agentPort, agent);
    const upper = await nginxRelay.start(lower.port, agent);
    return { ...upper, pids: async () => [...(await upper.pids()), ...(await lower.pids())] };
  },
};
export const haproxyRelay = proxyRelay('HAProxy', haproxyRelaying);
export const httpProxyRelay = nodeRelay('http-proxy', 'http-proxy-relay.mjs', () => peerVersion('http-proxy'));
export const wsRelay = nodeRelay('ws relay', 'ws-relay.mjs', () => peerVersion('ws'), { WS_NO_BUFFER_UTIL: '1' });
export const pipeRelay = nodeRelay(PIPE.name, 'pipe-relay.mjs', PIPE.version);

/** No relay: the cost of the two ends by themselves. */
export const direct: RelaySubject = {
  name: 'direct',
  version: async () => '',
  start: async (agentPort) => ({ port: agentPort, paths: ['/'], pids: async () => [] }),
};

/** All that relay, ours first. */
export const RELAYS: readonly RelaySubject[] = [
  ourRelay,
  nginxRelay,
  nginx128KiBRelay,
  haproxyRelay,
  httpProxyRelay,
  wsRelay,
  pipeRelay,
];

function proxyRelay(name: string, proxy: ProxyProgram): RelaySubject {
  return {
    name,
    version: () => proxyVersion(proxy),
    async start(agentPort) {
      const { child, port, folder } = await startProxy(proxy, agentPort);
      afterwards(() => rm(folder, { recursive: true, force: true }));
      return { port, paths: ['/'], pids: () => withChildren(child.pid as number) };
    },
  };
}

/** @param program a file in peers/; it gets the agent's port */
function nodeRelay(
  name: string,
  program: string,
  version: () => Promise<string | null>,
  env?: NodeJS.ProcessEnv,
): RelaySubject {
  return {
    name,
    version,
    async start(agentPort) {
      const { port, pids } = await startNode(`../peers/${program}`, env, [String(agentPort)]);
      return { port, pids, paths: ['/'] };
    },
  };
}
