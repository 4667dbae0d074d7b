/** What the process of a load can be told to do with a registry: agents' uplinks, dashboards, and what they wait for. */
import { setTimeout as delay } from 'node:timers/promises';
import { NodeStatus } from '../../src/protocol/registry.ts';
import { inLanes } from '../../test/support/measure.ts';
import { WrongAnswer } from './checker.ts';
import { type AgentNode, Dashboard, LANES, Uplink } from './registry.ts';
import { fail, failed, tally } from './state.ts';

const PATIENCE_MS = 10_000;

const uplinks: Uplink[] = [];
const dashboards: Dashboard[] = [];

export const registryCommands = {
  /** Registers agents, each over an uplink of its own that stays open. Not counted. */
  async register({ port, nodes }: { port: number; nodes: readonly AgentNode[] }): Promise<void> {
    const register = async (i: number) => {
      uplinks.push(await Uplink.register(port, nodes[i] as AgentNode, fail));
    };
    await Promise.race([failed, inLanes(nodes.length, LANES, register)]);
  },

  /** Opens dashboards, and waits until each has its roster. From then on `count` counts the pushes they get. */
  async watch({ port, connections }: { port: number; connections: number }): Promise<void> {
    const open = async (i: number) => {
      // One of them reads what all of them are given.
      dashboards.push(await Dashboard.open(port, i === 0, tally, fail));
    };
    await Promise.race([failed, inLanes(connections, LANES, open)]);
  },

  /** Waits until all dashboards have got as much, and the one that reads has as many active nodes. */
  async settle({ activeNodes }: { activeNodes: number }): Promise<void> {
    const endsAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const roster = dashboards.find(({ roster }) => roster !== null)?.roster;
      const active = [...(roster?.values() ?? [])].filter(({ status }) => status === NodeStatus.ACTIVE).length;
      const got = new Set(dashboards.map(({ events }) => events));
      if (active === activeNodes && got.size === 1) return;
      if (performance.now() > endsAt) {
        throw new WrongAnswer(
          `${active} active nodes, not ${activeNodes}; dashboards got ${[...got].join(' or ')} events`,
        );
      }
      await Promise.race([failed, delay(10)]);
    }
  },
};
