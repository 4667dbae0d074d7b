/**
 * The seam between the shell and the chat.
 *
 * The shell makes one `AgentLink` for the agent that is open, mounts the chat with it and unmounts it when another agent
 * is opened (`key` is the node's id). The chat attaches itself to the link, which then connects; it detaches when it is
 * unmounted. So an agent that is not in sight costs nothing. Its conversation is kept by the chat (`conversation.ts`, a
 * pure reducer over the messages; a store by node id around it), with its position in the stream, its place on the screen
 * and its draft, so that coming back resumes where it was.
 *
 *     node    what the roster knows of the agent, as it changes. It outlives the agent's being offline: the
 *             transcript stays, marked. The pane's header shows name, state and place; the chat does not
 *     link    attach(), send(), status, reconnect(): see link/agent-link.ts. The shell calls away() and back()
 *     seen    the chat calls it when the person has the newest message in sight, so that "unread" goes
 *
 * Keys are the shell's (actions.ts): the chat registers what it can do for them in `chatCommands`, and removes that when
 * it is unmounted. Notices to people, copying, layers with Esc and focus, what is said to screen readers: platform/ and
 * state/notices.ts. Styles are chat/chat.css, loaded with the page, over the variables of styles/tokens.css. Its tests
 * are test/dashboard/chat-*.test.ts.
 */
import { type ReadonlySignal, signal } from '@preact/signals';
import type { Node } from '../../protocol/registry.ts';
import type { AgentLink } from '../link/agent-link.ts';

export interface ChatProps {
  node: ReadonlySignal<Node>;
  link: AgentLink;
  seen(): void;
}

/** What keys and the palette can ask of the chat that is open. Each does nothing if it does not apply. */
export interface ChatCommands {
  /** `c`: focus into the composer. */
  compose(): void;
  /** `s`: stop the run. */
  stop(): void;
  /** `.`: to the newest message, and follow. */
  toBottom(): void;
  /** `y` and `N`: answer the oldest question, if it is a confirm. */
  answer(yes: boolean): void;
}

/** Of the chat that is mounted; null without one. */
export const chatCommands = signal<ChatCommands | null>(null);
