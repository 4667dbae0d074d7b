/** The page with real pis: what a person does in a browser reaches the agent, and what the agent does shows. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { BrowserContext, Locator, Page } from 'playwright-core';
import { browser, skip } from '../dashboard/support/browser.ts';
import { partsOf, textsOf, until } from '../dashboard/support/open-chat.ts';
import { PICTURE } from '../dashboard/support/sample-conversation.ts';
import { Daemon } from '../support/daemon.ts';
import { HeadlessPi } from './headless.ts';
import { Home } from './home.ts';
import { Model } from './model.ts';
import { PIS } from './pis.ts';

for (const pi of PIS) {
  describe(`the page with pi ${pi.version}`, { skip, timeout: 300_000 }, () => {
    let daemon: Daemon;
    let model: Model;
    let home: Home;
    let headless: HeadlessPi;
    let context: BrowserContext;
    let page: Page;
    let chat: Locator;
    let composer: Locator;
    let entries: Locator;
    const problems: string[] = [];

    before(async () => {
      daemon = await Daemon.start();
      model = await Model.start();
      home = await Home.create(model.url);
      headless = new HeadlessPi(pi, home, { HYPIVISOR_WS: daemon.registryUrl });
      context = await (await browser()).newContext({ reducedMotion: 'reduce' });
      page = await context.newPage();
      page.setDefaultTimeout(30_000);
      page.on('pageerror', (error) => problems.push(String(error.stack)));
      await page.goto(`${daemon.origin}/`);
      await page.locator('[data-agent]').click();
      ({ chat, composer, entries } = partsOf(page));
      await chat.getByText('Nothing has been said yet').waitFor();
    });
    after(async () => {
      await context?.close();
      await headless?.quit();
      model?.stop();
      await daemon?.stop();
      await home?.remove();
      assert.deepEqual(problems, []);
    });

    const say = async (text: string) => {
      await composer.fill(text);
      await composer.press('Enter');
    };
    const stop = () => chat.getByRole('button', { name: 'Stop the agent' });
    const idle = () => stop().waitFor({ state: 'detached' });
    const texts = () => textsOf(entries);

    it('shows an answer as it is written, once, and the same after a reload', async () => {
      await say('say 40');
      await chat.getByText('word39').waitFor();
      await idle();
      const words = Array.from({ length: 40 }, (_, index) => `word${index}`).join(' ');
      await until(async () => JSON.stringify(await texts()) === JSON.stringify(['say 40', words]), `${await texts()}`);
      await page.reload();
      await chat.getByText('word39').waitFor();
      assert.deepEqual(await texts(), ['say 40', words]);
    });

    it('shows thoughts, tools with their output, and pictures that are sent', async () => {
      await say('think 3');
      await chat.getByRole('button', { name: /Thought Let me see/ }).waitFor();
      await idle();
      await say('run echo hello && sleep 0.5 && echo world');
      await chat.getByRole('button', { name: /bash echo hello/ }).waitFor();
      await chat.locator('.tool[data-status="done"] .output', { hasText: 'world' }).waitFor();
      await idle();
      await page
        .locator('input[type=file]')
        .setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer: Buffer.from(PICTURE, 'base64') });
      await chat.getByText('a.png').waitFor();
      await say('What is on it?');
      await chat.locator('.bubble .picture img').waitFor();
      await idle();
      assert.equal(await chat.locator('[data-pending]').count(), 0);
    });

    it('queues, removes and steers while it works, and stops it', async () => {
      await say('slow 400 50');
      await stop().waitFor();
      for (const text of ['first', 'second']) await say(text);
      const queue = chat.getByRole('region', { name: 'Queued prompts' });
      await queue.getByText('2 queued').waitFor();
      await queue.getByRole('button', { name: 'Remove: first' }).click();
      await queue.getByText('1 queued').waitFor();
      await stop().click();
      await chat.getByText('Stopped.', { exact: true }).waitFor();
      await idle();
      // What waited was stopped as well: it is offered, not sent.
      await chat.getByText(/Not delivered: stopped/).waitFor();
      await chat.getByRole('button', { name: 'Send again' }).click();
      await chat.getByText('You said: second').waitFor();
      await chat.locator('[data-pending]').waitFor({ state: 'detached' });
      await idle();
    });

    it('answers what an extension asks', async () => {
      await say('ask select');
      const question = chat.getByRole('region', { name: 'Question' });
      await question.getByRole('heading', { name: 'Which colour?' }).waitFor();
      await question.getByRole('button', { name: /green/ }).click();
      await chat.getByText('It came: answer: "green"').waitFor();
      await chat.locator('.settled', { hasText: /green\s*answered by Pi-DE/ }).waitFor();
      await idle();
      await say('ask confirm');
      await question.getByText('It will be gone.').waitFor();
      await page.keyboard.press('N');
      await chat.getByText('It came: answer: false').waitFor();
      await idle();
    });

    it('offers the files of its folder, and the commands that it runs from afar', async () => {
      await writeFile(join(home.work, 'notes.md'), 'notes');
      await composer.fill('See ');
      await composer.pressSequentially('@not');
      await page.getByRole('option', { name: 'notes.md' }).click();
      assert.equal(await composer.inputValue(), 'See @notes.md ');
      await composer.fill('');
      if (!pi.settles) return;
      await composer.fill('/');
      await page.getByRole('option', { name: /\/tell/ }).waitFor();
      await say('/tell everyone');
      await chat.getByText('told: everyone').waitFor();
    });

    it('says why the model failed, once', async () => {
      await say('fail 400 99');
      await chat.locator('.failure').waitFor();
      await page.locator('.conversation-standing[data-standing="failed"]').waitFor();
      assert.equal(await chat.locator('.activity[data-state="failed"]').count(), 0);
    });
  });
}
