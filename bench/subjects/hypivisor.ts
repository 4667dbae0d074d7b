/** The daemon under test: the built program, as users run it. */
import { REGISTRY_PATH, RELAY_PATH_PREFIX } from '../../src/protocol/registry.ts';
import { Client } from '../../test/support/client.ts';
import { Daemon } from '../../test/support/daemon.ts';
import { eventually } from '../../test/support/measure.ts';
import { Load } from '../load/process.ts';
import type { AgentNode } from '../load/registry.ts';
import { afterwards, remember } from '../processes.ts';
import type { Server } from '../scenario.ts';
import { fileOf } from './checkout.ts';

export interface Relaying extends Server {
  /** The path of each agent for clients, in their order. */
  readonly paths: readonly string[];
}

export async function startHypivisor(args: string[] = []): Promise<Server> {
  const daemon = await Daemon.start({ args, program: fileOf('dist/hypivisor.js') });
  remember(daemon.process);
  afterwards(() => daemon.stop('SIGKILL'));
  return { port: daemon.port, pids: async () => [daemon.pid] };
}

/** A hypivisor that another has joined; the agents on those ports are registered with that other one. */
export async function startJoinedHypivisor(agentPorts: readonly number[]): Promise<Relaying> {
  const upper = await startHypivisor();
  const lower = await startHypivisor(['--join', `ws://127.0.0.1:${upper.port}${REGISTRY_PATH}`, '--hub-name', 'lower']);
  const nodes = agentPorts.map((agentPort, i) => ({ id: `relayed-${i}`, port: agentPort }));
  await new Load().tell('register', { port: lower.port, nodes });
  const client = await Client.open(`ws://127.0.0.1:${upper.port}${REGISTRY_PATH}`);
  await eventually(async () => {
    const { result } = await client.call('list_nodes');
    if (result.length !== nodes.length) throw new Error('the upper one does not know of all agents yet');
  });
  client.terminate();
  const pids = async () => [...(await upper.pids()), ...(await lower.pids())];
  return { port: upper.port, pids, paths: nodes.map(({ id }) => `${RELAY_PATH_PREFIX}${id}`) };
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
