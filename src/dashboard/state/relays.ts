/** The connections to agents. */
import { AgentLink } from '../link/agent-link.ts';
import { browser } from '../link/environment.ts';
import { relayAddress } from '../link/page-address.ts';
import { listen } from './connection.ts';
import { open } from './opened.ts';
import { token } from './token.ts';

export const relayTo = { address: relayAddress, token: () => token.peek(), environment: browser };

let openLink: AgentLink | null = null;

/** The link to the agent that is open; it follows what the roster says of that agent. */
export function linkTo(nodeId: string): AgentLink {
  openLink = new AgentLink({ ...relayTo, nodeId, onSuccessor: open });
  return openLink;
}

listen({ deaf: () => openLink?.reconnect() });
