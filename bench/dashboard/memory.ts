/** Memory over an hour's worth of streaming: 300 answers of 1,500 tokens, sent as fast as the page takes them. */
import type { Browser } from 'playwright-core';
import { assistant, user } from '../../test/dashboard/support/sample-conversation.ts';
import { ScriptedAgent } from '../../test/dashboard/support/scripted-agent.ts';
import type { Daemon } from '../../test/support/daemon.ts';
import { answer } from './chat.ts';
import { heapBytes, open } from './page.ts';

/** Tokens in one message. A model's tokens come one by one, but this measures the memory that stays. */
const BATCH = 25;

/** @returns bytes in use after each tenth of the answers */
export async function memory(browser: Browser, daemon: Daemon, answers: number): Promise<number[]> {
  const agent = await ScriptedAgent.start(daemon.registryUrl, { id: 'memory', messages: [user('Go on for an hour')] });
  const { page, client } = await open(browser, `${daemon.origin}/#/agent/memory`);
  await page.locator('.transcript').getByText('Go on for an hour').waitFor();
  const pieces = answer();
  const readings: number[] = [];
  for (let turn = 1; turn <= answers; turn++) {
    const timestamp = Date.now() + turn;
    agent.emit({ type: 'message_start', message: { role: 'assistant', timestamp } });
    for (let at = 0; at < pieces.length; at += BATCH) {
      const delta = pieces.slice(at, at + BATCH).join('');
      agent.emit({ type: 'message_delta', kind: 'text', index: 0, delta });
      if (at % (8 * BATCH) === 0) await new Promise((resolve) => setTimeout(resolve, 4));
    }
    agent.say(assistant(`${pieces.join('')}\n\nAnswer ${turn} ends.`, { timestamp }));
    await page.locator('.transcript').getByText(`Answer ${turn} ends.`).waitFor();
    if (turn >= ((readings.length + 1) * answers) / 10) readings.push(await heapBytes(client));
  }
  await page.context().close();
  await agent.stop();
  return readings;
}
