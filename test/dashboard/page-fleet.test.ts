/** What agents say of themselves, on the page: attention, answers from the row, the fleet, title, unread, notifications. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import type { Question } from '../../src/protocol/agent.ts';
import { assertAccessible } from './support/axe.ts';
import { eventually, openPage, skip, visit } from './support/browser.ts';
import { text } from './support/scripted-agent.ts';
import { Stage } from './support/stage.ts';

const row = (page: Page, id: string) => page.locator(`[data-agent="${id}"]`);
const standing = (page: Page, id: string, value: string) =>
  row(page, id).and(page.locator(`[data-standing="${value}"]`));
const order = (page: Page) =>
  page.locator('.row').evaluateAll((rows) => rows.map((each) => each.getAttribute('data-agent')));

const confirm = (id: string, title = 'Delete 14 files?'): Question => ({
  id,
  kind: 'confirm',
  title,
  askedAt: Date.now(),
});

/** Settles what it is asked, as an agent does. */
function answering(agent: Awaited<ReturnType<Stage['agent']>>): void {
  agent.onRequest = (request) => {
    if (request.type !== 'answer') return;
    void agent.settle(request.id, { by: 'dashboard', client: request.client, value: request.value });
  };
}

describe('the roster of agents that say what they do', { skip }, () => {
  it('shows state, tool, model, context and cost, as they change', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', {
      details: {
        name: 'Retry uploads',
        state: 'working',
        model: 'sonnet-5',
        context: { used: 50_000, max: 200_000 },
        cost: 0.42,
      },
    });
    const { page } = await visit(t, stage.url);
    await standing(page, 'ada', 'working').waitFor();
    const words = await row(page, 'ada').innerText();
    for (const part of ['Retry uploads', 'working', 'sonnet-5', '25%', '$0.42'])
      assert.ok(words.includes(part), `${part} in ${words}`);
    await ada.update({ tool: 'bash' });
    await row(page, 'ada').getByText('bash').waitFor();
    await ada.update({ tool: null, name: 'Another name' });
    await row(page, 'ada').getByText('Another name').waitFor();
    assert.equal(await row(page, 'ada').getByText('bash').count(), 0);
  });

  it('is in the order of attention: question, failed, finished, working, idle, offline', async (t) => {
    const stage = await Stage.open(t);
    const cwd = '/home/me/one';
    const finishing = await stage.agent('finishing', { cwd, details: { state: 'working' } });
    await stage.agent('idle', { cwd, details: { state: 'idle' } });
    const gone = await stage.agent('gone', { cwd, details: { state: 'working' } });
    await stage.agent('working', { cwd, details: { state: 'working' } });
    await stage.agent('failed', { cwd, details: { state: 'failed' } });
    const asking = await stage.agent('asking', { cwd, details: { state: 'working' } });
    const { page } = await visit(t, stage.url);
    await row(page, 'asking').waitFor();
    await finishing.update({ state: 'idle' });
    await asking.ask(confirm('q1'));
    gone.goOffline();
    await standing(page, 'gone', 'offline').waitFor();
    await standing(page, 'asking', 'question').waitFor();
    await eventually(async () =>
      assert.deepEqual(await order(page), ['asking', 'failed', 'finishing', 'working', 'idle', 'gone']),
    );
    await assertAccessible(page, 'a roster with every standing');
  });

  it('is calm with a daemon and agents of the older kind', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('old', { classic: true, messages: [text('user', 'Hello there')] });
    const { page } = await visit(t, 'about:blank');
    await page.routeWebSocket(/\/ws$/, (ws) => {
      const server = ws.connectToServer();
      ws.onMessage((message) => {
        const request = JSON.parse(String(message));
        if (request.method === 'ping') server.send(message);
        else ws.send(JSON.stringify({ id: request.id, error: `Method not found: ${request.method}` }));
      });
    });
    await page.goto(stage.url);
    await standing(page, 'old', 'online').waitFor();
    await row(page, 'old').locator('a').click();
    await page.locator('.conversation').getByText('Hello there').waitFor();
    await page.keyboard.press('i');
    await page.locator('.inspector').getByText('the classic protocol').waitFor();
    assert.equal(await page.locator('.notice').count(), 0);
  });
});

describe('a question in the roster', { skip }, () => {
  it('is answered from the row: disabled at once, settled once the agent says so', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', { details: { state: 'working' } });
    const { page } = await visit(t, stage.url);
    await row(page, 'ada').waitFor();
    await ada.ask(confirm('q1'));
    const yes = row(page, 'ada').getByRole('button', { name: 'Yes' });
    await yes.click();
    await page.waitForFunction(() => document.querySelector('.quick button')?.hasAttribute('disabled'));
    assert.ok(await standing(page, 'ada', 'question').isVisible(), 'the agent has not confirmed it');
    await eventually(async () => assert.equal(ada.received.length, 1, 'the answer has come'));
    // Nothing else may follow it.
    await page.waitForTimeout(100);
    assert.deepEqual(
      ada.received.map(({ type, id, value }) => ({ type, id, value })),
      [{ type: 'answer', id: 'q1', value: true }],
    );
    await ada.settle('q1', { by: 'dashboard', client: ada.received[0].client, value: true });
    await standing(page, 'ada', 'working').waitFor();
    assert.equal(await page.locator('.conversation-header').count(), 0, 'without opening the agent');
  });

  it('has the options of a select', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada');
    answering(ada);
    const { page } = await visit(t, stage.url);
    await ada.ask({ id: 'q1', kind: 'select', title: 'Which branch?', options: ['main', 'release'], askedAt: 1 });
    await row(page, 'ada').getByRole('button', { name: 'release' }).click();
    await standing(page, 'ada', 'working').waitFor();
    assert.equal(ada.received[0].value, 'release');
  });

  it('is not delivered if the agent cannot be reached, and can be sent again', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada');
    answering(ada);
    const { page } = await visit(t, stage.url);
    await ada.ask(confirm('q1'));
    let cut = true;
    await page.routeWebSocket(/\/ws\/agent\//, (ws) => {
      if (cut) void ws.close({ code: 1014 });
      else ws.connectToServer();
    });
    await row(page, 'ada').getByRole('button', { name: 'Yes' }).click();
    await row(page, 'ada').getByText('Not delivered').waitFor();
    cut = false;
    await row(page, 'ada').getByRole('button', { name: 'Send again' }).click();
    await standing(page, 'ada', 'working').waitFor();
    assert.equal(ada.received.length, 1, 'once');
  });

  it('says so if somebody else answered first', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada');
    const { page } = await visit(t, stage.url);
    await ada.ask(confirm('q1'));
    await row(page, 'ada').getByRole('button', { name: 'No' }).waitFor();
    // The roster does not know it yet.
    ada.emit({ type: 'question_settled', id: 'q1', by: 'terminal', value: true });
    await row(page, 'ada').getByRole('button', { name: 'No' }).click();
    await row(page, 'ada')
      .getByText(/Already answered/)
      .waitFor();
  });

  it('is answered by keys on the row', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada');
    answering(ada);
    const { page } = await visit(t, stage.url);
    await ada.ask(confirm('q1'));
    await standing(page, 'ada', 'question').waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Shift+N');
    await standing(page, 'ada', 'working').waitFor();
    assert.equal(ada.received[0].value, false);
  });
});

describe('the fleet', { skip }, () => {
  it('counts, filters, and leads to the next that waits by one key', async (t) => {
    const stage = await Stage.open(t);
    const [ada, bob] = [await stage.agent('ada'), await stage.agent('bob')];
    await stage.agent('eve', { details: { state: 'working' } });
    const { page } = await visit(t, stage.url);
    await ada.ask(confirm('q1'));
    await page.getByRole('button', { name: '1 waiting' }).waitFor();
    await bob.ask(confirm('q2'));
    await page.getByRole('button', { name: '2 waiting' }).waitFor();
    await page.getByRole('button', { name: '1 working' }).click();
    await row(page, 'ada').waitFor({ state: 'detached' });
    assert.deepEqual(await order(page), ['eve']);
    await page.getByRole('button', { name: '1 working' }).click();
    await row(page, 'ada').waitFor();
    const title = page.locator('.conversation-title h2');
    for (const name of ['ada', 'bob', 'ada']) {
      await page.keyboard.press('n');
      await title.getByText(name).waitFor();
      // Whoever answers would have the focus; the key is for whoever does not.
      await page.evaluate('document.activeElement.blur()');
    }
  });

  it('stops all that work, after a question', async (t) => {
    const stage = await Stage.open(t);
    const working = await Promise.all(['ada', 'bob'].map((id) => stage.agent(id, { details: { state: 'working' } })));
    const idle = await stage.agent('eve', { details: { state: 'idle' } });
    for (const agent of working) {
      agent.onRequest = (request) => {
        if (request.type === 'abort') void agent.setState('idle');
      };
    }
    const { page } = await visit(t, stage.url);
    await page.getByRole('button', { name: 'Stop all' }).click();
    await page.getByRole('heading', { name: 'Stop 2 agents?' }).waitFor();
    await assertAccessible(page, 'the question before all stop');
    await page.keyboard.press('Escape');
    assert.equal(working[0]?.received.length, 0);
    await page.getByRole('button', { name: 'Stop all' }).click();
    await page.getByRole('button', { name: 'Stop all 2' }).click();
    await page.getByText('Stopped 2 agents.').waitFor();
    assert.deepEqual(
      [...working, idle].map(({ received }) => received.length),
      [1, 1, 0],
    );
  });
});

describe('title and icon', { skip }, () => {
  it('tell of attention before work', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', { details: { state: 'idle' } });
    const bob = await stage.agent('bob', { details: { state: 'idle' } });
    const { page } = await visit(t, stage.url);
    const titled = (title: string) => page.waitForFunction((wanted) => document.title === wanted, title);
    const icon = () => page.locator('link[rel="icon"]').getAttribute('href');
    await titled('Pi-DE');
    const calm = await icon();
    await bob.update({ state: 'working' });
    await titled('▸ Pi-DE');
    const working = await icon();
    await ada.ask(confirm('q1'));
    await titled('(1) Pi-DE');
    assert.equal(new Set([calm, working, await icon()]).size, 3);
    await stage.kill();
    await titled('Pi-DE');
  });
});

describe('unread agents', { skip }, () => {
  it('are those that finished while one looked elsewhere, over a reload, until they are looked at', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', { details: { state: 'idle' } });
    await stage.agent('bob', { details: { state: 'idle' } });
    const { page } = await visit(t, stage.url);
    await standing(page, 'ada', 'idle').waitFor();
    assert.equal(await page.title(), 'Pi-DE', 'the first visit counts nothing');
    await ada.update({ state: 'working' });
    await standing(page, 'ada', 'working').waitFor();
    await ada.update({ state: 'idle' });
    await standing(page, 'ada', 'finished').waitFor();
    await page.reload();
    await standing(page, 'ada', 'finished').waitFor();
    await eventually(async () => assert.match(await page.title(), /^\(1\)/));
    await row(page, 'ada').locator('a').click();
    await standing(page, 'ada', 'idle').waitFor();
    await row(page, 'bob').locator('a').click();
    await page.reload();
    await standing(page, 'ada', 'idle').waitFor();
  });
});

describe('notifications', { skip }, () => {
  /** A page that may notify; what it shows is kept by the service worker. */
  async function allowed(t: Parameters<typeof visit>[0], stage: Stage) {
    const seen = await visit(t, 'about:blank');
    await seen.context.grantPermissions(['notifications'], { origin: stage.daemon.origin });
    await seen.page.goto(stage.url);
    await seen.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await seen.page.getByRole('button', { name: 'Settings' }).click();
    await seen.page.getByLabel(/Tell me on this device/).check();
    // The browser is asked, and one tab is chosen to tell: both take a moment.
    await seen.page.waitForFunction(async () => {
      const { held = [] } = await navigator.locks.query();
      return localStorage.getItem('hypi.telling-on') === 'true' && held.length > 0;
    });
    await seen.page.keyboard.press('Escape');
    return seen;
  }
  /** The titles of what is shown, sorted. */
  const shown = async (page: Page, wanted: string[], why?: string) =>
    eventually(async () => {
      const titles = await page.evaluate(async () => {
        const worker = await navigator.serviceWorker.ready;
        return (await worker.getNotifications()).map(({ title }) => title).sort();
      });
      assert.deepEqual(titles, wanted, why);
    });

  it('come when an agent waits, fails or is done, one for each agent, but not for an agent in sight', async (t) => {
    const stage = await Stage.open(t);
    const [ada, bob, eve] = await Promise.all(
      ['ada', 'bob', 'eve'].map((id) => stage.agent(id, { details: { state: 'working' } })),
    );
    const { page } = await allowed(t, stage);
    await standing(page, 'ada', 'working').waitFor();
    await ada?.ask(confirm('q1'));
    await shown(page, ['ada waits for you']);
    await bob?.update({ state: 'failed' });
    await shown(page, ['ada waits for you', 'bob failed']);
    await ada?.settle('q1', { by: 'terminal', value: true });
    await standing(page, 'ada', 'working').waitFor();
    await ada?.update({ state: 'idle' });
    await shown(page, ['ada has finished', 'bob failed'], 'the newest of each agent');
    // Somebody has eve before their eyes, and moves.
    await page.bringToFront();
    await row(page, 'eve').locator('a').click();
    await eve?.update({ state: 'idle' });
    await page.locator('.conversation-standing[data-standing="idle"]').waitFor();
    await page.waitForTimeout(200);
    await shown(page, ['ada has finished', 'bob failed']);
  });

  it('come once for a device, whatever the tabs, and as chosen for the agent', async (t) => {
    const stage = await Stage.open(t);
    const ada = await stage.agent('ada', { details: { state: 'working' } });
    const { page, context, problems } = await allowed(t, stage);
    const other = await openPage(context, problems);
    await other.goto(stage.url);
    await standing(other, 'ada', 'working').waitFor();
    await row(page, 'ada').locator('a').click();
    await page.keyboard.press('i');
    await page.getByLabel('What to tell of this agent').selectOption('waits');
    await page.evaluate('location.hash = ""');
    await ada.update({ state: 'idle' });
    await ada.update({ state: 'working' });
    await ada.ask(confirm('q1'));
    await shown(other, ['ada waits for you']);
  });

  it('are hidden and explained off localhost without TLS', async (t) => {
    const stage = await Stage.open(t, { args: ['--allow-host', 'desk.test'] });
    const { page } = await visit(t, `http://desk.test:${stage.daemon.port}/`);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByText('Browsers allow notifications to pages from localhost or over HTTPS only').waitFor();
    assert.equal(await page.getByLabel(/Tell me/).count(), 0);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Open on a phone' }).click();
    await page.getByText('browsers give a page no clipboard').waitFor();
    await page.locator('.qr path[d^="M"]').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Copy' }).count(), 0);
  });
});

describe('another device', { skip }, () => {
  it('has a sentence in place of the QR code if that cannot be loaded', async (t) => {
    const stage = await Stage.open(t, { args: ['--allow-host', 'desk.test'] });
    const { page } = await visit(t, `http://desk.test:${stage.daemon.port}/`);
    // The dialogs are loaded together, and the code by itself.
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.route('**/assets/*.js', (route) => route.abort());
    await page.getByRole('button', { name: 'Open on a phone' }).click();
    await page.getByText('The QR code could not be loaded').waitFor();
    await page.getByText(`http://desk.test:${stage.daemon.port}/`).waitFor();
  });
});
