/** A page with one agent's conversation open. */
import type { TestContext } from 'node:test';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { type Visit, visit } from './browser.ts';
import type { AgentOptions, ScriptedAgent } from './scripted-agent.ts';
import { Stage } from './stage.ts';

export interface OpenChat extends Visit {
  stage: Stage;
  agent: ScriptedAgent;
  /** What is below the pane's header. */
  chat: Locator;
  composer: Locator;
  entries: Locator;
}

export async function openChat(
  t: TestContext,
  options: Omit<AgentOptions, 'id'> = {},
  context: BrowserContextOptions = {},
): Promise<OpenChat> {
  const stage = await Stage.open(t);
  const agent = await stage.agent('ada', options);
  const seen = await visit(t, `${stage.url}#/agent/ada`, context);
  return { ...seen, stage, agent, ...partsOf(seen.page) };
}

export function partsOf(page: Page): { chat: Locator; composer: Locator; entries: Locator } {
  const chat = page.locator('.chat');
  return { chat, composer: chat.getByLabel('Message to the agent'), entries: chat.locator('.entry') };
}

/** The words of each entry that people read, without those of its buttons. */
export function textsOf(entries: Locator): Promise<string[]> {
  return entries.evaluateAll((rows) =>
    rows.map((row) => {
      const copy = row.cloneNode(true) as HTMLElement;
      for (const button of copy.querySelectorAll('.copy, .entry-tools')) button.remove();
      return (copy.textContent ?? '').replace(/\s+/g, ' ').trim();
    }),
  );
}

/** How far a transcript is scrolled, and from its bottom. */
export function scrollOf(page: Page): Promise<{ top: number; left: number; height: number }> {
  return page.locator('.transcript').evaluate((element) => ({
    top: element.scrollTop,
    left: element.scrollHeight - element.clientHeight - element.scrollTop,
    height: element.clientHeight,
  }));
}

/** Until `check` returns true; the tests' own limit ends it. */
export async function until(check: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const begun = Date.now();
  while (!(await check())) {
    if (Date.now() - begun > 15_000) throw new Error(`not within 15 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
