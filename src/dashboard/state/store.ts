/** The edge of the state: the signals that the views read, fed by the links. */
import { computed, signal } from '@preact/signals';
import type { Node, Push, RequestedPush } from '../../protocol/registry.ts';
import { AgentLink } from '../link/agent-link.ts';
import { browser } from '../link/environment.ts';
import { registryAddress, relayAddress } from '../link/page-address.ts';
import { RegistryLink } from '../link/registry-link.ts';
import { applyPushes, type Nodes } from './roster.ts';

export const nodes = signal<Nodes>(new Map());
/** Whether the roster is what the daemon says now. */
export const live = signal(false);
export const openId = signal<string | null>(null);

export const openNode = computed<Node | null>(() =>
  openId.value === null ? null : (nodes.value.get(openId.value) ?? null),
);

const registry = new RegistryLink(browser, {
  address: registryAddress,
  token: () => null,
  push: receive,
  phase: () => {},
  lost: () => {
    live.value = false;
  },
  features: () => {},
  deaf: () => {},
});

function receive(push: Push | RequestedPush): void {
  if (push.event === 'init') live.value = true;
  nodes.value = applyPushes(nodes.peek(), [push]);
}

export function connect(): void {
  registry.start();
}

export function linkTo(nodeId: string): AgentLink {
  return new AgentLink({
    nodeId,
    environment: browser,
    token: () => null,
    address: relayAddress,
    onSuccessor: (successor) => {
      openId.value = successor;
    },
  });
}
