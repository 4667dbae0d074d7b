/** The open agent's description of itself, for the inspector. It stays if the connection is lost, or the agent goes. */
import { signal } from '@preact/signals';
import type { Command, InitState, Tool } from '../../protocol/agent.ts';
import type { AgentLink } from '../link/agent-link.ts';

export interface Facts {
  tools: readonly Tool[];
  commands: readonly Command[] | null;
  session: InitState['session'] | null;
  totalMessages: number | null;
}

const NO_FACTS: Facts = { tools: [], commands: null, session: null, totalMessages: null };
/** So many agents' facts are kept: an agent that is opened again does not repeat all of its own. */
const MOST_AGENTS = 100;

/** By node id. */
const known = signal<ReadonlyMap<string, Facts>>(new Map());

export const factsOf = (nodeId: string): Facts => known.value.get(nodeId) ?? NO_FACTS;

/** @returns a function that ends it */
export function observeFacts(link: AgentLink): () => void {
  const { nodeId } = link;
  return link.observe((message) => {
    const before = known.peek().get(nodeId) ?? NO_FACTS;
    const after = factsAfter(before, message);
    if (after === before) return;
    // The agent that was opened last comes last.
    const others = [...known.peek()].filter(([id]) => id !== nodeId).slice(1 - MOST_AGENTS);
    known.value = new Map([...others, [nodeId, after]]);
  });
}

export function factsAfter(facts: Facts, message: { type?: unknown }): Facts {
  switch (message.type) {
    case 'init_state': {
      const { tools, session, totalMessages, messages } = message as Partial<InitState>;
      return {
        ...facts,
        tools: Array.isArray(tools) ? tools.map(toTool).filter((tool) => tool !== null) : [],
        session: session ?? null,
        totalMessages: totalMessages ?? (Array.isArray(messages) ? messages.length : null),
      };
    }
    case 'session': {
      if (facts.session === null) return facts;
      const { type: _, seq: __, ...fields } = message as { type: string; seq: number };
      const session = Object.fromEntries(
        Object.entries({ ...facts.session, ...fields }).filter(([, value]) => value !== null),
      );
      return { ...facts, session: session as unknown as InitState['session'] };
    }
    case 'commands_list': {
      const { commands } = message as { commands?: unknown };
      return Array.isArray(commands) ? { ...facts, commands: commands as Command[] } : facts;
    }
    case 'message_end':
      return facts.totalMessages === null ? facts : { ...facts, totalMessages: facts.totalMessages + 1 };
    default:
      return facts;
  }
}

/** Older agents may send bare names. */
function toTool(tool: unknown): Tool | null {
  if (typeof tool === 'string') return { name: tool };
  if (typeof tool !== 'object' || tool === null) return null;
  const { name, description } = tool as { name?: unknown; description?: unknown };
  if (typeof name !== 'string') return null;
  return typeof description === 'string' ? { name, description } : { name };
}
