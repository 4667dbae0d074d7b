/** Keys, palette, help, settings, spawning, phones: what a person does to the page, in a real browser. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { assertAccessible } from './support/axe.ts';
import { eventually, skip, visit } from './support/browser.ts';
import { assertFits, PHONE } from './support/fits.ts';
import { text } from './support/scripted-agent.ts';
import { Stage } from './support/stage.ts';

const row = (page: Page, id: string) => page.locator(`[data-agent="${id}"]`);
const title = (page: Page) => page.locator('.conversation-title h2');

describe('keys', { skip }, () => {
  it('move through the roster, open, go to the search and back', async (t) => {
    const stage = await Stage.open(t);
    for (const id of ['ada', 'bob', 'eve']) await stage.agent(id);
    const { page } = await visit(t, stage.url);
    await row(page, 'eve').waitFor();
    const focused = () =>
      page.evaluate(() => document.activeElement?.closest('[data-agent]')?.getAttribute('data-agent'));
    for (const [key, id] of [
      ['j', 'ada'],
      ['j', 'bob'],
      ['j', 'eve'],
      ['j', 'eve'],
      ['k', 'bob'],
    ] as const) {
      await page.keyboard.press(key);
      await eventually(async () => assert.equal(await focused(), id));
    }
    await page.keyboard.press('Enter');
    await title(page).getByText('bob').waitFor();
    await page.keyboard.press('c');
    await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'TEXTAREA'));
    await page.keyboard.type('jkn?/');
    assert.equal(await title(page).innerText(), 'bob', 'no key works while one types');
    await page.keyboard.press('Escape');
    assert.notEqual(await page.evaluate(() => document.activeElement?.tagName), 'TEXTAREA');
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'roster-search');
    for (let i = 0; i < 3; i++) await page.keyboard.press('Escape');
    await page.getByText('Nobody needs you').waitFor();
  });

  it('leave the browser its own keys, and leave an input method alone', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    const { page } = await visit(t, stage.url);
    await row(page, 'ada').waitFor();
    const isTaken = (init: object) =>
      page.evaluate(
        (fields) =>
          !document.body.dispatchEvent(new KeyboardEvent('keydown', { ...fields, bubbles: true, cancelable: true })),
        init,
      );
    for (const key of ['t', 'w', 'n', '1', '9', 'r', 'l', 'c', 's', 'f'])
      assert.equal(await isTaken({ key, ctrlKey: true }), false, key);
    assert.equal(await isTaken({ key: '?', isComposing: true }), false);
    assert.equal(await isTaken({ key: 'j', altKey: true }), false);
    assert.equal(await isTaken({ key: 'j' }), true);
  });

  it('are all in the help', async (t) => {
    const stage = await Stage.open(t);
    const { page } = await visit(t, stage.url);
    await page.getByText('No agents yet').waitFor();
    await page.keyboard.press('?');
    const help = page.getByRole('dialog', { name: 'Keys' });
    await help.waitFor();
    const keys = await help.locator('kbd').allInnerTexts();
    for (const key of ['j', 'k', 'Enter', 'n', '/', 'c', 's', 'y', 'N', '.', '?', 'Esc', 'Ctrl K'])
      assert.ok(keys.includes(key), key);
    await assertAccessible(page, 'the help');
    await page.keyboard.press('j');
    assert.ok(await help.isVisible());
    await page.keyboard.press('Escape');
    await help.waitFor({ state: 'detached' });
  });
});

describe('the palette', { skip }, () => {
  it('goes to agents and runs the commands of keys, also from within a field', async (t) => {
    const stage = await Stage.open(t);
    for (const id of ['ada', 'bob']) await stage.agent(id);
    const { page } = await visit(t, stage.url);
    await row(page, 'bob').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.press('Control+k');
    const palette = page.getByRole('dialog', { name: 'Command palette' });
    await palette.waitFor();
    await assertAccessible(page, 'the palette');
    await page.keyboard.type('bo');
    await page.keyboard.press('Enter');
    await title(page).getByText('bob').waitFor();
    await page.keyboard.press('Control+k');
    await palette.waitFor();
    await page.keyboard.type('settings');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Settings' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('zzzz');
    await palette.getByText('Nothing fits.').waitFor();
  });
});

describe('dialogs', { skip }, () => {
  it('keep the focus, close on Esc and give the focus back', async (t) => {
    const stage = await Stage.open(t);
    const { page } = await visit(t, stage.url);
    const opener = page.getByRole('button', { name: 'Settings' });
    await opener.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Settings' }).waitFor();
    for (let i = 0; i < 15; i++) {
      await page.keyboard.press('Tab');
      const outside = await page.evaluate(() => {
        const { activeElement } = document;
        return activeElement !== document.body && activeElement?.closest('dialog') === null;
      });
      assert.equal(outside, false);
    }
    await assertAccessible(page, 'the settings');
    await page.keyboard.press('Escape');
    await eventually(async () => assert.equal(await opener.evaluate((each) => each === document.activeElement), true));
  });
});

describe('colours', { skip }, () => {
  const background = (page: Page) =>
    page.evaluate(() => getComputedStyle(document.body.querySelector('.conversation') as Element).backgroundColor);

  it('are dark or light by the system, or as chosen, also after a reload', async (t) => {
    const stage = await Stage.open(t);
    const { page } = await visit(t, stage.url, { colorScheme: 'dark' });
    const dark = await background(page);
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await background(page);
    assert.notEqual(dark, light);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('Dark').check();
    assert.equal(await background(page), dark);
    await page.reload();
    assert.equal(await background(page), dark);
  });

  it('may be those of a theme of pi', async (t) => {
    const stage = await Stage.open(t);
    const { page } = await visit(t, stage.url);
    await page.getByRole('button', { name: 'Settings' }).click();
    const file = page.getByLabel("A theme of pi's (a JSON file)");
    await file.setInputFiles({ name: 'x.json', mimeType: 'application/json', buffer: Buffer.from('{}') });
    await page.getByText('This is no theme of pi').waitFor();
    const theme = { name: 'mine', colors: { text: '#ffffff', accent: 202 }, export: { pageBg: '#102030' } };
    await file.setInputFiles({
      name: 'x.json',
      mimeType: 'application/json',
      buffer: Buffer.from(JSON.stringify(theme)),
    });
    await page.getByText('Theme mine').waitFor();
    assert.equal(await background(page), 'rgb(16, 32, 48)');
    await page.reload();
    assert.equal(await background(page), 'rgb(16, 32, 48)');
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('button', { name: 'Remove' }).click();
    assert.notEqual(await background(page), 'rgb(16, 32, 48)');
  });
});

describe('a phone', { skip }, () => {
  it('shows one pane at a time, nothing wider than the screen, and targets of 44 pixels', async (t) => {
    const stage = await Stage.open(t);
    const long = 'An exceedingly long name of a session that goes on and on without any end in sight'.repeat(2);
    await stage.agent('ada', {
      details: { name: long, state: 'idle' },
      cwd: `/home/me/${'x'.repeat(200)}`,
      messages: [text('user', 'Hello')],
    });
    const { page } = await visit(t, stage.url, PHONE);
    await row(page, 'ada').waitFor();
    assert.ok(await page.locator('.conversation').isHidden());
    await assertFits(page);
    await assertAccessible(page, 'the roster on a phone');
    await row(page, 'ada').locator('a').tap();
    await page.locator('.conversation').getByText('Hello').first().waitFor();
    assert.ok(await page.locator('.roster').isHidden());
    await assertFits(page);
    await assertAccessible(page, 'a conversation on a phone');
    await page.getByRole('button', { name: 'Inspector', exact: true }).tap();
    await page.locator('.inspector').waitFor();
    await assertFits(page);
    await page.getByRole('button', { name: 'Close the inspector' }).tap();
    await page.getByRole('button', { name: 'Back to the roster' }).tap();
    await page.locator('.roster').waitFor();
    for (const name of ['Settings', 'Open on a phone', 'Start an agent']) {
      await page.getByRole('button', { name }).tap();
      await page.getByRole('dialog').waitFor();
      await page.waitForTimeout(100);
      await assertFits(page);
      await page.getByRole('button', { name: 'Close' }).tap();
    }
  });
});

describe('starting an agent', { skip }, () => {
  /** What the daemon starts instead of pi: the program that a test puts beside it. */
  const program = (t: TestContext) => {
    const path = join(tmpdir(), `hypivisor-test-${randomUUID()}.mjs`);
    t.after(() => rm(path, { force: true }));
    return { path, env: { HYPI_SPAWN_COMMAND: JSON.stringify([process.execPath, path]) } };
  };
  const WS = JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../node_modules/ws/wrapper.mjs')).href);

  it('browses from the home folder by click and keys, makes a folder, and opens the agent that comes up', async (t) => {
    const { path, env } = program(t);
    const stage = await Stage.open(t, { env });
    await stage.folders('api/src', 'notes');
    // Registers as pi would, where it was started, and goes with the daemon.
    await writeFile(
      path,
      `import { WebSocket, WebSocketServer } from ${WS};
      const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => {
        const uplink = new WebSocket(${JSON.stringify(stage.daemon.registryUrl)});
        const node = { id: 'spawned', machine: '127.0.0.1', cwd: process.cwd(), port: server.address().port, status: 'active' };
        const params = { ...node, spawn_id: process.env.HYPI_SPAWN_ID };
        uplink.on('open', () => uplink.send(JSON.stringify({ id: 1, method: 'register', params })));
        uplink.on('close', () => process.exit());
        uplink.on('error', () => process.exit());
      });
      server.on('connection', (client) => client.send(JSON.stringify({ type: 'init_state', messages: [], tools: [] })));`,
    );
    const { page } = await visit(t, stage.url);
    await page.getByText('No agents yet').waitFor();
    await page.keyboard.press('a');
    const dialog = page.getByRole('dialog', { name: 'Start an agent' });
    const folders = dialog.locator('.folders button');
    const shows = (...names: string[]) =>
      eventually(async () => assert.deepEqual(await folders.allInnerTexts(), names));
    await shows('api', 'notes');
    await assertAccessible(page, 'the spawn dialog');
    await folders.filter({ hasText: 'api' }).click();
    await shows('src');
    await page.keyboard.press('ArrowLeft');
    await shows('api', 'notes');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await shows();
    await dialog.getByLabel('New folder here').fill('../x');
    await dialog.getByText('may not lead out').waitFor();
    assert.ok(await dialog.getByRole('button', { name: 'Start here' }).isDisabled());
    await dialog.getByLabel('New folder here').fill('ideas');
    await dialog.getByRole('button', { name: 'Start here' }).click();
    await page.waitForURL(/#\/agent\/spawned$/);
    await page.locator('.conversation-title').getByText('notes/ideas').waitFor();
    assert.equal(await page.getByRole('dialog').count(), 0);
  });

  it('says why an agent did not come up', async (t) => {
    const { path, env } = program(t);
    const stage = await Stage.open(t, { env });
    const { page } = await visit(t, stage.url);
    await page.getByText('No agents yet').waitFor();
    await page.keyboard.press('a');
    // At once: the daemon waits for as long, and answers with it.
    await writeFile(path, 'console.error("pi: out of paper"); process.exit(4);');
    await page.getByRole('button', { name: 'Start here' }).click();
    await page.getByRole('alert').getByText('out of paper').waitFor();
    // A while later, but before it has registered.
    const go = `${path}.go`;
    t.after(() => rm(go, { force: true }));
    const waits = `import { existsSync } from 'node:fs';
      setInterval(() => {
        if (!existsSync(${JSON.stringify(go)})) return;
        console.error('pi: out of order');
        process.exit(3);
      }, 50);`;
    await writeFile(path, waits);
    await page.getByRole('button', { name: 'Start here' }).click();
    await page.getByText('It opens here as soon as it registers').waitFor();
    await writeFile(go, '');
    await page.getByText('ended with exit code 3 before it registered').waitFor();
    await page.getByText('pi: out of order').waitFor();
    await assertAccessible(page, 'an agent that did not come up');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('dialog', { name: 'Start an agent' }).waitFor();
  });
});
