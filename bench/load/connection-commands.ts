/** The commands of a load's process for bare connections: open, keep, request by plain HTTP. */
import { setTimeout as delay } from 'node:timers/promises';
import { inLanes } from '../../test/support/measure.ts';
import { BeginningReader } from './checker.ts';
import { Endpoint } from './endpoint.ts';
import { countResponses, type HttpRequests } from './http.ts';
import { LANES, Uplink } from './registry.ts';
import { fail, failed } from './state.ts';
import { countTurns } from './turns.ts';
import type { Counted, Counting } from './window.ts';

export interface Handshakes {
  port: number;
  path?: string;
  atATime: number;
}

/** What comes after the handshake is not waited for. */
const UNREAD = new BeginningReader(() => {});

export const connectionCommands = {
  /**
   * TCP connect, upgrade, 101, TCP close, again and again. Counts the 101s; the latency is that of connect and upgrade.
   */
  async shakeHands({ port, path = '/', atATime, ...counting }: Handshakes & Counting) {
    return countTurns(counting, atATime, async () => {
      const endpoint = await Endpoint.open(port, path, () => ({ sink: UNREAD, onFault: fail }));
      endpoint.leave();
    });
  },

  /** @throws an error since the last command, for example if an idle connection has been ended */
  async intact(_: object): Promise<void> {
    await Promise.race([failed, delay(0)]);
  },

  /** Opens connections to a registry, each of which asks so often and is answered. They stay. Not counted. */
  async callRegistry(options: { port: number; connections: number; times: number }): Promise<void> {
    const { port, connections, times } = options;
    const call = async () => {
      const uplink = await Uplink.open(port, fail);
      for (let i = 0; i < times; i++) {
        await uplink.ask({ method: 'deregister', params: { id: 'nobody' } }, 'not_found');
      }
    };
    await Promise.race([failed, inLanes(connections, LANES, call)]);
  },

  /** Counts responses to plain requests, each on a connection of its own. */
  async request(options: HttpRequests & Counting): Promise<Counted> {
    return countResponses(options);
  },
};
