/** Takes an agent's messages, in either dialect. */
import type { FromAgent } from '../../protocol/agent.ts';
import type { Dialect } from '../link/agent-link.ts';
import { type ClassicMessage, receiveClassic } from './classic.ts';
import type { Conversation } from './conversation.ts';
import { receiveDelta } from './delta.ts';

/**
 * @param message parsed JSON of any shape, for agents are not to be trusted
 * @param now by this page's clock, in milliseconds
 * @returns the very same state if the message changes nothing, or makes no sense
 */
export function receive(before: Conversation, message: object, dialect: Dialect, now: number): Conversation {
  const state = before.dialect === dialect ? before : { ...before, dialect };
  try {
    return dialect === 'delta'
      ? receiveDelta(state, message as FromAgent, now)
      : receiveClassic(state, message as ClassicMessage, now);
  } catch {
    // A message whose fields do not fit its type changes nothing.
    return state;
  }
}
