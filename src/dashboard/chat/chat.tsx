/**
 * The conversation with one agent: everything below the pane's header. The shell loads it when the first agent is opened.
 *
 * What the shell and the chat know of each other is in `contract.ts`, and no more.
 */
import type { ChatProps } from './contract.ts';

export default function Chat({ node }: ChatProps) {
  return <p>{node.value.id}</p>;
}
