/**
 * Prompts from here, until their outcome is certain.
 *
 *   waiting ──written──▶ sending ──▶ queued ──▶ delivered (gone from here)
 *   (no connection)         │  │
 *                           │  └──▶ failed     with the agent's sentence; can be repeated
 *                           └─lost─▶ unknown   never sent again by itself; can be repeated
 */
import type { Message, PromptOutcome } from '../../protocol/agent.ts';
import type { Conversation, Prompt } from './conversation.ts';
import { imagesOf, textOf } from './message.ts';

export function addPrompt(state: Conversation, prompt: Prompt): Conversation {
  return { ...state, outbox: [...state.outbox, prompt] };
}

export function updatePrompt(state: Conversation, id: string, change: Partial<Prompt>): Conversation {
  if (!state.outbox.some((prompt) => prompt.id === id)) return state;
  return { ...state, outbox: state.outbox.map((prompt) => (prompt.id === id ? { ...prompt, ...change } : prompt)) };
}

export function dropPrompt(state: Conversation, id: string): Conversation {
  if (!state.outbox.some((prompt) => prompt.id === id)) return state;
  return { ...state, outbox: state.outbox.filter((prompt) => prompt.id !== id) };
}

/** Applies the outcome of a prompt, perhaps of another client's. */
export function onOutcome(state: Conversation, { id, status, error }: PromptOutcome): Conversation {
  switch (status) {
    case 'queued':
      return updatePrompt(state, id, { status: 'queued', error: null });
    case 'delivered':
      return dropPrompt(state, id);
    case 'failed':
      return updatePrompt(state, id, { status: 'failed', error: error ?? 'The agent could not take it.' });
    case 'removed':
      // A prompt that somebody removed is gone; one that was dropped with a stopped run stays, to be sent again.
      if (error === undefined) return dropPrompt(state, id);
      return updatePrompt(state, id, { status: 'failed', error: `Not delivered: ${error}.` });
  }
}

/** Applies the outcomes of several prompts. */
export function applyOutcomes(state: Conversation, outcomes: readonly PromptOutcome[]): Conversation {
  return outcomes.reduce(onOutcome, state);
}

/** A classic agent confirms a prompt only by the user's message that it becomes. */
export function onUserMessage(state: Conversation, message: Message): Conversation {
  const text = textOf(message).trim();
  const images = imagesOf(message.content).length;
  const prompt = state.outbox.find((candidate) => {
    if (candidate.status === 'waiting' || candidate.status === 'failed') return false;
    const wanted = candidate.text.trim();
    // An agent may add its own words about attachments around the text.
    return text === wanted || (candidate.attachments.length > 0 && (text.includes(wanted) || images > 0));
  });
  return prompt === undefined ? state : dropPrompt(state, prompt.id);
}
