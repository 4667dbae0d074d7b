/** Registries: this one, and one with the original's behaviour. */

import { Load } from '../load/process.ts';
import type { AgentNode } from '../load/registry.ts';
import type { Server, Subject } from '../scenario.ts';
import { startHypivisor } from './hypivisor.ts';
import { startNode } from './server.ts';
import { ownVersion, peerVersion } from './versions.ts';

export interface RegistrySubject extends Subject {
  /** @param port 0 takes a free one */
  start(port?: number): Promise<Server>;
  /** How agents get into the roster if their registration is not part of the measurement. */
  readonly fillBy: 'register' | 'registerUntold';
}

export const ourRegistry: RegistrySubject = {
  name: 'hypivisor',
  version: ownVersion,
  start: (port = 0) => startHypivisor(['--port', String(port)]),
  fillBy: 'register',
};

export const wsRegistry: RegistrySubject = {
  name: 'ws registry',
  version: () => peerVersion('ws'),
  start: (port = 0) => startNode('../peers/ws-registry.mjs', { WS_NO_BUFFER_UTIL: '1', PORT: String(port) }),
  fillBy: 'registerUntold',
};

/** A load of so many agents, each on its own port of this machine. */
export function agentNodes(count: number): AgentNode[] {
  return Array.from({ length: count }, (_, i) => ({ id: `agent-${i}`, port: i + 1 }));
}

/** Starts it with so many agents connected and in its roster, held by a process of their own. */
export async function startWithAgents(subject: RegistrySubject, agents: number): Promise<Server> {
  const server = await subject.start();
  await new Load().tell(subject.fillBy, { port: server.port, nodes: agentNodes(agents) });
  return server;
}
