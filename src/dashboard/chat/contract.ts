/**
 * The seam between the shell and the chat.
 *
 * The shell makes one `AgentLink` for the agent that is open, mounts the chat with it and unmounts it when another agent
 * is opened (`key` is the node's id). The chat attaches itself to the link, which then connects; it detaches when it is
 * unmounted. So an agent that is not in sight costs nothing. Its conversation is kept by the chat (`conversation.ts`, a
 * pure reducer over the messages; a store by node id around it), with its position in the stream, its place on the screen
 * and its draft, so that coming back resumes where it was.
 *
 *     node    the agent as the roster has it now. It stays while the agent is offline: so does the transcript,
 *             with a mark. The pane's header shows name, state and place; the chat does not
 *     link    attach(), send(), status, reconnect(): see link/agent-link.ts. The shell calls away() and back()
 *     seen    the chat calls it when the person has the newest message in sight, so that "unread" goes
 *
 * The shell handles keys (actions.ts): the chat registers its commands in `chatCommands`, and removes them when it is
 * unmounted. platform/ and state/notices.ts have notices, copying, layers with Esc and focus, and announcements to
 * screen readers. The chat's styles are chat/chat.css, loaded with the page, over the variables of styles/tokens.css.
 * Its tests are test/dashboard/chat-*.test.ts.
 */
import { type ReadonlySignal, signal } from '@preact/signals';
import type { Node } from '../../protocol/registry.ts';
import type { AgentLink } from '../link/agent-link.ts';

export interface ChatProps {
  node: ReadonlySignal<Node>;
  link: AgentLink;
  seen(): void;
}

/** The commands of keys and the palette to the open chat. Each does nothing if it does not apply. */
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

/** The commands of the mounted chat; null without one. */
export const chatCommands = signal<ChatCommands | null>(null);
