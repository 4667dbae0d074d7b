/** What goes wrong around the page, and how it comes out of it by itself. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import { assertAccessible } from './support/axe.ts';
import { eventually, skip, visit } from './support/browser.ts';
import { text } from './support/scripted-agent.ts';
import { Stage } from './support/stage.ts';
import { StallingProxy } from './support/stalling-proxy.ts';

const row = (page: Page, id: string) => page.locator(`[data-agent="${id}"]`);
const title = (page: Page) => page.locator('.conversation-title h2');
const setVisibility = (page: Page, state: string) =>
  page.evaluate(
    `Object.defineProperty(document, 'visibilityState', { get: () => '${state}', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'))`,
  );

describe('a newer build under an old tab', { skip }, () => {
  it('is announced, and loaded when nobody looks', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    const { page } = await visit(t, stage.url);
    await row(page, 'ada').waitFor();
    let loads = 0;
    page.on('load', () => loads++);
    assert.equal(await page.locator('.notice').count(), 0, 'it is this build');
    await page.route('**/', async (route) => {
      if (route.request().isNavigationRequest()) return route.continue();
      return route.fulfill({ contentType: 'text/html', body: '<meta name="build" content="another">' });
    });
    await stage.kill();
    await page.locator('.roster[data-live="false"]').waitFor();
    await stage.restart();
    await page.getByText('has a newer page than this tab').waitFor({ timeout: 30_000 });
    assert.equal(loads, 0);
    await setVisibility(page, 'hidden');
    await eventually(async () => assert.equal(loads, 1));
  });
});

describe('a page that the daemon refuses', { skip }, () => {
  it('says why, and how to allow it', async (t) => {
    const stage = await Stage.open(t);
    const { page } = await visit(t, `http://desk.test:${stage.daemon.port}/`);
    await page.getByText(`--allow-origin http://desk.test:${stage.daemon.port}`).waitFor();
    await assertAccessible(page, 'a page that is refused');
  });
});

describe('an agent', { skip }, () => {
  it('whose session is replaced is followed to the next', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', { messages: [text('user', 'The first session')] });
    const { page } = await visit(t, `${stage.url}#/agent/ada`);
    await page.locator('.conversation').getByText('The first session').first().waitFor();
    await stage.agent('next', { messages: [text('user', 'The second session')] });
    ada.closeClients(4001, 'successor:next');
    await title(page).getByText('next').waitFor();
    await page.locator('.conversation').getByText('The second session').first().waitFor();
    assert.match(page.url(), /#\/agent\/next$/);
  });

  it('that is killed and comes back is picked up again', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', { messages: [text('user', 'Before the end')] });
    const { page } = await visit(t, `${stage.url}#/agent/ada`);
    await page.locator('.conversation').getByText('Before the end').first().waitFor();
    await ada.stop();
    await page.locator('.conversation-standing[data-standing="offline"]').waitFor();
    assert.ok(await page.locator('.conversation').getByText('Before the end').first().isVisible());
    await stage.agent('ada', { messages: [text('user', 'Before the end'), text('user', 'After it')] });
    await page.locator('.conversation').getByText('After it').first().waitFor();
    assert.equal(await page.locator('.conversation').getByText('Before the end').count(), 1);
  });

  it('that cannot be reached is shown as such, in words', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada', { port: 1 });
    const { page } = await visit(t, `${stage.url}#/agent/ada`);
    const state = page.locator('.link-state[data-phase="lost"]');
    await state.waitFor();
    await eventually(async () => assert.match((await state.getAttribute('title')) ?? '', /^Cannot reach agent/));
  });

  it('is not asked for by a hidden page', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', { messages: [text('user', 'Hello there')] });
    const { page } = await visit(t, `${stage.url}#/agent/ada`);
    await page.locator('.conversation').getByText('Hello there').first().waitFor();
    await setVisibility(page, 'hidden');
    ada.dropClients();
    await page.waitForTimeout(2500);
    assert.equal(ada.offers.length, 1);
    await setVisibility(page, 'visible');
    await eventually(async () => assert.equal(ada.offers.length, 2));
  });
});

describe('a network', { skip }, () => {
  it('that swallows everything is shown as gone, and left behind without loss', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', { messages: [text('user', 'Before the silence')] });
    const proxy = await StallingProxy.start(t, stage.daemon.port);
    const { page } = await visit(t, `http://127.0.0.1:${proxy.port}/#/agent/ada`);
    const transcript = page.locator('.transcript');
    await transcript.getByText('Before the silence').waitFor();
    // No socket closes: only the page's own ping, after 25 s, can find that nothing is heard any more.
    proxy.stall();
    ada.say(text('user', 'Said into the silence'));
    await page.locator('.roster[data-live="false"]').waitFor({ timeout: 120_000 });
    assert.equal(await transcript.getByText('Before the silence').count(), 1);
    assert.equal(await transcript.getByText('Said into the silence').count(), 0);
    proxy.flow();
    await page.locator('.roster[data-live="true"]').waitFor({ timeout: 120_000 });
    await transcript.getByText('Said into the silence').waitFor({ timeout: 120_000 });
    ada.say(text('user', 'Said after it'));
    await transcript.getByText('Said after it').waitFor();
    for (const words of ['Before the silence', 'Said into the silence', 'Said after it']) {
      assert.equal(await transcript.getByText(words).count(), 1, words);
    }
  });
});

describe('a page that the browser has frozen', { skip }, () => {
  it('does nothing, and once it is awake catches up without loss', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', { messages: [text('user', 'Before the sleep')] });
    const { page, context } = await visit(t, `${stage.url}#/agent/ada`);
    const transcript = page.locator('.transcript');
    await transcript.getByText('Before the sleep').waitFor();
    const client = await context.newCDPSession(page);
    await client.send('Page.setWebLifecycleState', { state: 'frozen' });
    ada.say(text('user', 'Said into its sleep'));
    ada.dropClients();
    ada.say(text('user', 'Said to nobody'));
    await stage.kill();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    assert.equal(ada.offers.length, 1, 'it does not even connect again');
    await stage.restart();
    await ada.register();
    await client.send('Page.setWebLifecycleState', { state: 'active' });
    await page.locator('.roster[data-live="true"]').waitFor();
    await transcript.getByText('Said to nobody').waitFor();
    ada.say(text('user', 'Said after it'));
    await transcript.getByText('Said after it').waitFor();
    for (const words of ['Before the sleep', 'Said into its sleep', 'Said to nobody', 'Said after it']) {
      assert.equal(await transcript.getByText(words).count(), 1, words);
    }
  });
});

describe('hostile text in the roster', { skip }, () => {
  it('stays text, whatever it says', async (t) => {
    const stage = await Stage.open(t);
    const hostile = [
      '<img src=x onerror="document.title=1">',
      '"><script>document.title=1</script>',
      'javascript:alert(1)',
      'safe\u202Egnp.exe',
      '\u{E0041}\u{E0042}tags',
      '#{7*7}{{7*7}}',
      'x'.repeat(250),
      '🏴‍☠️'.repeat(10),
    ];
    for (const [index, name] of hostile.entries()) {
      await stage.agent(`<b id=${index}>`, {
        cwd: `/home/${name}`.slice(0, 1000),
        details: {
          name,
          model: '<i>model</i>',
          tool: '<u>tool</u>',
          state: index % 2 === 0 ? 'working' : 'waiting',
          ...(index % 2 === 0
            ? {}
            : {
                question: { id: 'q', kind: 'select', title: name.slice(0, 100), options: [name.slice(0, 20), '<b>'] },
              }),
        },
      });
    }
    const { page } = await visit(t, stage.url, { viewport: { width: 1280, height: 2400 } });
    await page
      .locator('.row')
      .nth(hostile.length - 1)
      .waitFor();
    assert.equal(await page.locator('.row img, .row script, .row i, .row u, .row b').count(), 0);
    assert.ok(await page.getByText('⟦U+202E⟧').first().isVisible(), 'what reorders is shown as what it is');
    await page.locator('.row-link').first().click();
    await page.keyboard.press('i');
    await page.locator('.inspector').waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('dialog', { name: 'Command palette' }).waitFor();
    assert.doesNotMatch(await page.title(), /^1$/);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, 'nothing bursts the page');
    await page.keyboard.press('Escape');
    await assertAccessible(page, 'a roster of hostile names');
  });
});

describe('the page as an app', { skip }, () => {
  it('can be installed: a manifest, icons, a service worker that answers no request', async (t) => {
    const stage = await Stage.open(t);
    const { page, context } = await visit(t, stage.url);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    const client = await context.newCDPSession(page);
    const { installabilityErrors } = await client.send('Page.getInstallabilityErrors');
    // A private window never installs anything.
    assert.deepEqual(
      installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito'),
      [],
    );
    const manifest = await (await fetch(`${stage.url}app.webmanifest`)).json();
    for (const { src } of manifest.icons) assert.equal((await fetch(stage.url + src)).status, 200, src);
    await page.reload();
    await page.getByText('No agents yet').waitFor();
    const fromWorker = await page.evaluate(
      () =>
        performance.getEntriesByType('resource').filter((entry) => (entry as PerformanceResourceTiming).workerStart > 0)
          .length,
    );
    assert.equal(fromWorker, 0);
  });
});
