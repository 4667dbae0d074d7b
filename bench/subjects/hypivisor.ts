/** The daemon under test: the built program, as users run it. */
import { RELAY_PATH_PREFIX } from '../../src/protocol/registry.ts';
import { Daemon } from '../../test/support/daemon.ts';
import { Load } from '../load/process.ts';
import type { AgentNode } from '../load/registry.ts';
import { afterwards, remember } from '../processes.ts';
import type { Server } from '../scenario.ts';
import { fileOf } from './checkout.ts';

export interface Relaying extends Server {
  /** Where a client finds each agent, in their order. */
  readonly paths: readonly string[];
}

export async function startHypivisor(args: string[] = []): Promise<Server> {
  const daemon = await Daemon.start({ args, program: fileOf('dist/hypivisor.js') });
  remember(daemon.process);
  afterwards(() => daemon.stop('SIGKILL'));
  return { port: daemon.port, pids: async () => [daemon.pid] };
}

/**
 * With agents in its roster that listen on those ports.
 *
 * @param others are in its roster too, held by a process of their own
 */
export async function startHypivisorBefore(
  agentPorts: readonly number[],
  others: readonly AgentNode[] = [],
): Promise<Relaying> {
  const { port, pids } = await startHypivisor();
  if (others.length > 0) await new Load().tell('register', { port, nodes: others });
  const nodes = agentPorts.map((agentPort, i) => ({ id: `relayed-${i}`, port: agentPort }));
  await new Load().tell('register', { port, nodes });
  return { port, pids, paths: nodes.map(({ id }) => `${RELAY_PATH_PREFIX}${id}`) };
}
