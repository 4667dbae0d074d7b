/** The cost of reading for the page's main thread: an answer of 1,500 tokens as it is written, and a long history. */
import type { Browser } from 'playwright-core';
import { Alarm } from '../../src/agent/alarm.ts';
import { Conversation } from '../../src/agent/conversation.ts';
import type { Message } from '../../src/protocol/agent.ts';
import { assistant, call, result, user } from '../../test/dashboard/support/sample-conversation.ts';
import { ScriptedAgent } from '../../test/dashboard/support/scripted-agent.ts';
import type { Daemon } from '../../test/support/daemon.ts';
import { between, metrics, open, type Work } from './page.ts';

const TOKENS = 1500;
/** Tokens a second, as fast models write them. */
const RATE = 125;
const HISTORY_BYTES = 2_300_000;

export interface Cost extends Work {
  /** From the first to the last, in milliseconds. */
  wallMs: number;
}

/** About four characters a token, as models write: prose, lists, code. */
export function answer(): string[] {
  const pieces: string[] = [];
  const words = 'The parser keeps what it has read of a header , since a frame may be cut at any byte .'.split(' ');
  for (let section = 0; pieces.length < TOKENS; section++) {
    pieces.push('\n\n', '### ', 'Step ', String(section + 1), '\n\n');
    for (let word = 0; word < 90; word++) pieces.push(`${words[word % words.length]} `);
    pieces.push('\n\n');
    for (let item = 0; item < 5; item++)
      pieces.push('- ', '**Item', `** ${item}`, ': ', '`code` ', 'and ', 'words', '\n');
    pieces.push('\n', '```ts\n');
    for (let line = 0; line < 12; line++)
      pieces.push('  const ', `value${line} `, '= ', 'decode(', 'bytes, ', `${line}`, ');\n');
    pieces.push('```', '\n\n');
  }
  return pieces.slice(0, TOKENS);
}

function history(): Message[] {
  const messages: Message[] = [];
  const text = answer().join('');
  for (let bytes = 0, turn = 0; bytes < HISTORY_BYTES; turn++) {
    const output = `line of output ${turn}\n`.repeat(120);
    const more = [
      user(`Prompt ${turn}: do the next thing`),
      assistant([{ type: 'text', text: text.slice(0, 1200) }, call(`c${turn}`, 'bash', { command: `step ${turn}` })], {
        stopReason: 'toolUse',
      }),
      result(`c${turn}`, 'bash', output),
      assistant(`Turn ${turn} is done.\n\n${text}`),
    ];
    messages.push(...more);
    bytes += JSON.stringify(more).length;
  }
  return messages;
}

/** The agent sends the output of the extension's own code for pi's events. */
function conversationOf(agent: ScriptedAgent): Conversation {
  const clock = { now: Date.now, after: (delayMs: number, callback: () => void) => void setTimeout(callback, delayMs) };
  const alarm = new Alarm(clock, () => conversation.tellDue(Date.now()));
  const conversation = new Conversation(Date.now(), {
    onEvent: (event) => agent.emit(event),
    onDue: (delayMs) => alarm.setIn(delayMs),
  });
  return conversation;
}

/** @param classic by an agent whose every event repeats the message from its beginning */
export async function streamAnswer(browser: Browser, daemon: Daemon, classic: boolean): Promise<Cost> {
  const agent = await ScriptedAgent.start(daemon.registryUrl, {
    id: `stream-${classic}`,
    classic,
    messages: [user('Explain')],
  });
  const { page, client } = await open(browser, `${daemon.origin}/#/agent/stream-${classic}`);
  await page.locator('.transcript').getByText('Explain').waitFor();
  await page.waitForTimeout(1000);
  const before = await metrics(client);
  const begun = performance.now();
  const timestamp = Date.now();
  const conversation = conversationOf(agent);
  conversation.runStarted(Date.now());
  conversation.messageStarted({ message: { role: 'assistant', timestamp } }, Date.now());
  agent.emitClassic({ type: 'message_start', message: assistant('', { timestamp }) });
  let text = '';
  for (const [index, delta] of answer().entries()) {
    text += delta;
    const message = assistant(text, { timestamp });
    const assistantMessageEvent = { type: 'text_delta' as const, contentIndex: 0, delta };
    if (classic) agent.emitClassic({ type: 'message_update', message });
    else conversation.messageUpdated({ message, assistantMessageEvent }, Date.now());
    const wait = begun + ((index + 1) * 1000) / RATE - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  }
  const message = assistant(`${text}\n\nThe end.`, { timestamp });
  agent.emitClassic({ type: 'message_end', message });
  conversation.messageEnded({ message }, 1, null, Date.now());
  conversation.runEnded(Date.now());
  await page.locator('.transcript').getByText('The end.').waitFor();
  const wallMs = performance.now() - begun;
  await page.waitForTimeout(500);
  const after = await metrics(client);
  await page.context().close();
  await agent.stop();
  return { ...between(before, after), wallMs };
}

/** @returns the cost until the newest message of 2.3 MB of history is on the screen; the roster is there before */
export async function openHistory(browser: Browser, daemon: Daemon): Promise<Cost & { bytes: number }> {
  const messages = history();
  const agent = await ScriptedAgent.start(daemon.registryUrl, { id: 'history', classic: true, messages });
  const { page, client } = await open(browser, `${daemon.origin}/`);
  await page.locator('[data-agent="history"]').waitFor();
  await page.waitForTimeout(1000);
  const before = await metrics(client);
  const last = `Turn ${messages.length / 4 - 1} is done.`;
  const wallMs = await page.evaluate(async (words) => {
    const begun = performance.now();
    location.hash = '#/agent/history';
    while (!document.querySelector('.transcript')?.textContent?.includes(words))
      await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return performance.now() - begun;
  }, last);
  await page.waitForTimeout(1500);
  const after = await metrics(client);
  await page.context().close();
  await agent.stop();
  return { ...between(before, after), wallMs, bytes: JSON.stringify(messages).length };
}
