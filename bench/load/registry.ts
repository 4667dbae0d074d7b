/** The two kinds that come to a registry: agents' uplinks, and dashboards. */
import { encodeText } from '../../src/frame/encode.ts';
import { type Node, NodeStatus, type Push, REGISTRY_PATH } from '../../src/protocol/registry.ts';
import { MessageCounter, TextReader, WrongAnswer } from './checker.ts';
import { Endpoint } from './endpoint.ts';
import type { Tally } from './window.ts';

/** How many connections are opened at a time. */
export const LANES = 64;

/** An agent to be, which is found on this machine. */
export interface AgentNode {
  id: string;
  port: number;
}

type OnFault = (error: Error) => void;

/** An agent's connection to the registry. */
export class Uplink {
  readonly endpoint: Endpoint;

  private constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  /** @returns once the registry has said that the agent is registered */
  static async register(port: number, { id, port: agentPort }: AgentNode, onFault: OnFault): Promise<Uplink> {
    let registered = () => {};
    const done = new Promise<void>((resolve) => {
      registered = resolve;
    });
    const sink = new TextReader((text) => {
      const { id: requestId, result, error } = JSON.parse(text);
      if (requestId !== 1) return;
      if (result?.status === 'registered') registered();
      else onFault(new WrongAnswer(`not registered: ${error}`));
    });
    const endpoint = await Endpoint.open(port, REGISTRY_PATH, () => ({ sink, onFault }));
    const params = { id, machine: '127.0.0.1', cwd: '/home/user/project', port: agentPort, status: NodeStatus.ACTIVE };
    endpoint.write(encodeText('client', JSON.stringify({ id: 1, method: 'register', params })));
    await done;
    return new Uplink(endpoint);
  }
}

/** Watches the roster, or only counts the pushes. */
export class Dashboard {
  /** Null where it only counts. */
  readonly roster: Map<string, Node> | null;
  /** Pushes since the first roster. */
  events = 0;

  private constructor(reads: boolean) {
    this.roster = reads ? new Map() : null;
  }

  /** @returns once it has its roster */
  static async open(port: number, reads: boolean, tally: Tally, onFault: OnFault): Promise<Dashboard> {
    const dashboard = new Dashboard(reads);
    let isOpen = false;
    let opened = () => {};
    const done = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const onPush = (payloadBytes: number) => {
      if (isOpen) {
        dashboard.events++;
        tally.onMessage(payloadBytes);
      }
      isOpen = true;
      opened();
    };
    const sink = reads
      ? new TextReader((text) => {
          dashboard.#apply(JSON.parse(text));
          onPush(text.length);
        })
      : new MessageCounter(onPush);
    await Endpoint.open(port, REGISTRY_PATH, () => ({ sink, onFault }));
    await done;
    return dashboard;
  }

  #apply(push: Push): void {
    const roster = this.roster as Map<string, Node>;
    switch (push.event) {
      case 'init':
        roster.clear();
        for (const node of push.nodes) roster.set(node.id, node);
        break;
      case 'node_joined':
        roster.set(push.node.id, push.node);
        break;
      case 'node_offline': {
        const node = roster.get(push.id);
        if (node !== undefined) roster.set(push.id, { ...node, status: NodeStatus.OFFLINE });
        break;
      }
      case 'node_removed':
        roster.delete(push.id);
    }
  }
}
