/** The page in a real browser, against the built daemon: the roster, connections, places, the token. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Page } from 'playwright-core';
import { assertAccessible } from './support/axe.ts';
import { openPage, skip, visit } from './support/browser.ts';
import { Crowd } from './support/crowd.ts';
import { text } from './support/scripted-agent.ts';
import { Stage } from './support/stage.ts';

const row = (page: Page, id: string) => page.locator(`[data-agent="${id}"]`);
const roster = (page: Page) => page.locator('.roster');

/** Time passes for timers alone: the page's own clock is moved. */
async function withClock(t: TestContext, url: string) {
  const seen = await visit(t, 'about:blank');
  await seen.page.clock.install();
  await seen.page.goto(url);
  return seen;
}

describe('the roster', { skip }, () => {
  it('shows who is there, who comes, who goes offline and who goes', async (t) => {
    const stage = await Stage.open(t, { args: ['--node-ttl', '1'] });
    const ada = await stage.agent('ada');
    const { page } = await visit(t, stage.url);
    await row(page, 'ada').waitFor();
    await stage.agent('bob', { cwd: '/home/me/www' });
    await row(page, 'bob').waitFor();
    assert.equal(await page.title(), 'Pi-DE');
    ada.goOffline();
    await row(page, 'ada').and(page.locator('[data-standing="offline"]')).waitFor();
    await row(page, 'ada').waitFor({ state: 'detached' });
    assert.equal(await row(page, 'bob').count(), 1);
  });

  it('finds agents by words, and says if none matches', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada', { cwd: '/home/me/compiler' });
    await stage.agent('bob', { cwd: '/home/me/www' });
    const { page } = await visit(t, stage.url);
    await row(page, 'bob').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('COMP');
    await row(page, 'bob').waitFor({ state: 'detached' });
    assert.equal(await row(page, 'ada').count(), 1);
    await page.keyboard.type('zzz');
    await page.getByRole('button', { name: 'Show all 2' }).click();
    await row(page, 'bob').waitFor();
  });

  it('is there before any agent is', async (t) => {
    const stage = await Stage.open(t);
    const { page } = await visit(t, stage.url);
    await page.getByText('No agents yet').waitFor();
    await assertAccessible(page, 'an empty roster');
  });

  it('is windowed: of thousands of agents it renders those in sight, and reaches the last', async (t) => {
    const stage = await Stage.open(t);
    const crowd = await Crowd.gather(stage.daemon, 2000);
    t.after(() => crowd.leave());
    const { page } = await visit(t, stage.url);
    await page.locator('.row').first().waitFor();
    assert.ok((await page.locator('.row').count()) < 60);
    await page.locator('.roster-scroller').evaluate((element) => element.scrollTo(0, element.scrollHeight));
    // The last of the last project.
    await row(page, 'agent-1979').waitFor();
    assert.ok((await page.locator('.row').count()) < 60);
    await page.keyboard.press('/');
    await page.keyboard.type('session 1234');
    await row(page, 'agent-1234').waitFor();
    assert.equal(await page.locator('.row').count(), 1);
  });
});

describe('the connection to the daemon', { skip }, () => {
  it('greys at once when the daemon is gone, says so after 4 s, and comes back by itself', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    const { page } = await visit(t, stage.url);
    await row(page, 'ada').waitFor();
    const goneAt = Date.now();
    await stage.kill();
    await page.locator('.roster[data-live="false"]').waitFor({ timeout: 2000 });
    assert.equal(await row(page, 'ada').getAttribute('data-standing'), 'unknown', 'no false green');
    assert.equal(await page.locator('.banner').count(), 0, 'calm');
    await page.locator('.banner').waitFor();
    assert.ok(Date.now() - goneAt >= 3500);
    await assertAccessible(page, 'a page without its daemon');
    await stage.restart();
    await page.locator('.roster[data-live="true"]').waitFor({ timeout: 30_000 });
    assert.equal(await page.locator('.banner').count(), 0);
    await page.getByText('No agents yet').waitFor();
  });

  it('is live again within 2 s of waking if nothing came for 45 s', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    const { page } = await withClock(t, stage.url);
    await row(page, 'ada').waitFor();
    let sockets = 0;
    page.on('websocket', () => sockets++);
    const setVisibility = (state: string) =>
      page.evaluate(
        `Object.defineProperty(document, 'visibilityState', { get: () => '${state}', configurable: true });
        document.dispatchEvent(new Event('visibilitychange'))`,
      );
    await setVisibility('hidden');
    await page.clock.runFor(46_000);
    assert.equal(sockets, 0);
    await setVisibility('visible');
    await page.locator('.roster[data-live="true"]').waitFor({ timeout: 2000 });
    assert.equal(sockets, 1);
  });

  it('replaces a socket that a black hole has swallowed, within 35 s', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    const { page } = await visit(t, 'about:blank');
    await page.clock.install();
    let swallow = false;
    let opened = 0;
    await page.routeWebSocket(/\/ws$/, (ws) => {
      opened++;
      const swallowed = swallow;
      const server = ws.connectToServer();
      ws.onMessage((message) => {
        if (!swallow && !swallowed) server.send(message);
      });
      server.onMessage((message) => {
        if (!swallow) ws.send(message);
      });
    });
    await page.goto(stage.url);
    await row(page, 'ada').waitFor();
    swallow = true;
    await page.clock.runFor(36_000);
    await page.waitForFunction(() => document.querySelector('.roster')?.getAttribute('data-live') === 'false');
    swallow = false;
    await page.clock.runFor(45_000);
    await page.locator('.roster[data-live="true"]').waitFor();
    assert.ok(opened >= 2);
  });

  it('is not overruled by the browser’s idea of the network', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada');
    const { page } = await visit(t, stage.url);
    await row(page, 'ada').waitFor();
    await page.evaluate(
      `Object.defineProperty(navigator, 'onLine', { get: () => false }); dispatchEvent(new Event('offline'))`,
    );
    await stage.agent('bob');
    await row(page, 'bob').waitFor();
    assert.equal(await roster(page).getAttribute('data-live'), 'true');
  });
});

describe('the token', { skip }, () => {
  it('is asked for once, kept in this browser, and in no URL that is sent', async (t) => {
    const token = 'a+b %ä';
    const stage = await Stage.open(t, { env: { HYPI_TOKEN: token } });
    const { page, context, problems } = await visit(t, stage.url);
    const urls: string[] = [];
    context.on('request', (request) => urls.push(request.url()));
    page.on('websocket', (socket) => urls.push(socket.url()));
    const field = page.getByLabel('Token', { exact: true });
    await field.fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('is not the right one').waitFor();
    await assertAccessible(page, 'the token entry');
    await field.fill(token);
    await page.keyboard.press('Enter');
    await page.getByText('No agents yet').waitFor();
    assert.equal(await field.count(), 0);
    await page.reload();
    await page.getByText('No agents yet').waitFor();
    const other = await openPage(context, problems);
    await other.goto(stage.url);
    await other.getByText('No agents yet').waitFor();
    assert.ok(urls.length > 4);
    for (const url of urls) assert.doesNotMatch(url, /token|wrong|a(\+|%2B)b/i);
  });

  it('comes behind the # of a link, and is gone from the address at once', async (t) => {
    const stage = await Stage.open(t, { env: { HYPI_TOKEN: 's3cret' } });
    const { page } = await visit(t, `${stage.url}#token=s3cret`);
    await page.getByText('No agents yet').waitFor();
    // The address as the page has it: the test's copy comes later.
    assert.doesNotMatch(await page.evaluate(() => location.href), /s3cret/);
    assert.doesNotMatch(await page.evaluate(() => JSON.stringify(history.state) + document.referrer), /s3cret/);
  });
});

describe('places', { skip }, () => {
  it('are in the address: a link opens an agent, a reload stays there, back goes back', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('a/b ü', { messages: [text('user', 'Hello there')] });
    await stage.agent('bob');
    const { page } = await visit(t, `${stage.url}#/agent/${encodeURIComponent('a/b ü')}`);
    const title = page.locator('.conversation-title h2');
    await title.getByText('a/b ü').waitFor();
    await page.reload();
    await title.getByText('a/b ü').waitFor();
    await row(page, 'bob').locator('a').click();
    await title.getByText('bob').waitFor();
    await page.goBack();
    await title.getByText('a/b ü').waitFor();
  });

  it('may be of an agent that is not there, and opens when it comes', async (t) => {
    const stage = await Stage.open(t);
    const { page } = await visit(t, `${stage.url}#/agent/late`);
    await page.getByText('This agent is not here').waitFor();
    await stage.agent('late');
    await page.locator('.conversation-title h2').getByText('late').waitFor();
  });

  it('stay if an agent goes: it is marked offline, and its words stay on screen', async (t) => {
    const stage = await Stage.open(t, { args: ['--node-ttl', '1'] });
    const ada = await stage.agent('ada', { messages: [text('user', 'Hello there')] });
    const { page } = await visit(t, `${stage.url}#/agent/ada`);
    const conversation = page.locator('.conversation');
    await conversation.getByText('Hello there').waitFor();
    ada.goOffline();
    await conversation.locator('.conversation-standing[data-standing="offline"]').waitFor();
    await row(page, 'ada').waitFor({ state: 'detached' });
    assert.ok(await conversation.getByText('Hello there').isVisible());
    await conversation.locator('.link-state[data-phase="away"]').waitFor();
    await ada.register();
    await conversation.locator('.link-state').waitFor({ state: 'detached' });
    await row(page, 'ada').waitFor();
  });
});

describe('a reverse proxy', { skip }, () => {
  it('may serve the page below a path', async (t) => {
    const stage = await Stage.open(t);
    await stage.agent('ada', { messages: [text('user', 'Hello there')] });
    const { port } = stage.daemon;
    const inner = (url = '') => url.replace(/^\/hypi\//, '/');
    const proxy = createServer((request, response) => {
      if (!request.url?.startsWith('/hypi/')) return response.writeHead(404).end();
      const { host: _, ...headers } = request.headers;
      const onward = httpRequest({ port, path: inner(request.url), headers }, (answer) => {
        response.writeHead(answer.statusCode as number, answer.headers);
        answer.pipe(response);
      });
      // The daemon may be gone before the page is.
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    });
    proxy.on('upgrade', (request, socket, head) => {
      const onward = connect(port, '127.0.0.1', () => {
        const fields = Object.entries({ ...request.headers, host: `127.0.0.1:${port}` });
        const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
        onward.write(`GET ${inner(request.url)} HTTP/1.1\r\n${lines}\r\n`);
        onward.write(head);
        socket.pipe(onward).pipe(socket);
      });
      onward.on('error', () => socket.destroy());
      socket.on('error', () => onward.destroy());
      socket.on('close', () => onward.destroy());
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    t.after(() => {
      proxy.closeAllConnections();
      proxy.close();
    });
    const { page } = await visit(t, `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/hypi/`);
    await row(page, 'ada').locator('a').click();
    await page.locator('.conversation').getByText('Hello there').waitFor();
  });
});
