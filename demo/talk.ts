/** Talking to an agent from a terminal. */
import { createInterface } from 'node:readline/promises';
import { Conversation } from './conversation.ts';
import { paint } from './screen.ts';

/**
 * Asks each prompt and prints the answer. Without prompts it asks the lines that are typed. Ctrl-C stops an answer, or ends.
 *
 * @throws Error if the agent cannot be reached, or is lost
 */
export async function talk(relayUrl: string, prompts: readonly string[]): Promise<void> {
  const conversation = await Conversation.open(relayUrl);
  const ask = async (prompt: string) => {
    await conversation.ask(prompt, (text) => process.stdout.write(text));
    process.stdout.write('\n');
  };
  try {
    for (const prompt of prompts) await ask(prompt);
    if (prompts.length === 0) await talkInteractively(conversation, ask);
  } finally {
    conversation.close();
  }
}

async function talkInteractively(conversation: Conversation, ask: (prompt: string) => Promise<void>): Promise<void> {
  const input = createInterface({ input: process.stdin, output: process.stdout, prompt: paint('cyan', '> ') });
  let answering = false;
  input.on('SIGINT', () => {
    if (answering) conversation.abort();
    else input.close();
  });
  input.prompt();
  for await (const prompt of input) {
    if (prompt.trim() !== '') {
      answering = true;
      await ask(prompt);
      answering = false;
    }
    input.prompt();
  }
}
