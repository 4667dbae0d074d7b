/** Acting on an agent in a real browser: prompts and their fate, the queue, drafts, files, menus, keys, questions. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Locator, Page, WebSocketRoute } from 'playwright-core';
import type { Question } from '../../src/protocol/agent.ts';
import { assertAccessible } from './support/axe.ts';
import { eventually, openPage, skip, visit } from './support/browser.ts';
import { openChat, partsOf, textsOf, until } from './support/open-chat.ts';
import { PICTURE, user } from './support/sample-conversation.ts';
import type { ScriptedAgent } from './support/scripted-agent.ts';
import { Stage } from './support/stage.ts';

const prompts = (agent: ScriptedAgent) => agent.received.filter((request) => request.type === 'prompt');

/** What an agent does that takes prompts: at once if it is idle, else it queues them. */
function takesPrompts(agent: ScriptedAgent): void {
  agent.onRequest = (request) => {
    if (request.type === 'prompt') {
      agent.emit({ type: 'prompt_status', id: request.id, status: 'queued' });
      if (agent.state === 'working') {
        const { id, text, deliver, client } = request;
        agent.emit({ type: 'queue', entries: [...agent.queue, { id, text, deliver, client, queuedAt: Date.now() }] });
        return;
      }
      agent.emit({ type: 'prompt_status', id: request.id, status: 'delivered' });
      agent.emit({
        type: 'message_end',
        message: user(request.text),
        index: agent.messages.length,
        prompt: request.id,
      });
    }
    if (request.type === 'queue_remove') {
      agent.emit({ type: 'queue', entries: agent.queue.filter(({ id }) => id !== request.id) });
      agent.emit({ type: 'prompt_status', id: request.id, status: 'removed' });
    }
    if (request.type === 'queue_steer') {
      agent.emit({
        type: 'queue',
        entries: agent.queue.map((entry) =>
          entry.id === request.id ? { ...entry, deliver: 'steer' as const } : entry,
        ),
      });
    }
    if (request.type === 'abort') agent.emit({ type: 'state', state: 'idle', since: Date.now() });
  };
}

/** Tabs of one browser with the same agent, whose connections to it can be cut while the daemon serves the page. */
async function tabsOf(t: TestContext, stage: Stage, url: string) {
  const agent = await stage.agent('ada');
  takesPrompts(agent);
  const { context, problems, page: blank } = await visit(t, 'about:blank');
  let isCut = false;
  const sockets = new Set<WebSocketRoute>();
  await context.routeWebSocket(/\/ws\/agent\//, (socket) => {
    if (isCut) return void socket.close();
    socket.connectToServer();
    sockets.add(socket);
  });
  const open = async () => {
    const page = await openPage(context, problems);
    await page.goto(`${url}#/agent/ada`);
    const parts = partsOf(page);
    await parts.composer.waitFor();
    const isTrying = () => parts.chat.getByText(/Trying again/).waitFor();
    return {
      page,
      ...parts,
      async write(words: string) {
        await isTrying();
        await parts.composer.fill(words);
        await parts.composer.press('Enter');
        await parts.chat.locator('[data-pending="waiting"]', { hasText: words }).waitFor();
      },
      waits: (texts: string[]) =>
        eventually(async () => {
          assert.deepEqual(await textsOf(parts.chat.locator('[data-pending="waiting"] .bubble')), texts);
        }),
      async reload() {
        await page.bringToFront();
        await page.reload();
        await isTrying();
      },
      async tryNow() {
        // The connection may have come back by itself.
        await page.bringToFront();
        await page.evaluate(() => window.dispatchEvent(new Event('online')));
      },
    };
  };
  await blank.close();
  const network = {
    async cut() {
      isCut = true;
      await Promise.all([...sockets].map((socket) => socket.close().catch(() => {})));
      sockets.clear();
    },
    mend() {
      isCut = false;
    },
  };
  return { agent, network, open };
}

describe('sending', { skip }, () => {
  it('shows a prompt at once as sending, then queued, then delivered in its place in the conversation', async (t) => {
    const { agent, chat, composer, entries } = await openChat(t, { messages: [user('before')] });
    await chat.getByText('before').waitFor();
    await composer.fill('Do something');
    await composer.press('Enter');
    assert.equal(await composer.inputValue(), '');
    await chat.locator('[data-pending="sending"]', { hasText: 'Do something' }).waitFor();
    await until(() => prompts(agent).length === 1, 'the prompt');
    const [{ id, text, deliver }] = prompts(agent);
    assert.deepEqual([text, deliver, typeof id], ['Do something', 'followUp', 'string']);
    agent.emit({ type: 'prompt_status', id, status: 'queued' });
    await chat.locator('[data-pending="queued"]').waitFor();
    agent.emit({ type: 'prompt_status', id, status: 'delivered' });
    agent.emit({ type: 'message_end', message: user('Do something'), index: 1, prompt: id });
    await chat.locator('[data-pending]').waitFor({ state: 'detached' });
    await until(async () => (await textsOf(entries)).join() === 'before,Do something', 'the prompt in its place');
  });

  it('queues while the agent works; each in the queue can be steered or removed', async (t) => {
    const { page, agent, chat, composer } = await openChat(t, { details: { state: 'working' } });
    takesPrompts(agent);
    await chat.getByRole('button', { name: 'Stop the agent' }).waitFor();
    for (const words of ['one', 'two']) {
      await composer.fill(words);
      await chat.getByRole('button', { name: 'Queue message' }).click();
    }
    const queue = chat.getByRole('region', { name: 'Queued prompts' });
    await queue.getByText('2 queued').waitFor();
    await queue.getByText('Pi-DE on').first().waitFor();
    await assertAccessible(page, 'a queue');
    await queue.getByRole('button', { name: 'Steer with: one' }).click();
    await queue.getByText('steers').waitFor();
    await queue.getByRole('button', { name: 'Remove: two' }).click();
    await queue.getByText('1 queued').waitFor();
    await composer.fill('now');
    await composer.press('Control+Enter');
    await until(() => prompts(agent).at(-1)?.text === 'now', 'the steering prompt');
    assert.equal(prompts(agent).at(-1).deliver, 'steer');
    assert.deepEqual(
      prompts(agent)
        .slice(0, 2)
        .map(({ deliver }) => deliver),
      ['followUp', 'followUp'],
    );
  });

  it('says why a prompt failed, and repeats it under another id', async (t) => {
    const { page, agent, chat, composer } = await openChat(t);
    await composer.fill('Do it');
    await composer.press('Enter');
    await until(() => prompts(agent).length === 1, 'the prompt');
    agent.emit({ type: 'prompt_status', id: prompts(agent)[0].id, status: 'failed', error: 'The queue is full.' });
    await chat.getByRole('alert').getByText('The queue is full.').waitFor();
    await assertAccessible(page, 'a failed prompt');
    takesPrompts(agent);
    await chat.getByRole('button', { name: 'Send again' }).click();
    await chat.locator('[data-pending]').waitFor({ state: 'detached' });
    assert.equal(prompts(agent).length, 2);
    assert.notEqual(prompts(agent)[0].id, prompts(agent)[1].id);
  });

  it('never repeats a prompt by itself if its outcome is not known, over reconnects and a reload', async (t) => {
    const { page, agent, chat, composer } = await openChat(t);
    await composer.fill('Only once');
    await composer.press('Enter');
    await until(() => prompts(agent).length === 1, 'the prompt');
    const offers = agent.offers.length;
    agent.dropClients();
    await chat.getByText('Not known whether it arrived').waitFor();
    await until(() => agent.offers.length > offers, 'a reconnect');
    await page.reload();
    await chat.getByText('Not known whether it arrived').waitFor();
    await page.waitForTimeout(300);
    assert.equal(prompts(agent).length, 1);
    takesPrompts(agent);
    await chat.getByRole('button', { name: 'Send again' }).click();
    await chat.locator('[data-pending]').waitFor({ state: 'detached' });
    assert.equal(prompts(agent)[0].id, prompts(agent)[1].id, 'an agent that has it takes it no second time');
  });

  it('learns from the snapshot the outcome of a prompt while the connection was lost', async (t) => {
    const { agent, chat, composer } = await openChat(t);
    await composer.fill('Was it taken?');
    await composer.press('Enter');
    await until(() => prompts(agent).length === 1, 'the prompt');
    agent.dropClients();
    agent.prompts.push({ id: prompts(agent)[0].id, status: 'delivered' });
    agent.messages.push(user('Was it taken?'));
    agent.forget();
    await chat.locator('[data-pending]').waitFor({ state: 'detached' });
    assert.equal(await chat.getByText('Was it taken?').count(), 1);
  });

  it('keeps a prompt until the connection is back, and then sends it', async (t) => {
    const { stage, agent, chat, composer } = await openChat(t);
    takesPrompts(agent);
    await composer.waitFor();
    await stage.kill();
    await chat.getByText(/Trying again/).waitFor();
    await composer.fill('Later');
    await composer.press('Enter');
    await chat.getByText('Waits for the connection').waitFor();
    await stage.restart();
    await agent.register();
    await until(() => prompts(agent).length === 1, 'the prompt');
    await chat.locator('[data-pending]').waitFor({ state: 'detached' });
    assert.equal(prompts(agent).length, 1);
  });

  it('sends a prompt that waited over a reload with its files, or says that they are gone', async (t) => {
    const { page, stage, agent, chat, composer } = await openChat(t);
    await composer.waitFor();
    await stage.kill();
    await chat.getByText(/Trying again/).waitFor();
    for (const words of ['kept', 'lost']) {
      await page
        .locator('input[type=file]')
        .setInputFiles({ name: `${words}.txt`, mimeType: 'text/plain', buffer: Buffer.from(words) });
      await chat.getByText(`${words}.txt`).waitFor();
      await composer.fill(words);
      await composer.press('Enter');
      await chat.locator('[data-pending="waiting"]', { hasText: words }).waitFor();
    }
    await page.evaluate(
      () =>
        new Promise((done) => {
          const request = indexedDB.open('pi-de');
          request.onsuccess = () => {
            const store = request.result.transaction('files', 'readwrite').objectStore('files');
            const keys = store.getAllKeys();
            keys.onsuccess = () => {
              store.delete(
                keys.result.find(
                  (key) =>
                    String(key).startsWith('ada ') &&
                    window.localStorage.getItem(`pi-de.outbox.${key}`)?.includes('"text":"lost"'),
                ) as string,
              );
              store.transaction.oncomplete = done;
            };
          };
        }),
    );
    await stage.restart();
    takesPrompts(agent);
    await page.reload();
    await agent.register();
    await until(() => prompts(agent).length === 1, 'the prompt');
    assert.deepEqual([prompts(agent)[0].text, prompts(agent)[0].attachments.length], ['kept', 1]);
    await chat.getByText('Its files are gone.').waitFor();
    assert.equal(prompts(agent).length, 1);
  });

  it('keeps what waits in each of two tabs, and sends it once: also if one is closed, and the other reloaded', async (t) => {
    const stage = await Stage.open(t);
    const { agent, network, open } = await tabsOf(t, stage, stage.url);
    const [first, second] = [await open(), await open()];
    await network.cut();
    await first.write('from the first');
    await second.write('from the second');
    await first.write('again from the first');
    await first.reload();
    await first.waits(['from the first', 'again from the first']);
    await second.waits(['from the second']);
    await second.page.close();
    await first.page.evaluate(() => window.dispatchEvent(new Event('focus')));
    const all = ['from the first', 'from the second', 'again from the first'];
    await first.waits(all);
    await first.reload();
    await first.waits(all);
    network.mend();
    await first.tryNow();
    await first.waits([]);
    assert.deepEqual(
      prompts(agent).map(({ text }) => text),
      all,
    );
  });

  it('sends what waits in one tab once, whatever other tabs are opened and reloaded, and keeps nothing of it', async (t) => {
    const stage = await Stage.open(t);
    const { agent, network, open } = await tabsOf(t, stage, stage.url);
    const first = await open();
    await network.cut();
    await first.write('Only once');
    const second = await open();
    await second.chat.getByText(/Trying again/).waitFor();
    await second.waits([]);
    network.mend();
    for (const tab of [second, first]) await tab.tryNow();
    for (const tab of [first, second]) await tab.entries.getByText('Only once').waitFor();
    for (const tab of [first, second]) await tab.waits([]);
    assert.equal(prompts(agent).length, 1);
    const kept = await first.page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('outbox')));
    assert.deepEqual(kept, []);
  });

  it('has no locks off localhost: what waits is kept over a reload, and what a tab has left waits for a person', async (t) => {
    const stage = await Stage.open(t, { args: ['--allow-host', 'desk.test'] });
    const { agent, network, open } = await tabsOf(t, stage, `http://desk.test:${stage.daemon.port}/`);
    const [first, second] = [await open(), await open()];
    await network.cut();
    await first.write('mine');
    await second.write('yours');
    await first.reload();
    await first.waits(['mine']);
    await second.page.close();
    await first.page.evaluate(() => window.dispatchEvent(new Event('focus')));
    await first.chat.locator('[data-pending="unknown"]', { hasText: 'yours' }).waitFor();
    network.mend();
    await first.tryNow();
    await first.waits([]);
    assert.deepEqual(
      prompts(agent).map(({ text }) => text),
      ['mine'],
    );
    await first.chat.getByRole('button', { name: 'Send again' }).click();
    await first.chat.locator('[data-pending]').waitFor({ state: 'detached' });
    assert.equal(prompts(agent)[1]?.text, 'yours');
  });

  it('stops the agent', async (t) => {
    const { agent, chat } = await openChat(t, { details: { state: 'working' } });
    const stop = chat.getByRole('button', { name: 'Stop the agent' });
    await stop.click();
    await until(() => agent.received.some(({ type }) => type === 'abort'), 'the abort');
    assert.equal(await stop.isDisabled(), true);
    agent.emit({ type: 'state', state: 'idle', since: Date.now() });
    await stop.waitFor({ state: 'detached' });
  });

  it('keeps the draft for an agent that is offline, and its transcript', async (t) => {
    const { page, agent, chat, composer } = await openChat(t, { messages: [user('Said before')] });
    await chat.getByText('Said before').waitFor();
    agent.goOffline();
    await chat.getByText('The agent is offline.').waitFor();
    await composer.fill('For later');
    assert.equal(await chat.getByRole('button', { name: 'Send message' }).isDisabled(), true);
    assert.equal(await chat.getByText('Said before').count(), 1);
    await assertAccessible(page, 'an agent that is offline');
    await agent.register();
    await chat.getByText('The agent is offline.').waitFor({ state: 'detached' });
    assert.equal(await composer.inputValue(), 'For later');
  });
});

describe('the Enter key', { skip }, () => {
  it('sends on a desk, breaks the line with Shift, and is left to an input method', async (t) => {
    const { agent, composer } = await openChat(t);
    takesPrompts(agent);
    await composer.fill('one');
    await composer.press('Shift+Enter');
    await composer.pressSequentially('two');
    assert.equal(await composer.inputValue(), 'one\ntwo');
    await composer.evaluate((element) => {
      for (const options of [{ isComposing: true }, { keyCode: 229 }]) {
        element.dispatchEvent(
          new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...options }),
        );
      }
    });
    assert.equal(await composer.inputValue(), 'one\ntwo');
    await composer.press('Enter');
    await until(() => prompts(agent).length === 1, 'the prompt');
    assert.equal(prompts(agent)[0].text, 'one\ntwo');
  });

  it('breaks the line on a touch screen', async (t) => {
    const { agent, chat, composer } = await openChat(
      t,
      {},
      { hasTouch: true, isMobile: true, viewport: { width: 390, height: 700 } },
    );
    takesPrompts(agent);
    await composer.fill('one');
    await composer.press('Enter');
    await composer.pressSequentially('two');
    assert.equal(await composer.inputValue(), 'one\ntwo');
    await chat.getByRole('button', { name: 'Send message' }).tap();
    await until(() => prompts(agent).length === 1, 'the prompt');
  });
});

describe('a phone', { skip }, () => {
  it('has the composer above its keyboard, and inputs of 16 px and more', async (t) => {
    const { page, composer } = await openChat(
      t,
      { messages: [user('hello')] },
      { hasTouch: true, isMobile: true, viewport: { width: 390, height: 800 } },
    );
    await composer.waitFor();
    assert.ok((await composer.evaluate((element) => Number.parseFloat(getComputedStyle(element).fontSize))) >= 16);
    await page.evaluate(() => {
      const viewport = window.visualViewport as VisualViewport;
      Object.defineProperty(viewport, 'height', { configurable: true, get: () => 420 });
      viewport.dispatchEvent(new Event('resize'));
    });
    await until(async () => {
      const box = await composer.boundingBox();
      return box !== null && box.y + box.height <= 420 && box.y > 100;
    }, 'the composer is above the keyboard');
  });
});

describe('drafts', { skip }, () => {
  it('are kept by agent with their files, over switching, a reload and a reconnect', async (t) => {
    const { page, stage, agent, chat, composer } = await openChat(t);
    await stage.agent('bob');
    await composer.fill('Half a thought');
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('notes') });
    const files = chat.getByRole('list', { name: 'Attached files' });
    await files.getByText('notes.txt').waitFor();
    const kept = async (what: string) => {
      await until(async () => (await composer.inputValue()) === 'Half a thought', `${what}: the text`);
      await files.getByText('notes.txt').waitFor();
    };
    await page.goto(`${stage.url}#/agent/bob`);
    await until(async () => (await composer.inputValue()) === '', 'Bob has none');
    assert.equal(await files.count(), 0);
    await page.goto(`${stage.url}#/agent/ada`);
    await kept('switching');
    agent.dropClients();
    await kept('a reconnect');
    await page.reload();
    await kept('a reload');
    takesPrompts(agent);
    await composer.press('Enter');
    await until(() => prompts(agent).length === 1, 'the prompt');
    assert.deepEqual(prompts(agent)[0].attachments, [
      { filename: 'notes.txt', data: Buffer.from('notes').toString('base64'), mimeType: 'text/plain' },
    ]);
    await page.reload();
    await composer.waitFor();
    await until(async () => (await files.count()) === 0, 'the files to be gone once they were taken');
    assert.equal(await composer.inputValue(), '');
  });

  it('are the same in two tabs: a text written in one is seen in the other', async (t) => {
    const { page, context, problems, agent, composer, chat } = await openChat(t);
    const other = await openPage(context, problems);
    await other.goto(page.url());
    const there = partsOf(other);
    const files = (tab: Locator) => tab.getByRole('list', { name: 'Attached files' });
    const both = (text: string, what: string) =>
      until(async () => (await composer.inputValue()) === text && (await there.composer.inputValue()) === text, what);
    await composer.waitFor();
    await there.composer.waitFor();
    await composer.fill('Half a thought');
    await both('Half a thought', 'from the first to the second');
    await there.composer.press('End');
    await there.composer.pressSequentially(', and the rest');
    await both('Half a thought, and the rest', 'from the second to the first');
    await other
      .locator('input[type=file]')
      .setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('notes') });
    await files(chat).getByText('notes.txt').waitFor();
    await page.reload();
    await both('Half a thought, and the rest', 'after a reload');
    await files(chat).getByText('notes.txt').waitFor();
    takesPrompts(agent);
    await composer.press('Enter');
    await until(() => prompts(agent).length === 1, 'the prompt');
    assert.equal(prompts(agent)[0].attachments?.length, 1);
    await both('', 'what was sent is in neither');
    await until(async () => (await files(there.chat).count()) === 0, 'nor are its files');
  });
});

describe('files', { skip }, () => {
  const picture = Buffer.from(PICTURE, 'base64');

  it('are attached by button, paste and drop, and removed', async (t) => {
    const { page, agent, chat, composer } = await openChat(t);
    await composer.waitFor();
    const chooser = page.waitForEvent('filechooser');
    await chat.getByRole('button', { name: 'Attach files' }).click();
    await (await chooser).setFiles([{ name: 'a.png', mimeType: 'image/png', buffer: picture }]);
    await chat.getByText('a.png').waitFor();
    for (const kind of ['paste', 'drop']) {
      await composer.evaluate(
        (element, [type, base64]) => {
          const data = new DataTransfer();
          data.items.add(
            new File([Uint8Array.from(atob(base64 as string), (letter) => letter.charCodeAt(0))], 'a.png', {
              type: 'image/png',
            }),
          );
          const event =
            type === 'paste'
              ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
              : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
          element.dispatchEvent(event);
        },
        [kind, PICTURE],
      );
    }
    await chat.getByText('a-2.png').waitFor();
    await chat.getByText('a-3.png').waitFor();
    await assertAccessible(page, 'attached files');
    await chat.getByRole('button', { name: 'Remove a-2.png' }).click();
    takesPrompts(agent);
    await composer.fill('Look');
    await composer.press('Enter');
    await until(() => prompts(agent).length === 1, 'the prompt');
    assert.deepEqual(
      prompts(agent)[0].attachments.map(({ filename, data }: { filename: string; data: string }) => [filename, data]),
      [
        ['a.png', PICTURE],
        ['a-3.png', PICTURE],
      ],
    );
  });

  it('that are too large are refused in words, and large pictures are made smaller', async (t) => {
    const { page, chat, composer } = await openChat(t);
    await composer.waitFor();
    await page.locator('input[type=file]').setInputFiles({
      name: 'large.bin',
      mimeType: 'application/octet-stream',
      buffer: Buffer.alloc(11 * 1024 * 1024),
    });
    await chat.getByRole('alert').getByText('large.bin does not fit').waitFor();
    await composer.evaluate(async (element) => {
      const canvas = document.createElement('canvas');
      canvas.width = 3000;
      canvas.height = 1500;
      const context = canvas.getContext('2d') as CanvasRenderingContext2D;
      const noise = context.createImageData(3000, 1500);
      for (let at = 0; at < noise.data.length; at++) noise.data[at] = (at * 7919) % 256;
      context.putImageData(noise, 0, 0);
      const blob = (await new Promise<Blob | null>((done) => canvas.toBlob(done, 'image/png'))) as Blob;
      const padded = new Blob([blob, new Uint8Array(Math.max(0, 1_600_000 - blob.size))], { type: 'image/png' });
      const data = new DataTransfer();
      data.items.add(new File([padded], 'photo.png', { type: 'image/png' }));
      element.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
    });
    await chat.getByText('photo.jpg').waitFor();
    const width = await chat
      .locator('.attachments img')
      .evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth));
    assert.equal(width, 2000);
  });

  it('come of a very long paste', async (t) => {
    const { chat, composer } = await openChat(t);
    await composer.waitFor();
    await composer.evaluate((element) => {
      const data = new DataTransfer();
      data.setData('text/plain', 'x'.repeat(60_000));
      element.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
    });
    await chat.getByText('pasted.txt').waitFor();
  });
});

describe('menus', { skip }, () => {
  const commands = Array.from({ length: 40 }, (_, index) => ({
    name: `/command-${index}`,
    description: `Does ${index}`,
  }));
  const answers = (agent: ScriptedAgent) => {
    agent.onRequest = (request, socket) => {
      if (request.type === 'list_commands') socket.send(JSON.stringify({ type: 'commands_list', commands }));
      if (request.type === 'list_files') {
        const files = request.prefix.startsWith('src/')
          ? [{ path: 'src/app.ts', isDirectory: false }]
          : [
              { path: 'src', isDirectory: true },
              { path: 'README.md', isDirectory: false },
            ];
        socket.send(JSON.stringify({ type: 'files_list', files, cwd: '/', prefix: request.prefix }));
      }
    };
  };
  const onScreen = async (page: Page) => {
    const box = await page.getByRole('listbox').boundingBox();
    const size = page.viewportSize();
    assert.ok(
      box !== null &&
        size !== null &&
        box.y >= 0 &&
        box.x >= 0 &&
        box.x + box.width <= size.width &&
        box.y + box.height <= size.height,
      JSON.stringify(box),
    );
  };

  for (const viewport of [
    { width: 1280, height: 800 },
    { width: 360, height: 420 },
  ]) {
    it(`stay on a screen of ${viewport.width} × ${viewport.height}`, async (t) => {
      const { page, agent, composer } = await openChat(t, {}, { viewport });
      answers(agent);
      await composer.fill('/');
      await page.getByRole('option', { name: '/command-39' }).waitFor();
      await onScreen(page);
      await composer.press('ArrowUp');
      assert.equal(
        await page.getByRole('listbox').getByRole('option', { selected: true }).textContent(),
        '/command-39Does 39',
      );
      assert.ok(
        await page
          .getByRole('listbox')
          .getByRole('option', { selected: true })
          .evaluate((option) => {
            const [inner, outer] = [
              option.getBoundingClientRect(),
              (option.parentElement as Element).getBoundingClientRect(),
            ];
            return inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
          }),
        'what is chosen is in sight',
      );
      await assertAccessible(page, 'a menu');
    });
  }

  it('offer commands by keys, and close with Esc', async (t) => {
    const { page, agent, composer } = await openChat(t);
    answers(agent);
    await composer.fill('/');
    await composer.pressSequentially('command-7');
    await page.getByRole('option', { name: '/command-7' }).waitFor();
    await composer.press('Enter');
    assert.equal(await composer.inputValue(), '/command-7 ');
    assert.equal(prompts(agent).length, 0);
    await composer.fill('/comm');
    await page.getByRole('listbox').waitFor();
    await composer.press('Escape');
    await page.getByRole('listbox').waitFor({ state: 'detached' });
    assert.equal(await composer.inputValue(), '/comm');
    assert.ok(page.url().endsWith('/agent/ada'), 'Esc did nothing else');
  });

  it('offer files by clicks, into folders', async (t) => {
    const { page, agent, composer } = await openChat(t);
    answers(agent);
    await composer.fill('See ');
    await composer.pressSequentially('@s');
    await page.getByRole('option', { name: 'src/' }).click();
    await page.getByRole('option', { name: 'src/app.ts' }).click();
    await until(async () => (await composer.inputValue()) === 'See @src/app.ts ', 'the path');
    assert.equal(await page.getByRole('listbox').count(), 0);
  });
});

describe('questions', { skip }, () => {
  const ask = (fields: Partial<Question> & Pick<Question, 'kind'>): Question => ({
    id: `q-${fields.kind}`,
    title: `Which ${fields.kind}?`,
    askedAt: Date.now(),
    ...fields,
  });
  const answersOf = (agent: ScriptedAgent) =>
    agent.received.filter(({ type }) => type === 'answer' || type === 'dismiss');

  it('take the composer’s place, oldest first, and give the draft back', async (t) => {
    const { page, agent, chat, composer } = await openChat(t, { details: { state: 'working' } });
    await composer.fill('My draft');
    agent.emit({ type: 'question', question: ask({ kind: 'select', options: ['Red', 'Green'] }) });
    agent.emit({ type: 'question', question: ask({ kind: 'confirm', message: 'It cannot be undone.' }) });
    const question = chat.getByRole('region', { name: 'Question' });
    await question.getByRole('heading', { name: 'Which select?' }).waitFor();
    await question.getByText('Which confirm?').waitFor();
    assert.equal(await composer.count(), 0);
    agent.emit({ type: 'state', state: 'waiting', since: Date.now() });
    await chat.locator('.activity').waitFor({ state: 'detached' });
    agent.emit({ type: 'state', state: 'working', since: Date.now() });
    await chat.locator('.activity').waitFor();
    await assertAccessible(page, 'a question');
    const green = question.getByRole('button', { name: /Green/ });
    await green.click();
    assert.equal(await green.isDisabled(), true, 'at once');
    await until(() => answersOf(agent).length === 1, 'the answer');
    assert.deepEqual(answersOf(agent)[0].value, 'Green');
    await question.getByText('Sending').waitFor();
    agent.emit({
      type: 'question_settled',
      id: 'q-select',
      by: 'dashboard',
      client: answersOf(agent)[0].client,
      value: 'Green',
    });
    await question.getByRole('heading', { name: 'Which confirm?' }).waitFor();
    await chat.locator('.settled', { hasText: /Green\s*answered by Pi-DE/ }).waitFor();
    await question.getByText('It cannot be undone.').waitFor();
    await question.getByRole('button', { name: 'Yes' }).click();
    await until(() => answersOf(agent).length === 2, 'the second');
    assert.equal(answersOf(agent)[1].value, true);
    agent.emit({ type: 'question_settled', id: 'q-confirm', by: 'dashboard', value: true });
    await composer.waitFor();
    assert.equal(await composer.inputValue(), 'My draft');
  });

  it('of every kind are answered, with keys too, and with a note', async (t) => {
    const { page, agent, chat } = await openChat(t, { details: { state: 'working' } });
    const question = chat.getByRole('region', { name: 'Question' });
    const put = async (asked: Question) => {
      agent.emit({ type: 'question', question: asked });
      await question.getByRole('heading', { name: asked.title }).waitFor();
    };
    const settle = async (count: number, id: string) => {
      await until(() => answersOf(agent).length === count, `${id} is answered`);
      agent.emit({ type: 'question_settled', id, by: 'dashboard', value: answersOf(agent).at(-1).value });
      await question.waitFor({ state: 'detached' });
      return answersOf(agent).at(-1).value;
    };
    await put(ask({ kind: 'input', placeholder: 'A name' }));
    await question.getByPlaceholder('A name').fill('Ada');
    await page.keyboard.press('Enter');
    assert.equal(await settle(1, 'q-input'), 'Ada');
    await put(ask({ kind: 'editor', prefill: 'first\nsecond' }));
    await question.locator('textarea').fill('first\nsecond\nthird');
    await question.getByRole('button', { name: 'Answer' }).click();
    assert.equal(await settle(2, 'q-editor'), 'first\nsecond\nthird');
    await put(ask({ kind: 'select', options: ['a', 'b', 'c'] }));
    await question.getByRole('button', { name: /b/ }).focus();
    await page.keyboard.press('3');
    assert.equal(await settle(3, 'q-select'), 'c');
    await put(ask({ kind: 'confirm' }));
    await question.getByLabel('A note that goes with the answer').fill('Only this once');
    await question.getByRole('button', { name: 'No' }).click();
    assert.equal(await settle(4, 'q-confirm'), false);
    await until(() => prompts(agent).length === 1, 'the note');
    assert.deepEqual([prompts(agent)[0].text, prompts(agent)[0].deliver], ['Only this once', 'steer']);
    await put(ask({ kind: 'custom' }));
    await question.getByText("can only be answered in the agent's terminal").waitFor();
    await question.getByRole('button', { name: 'Dismiss and stop' }).click();
    await until(() => answersOf(agent).length === 5, 'the dismissal');
    assert.equal(answersOf(agent)[4].type, 'dismiss');
    agent.emit({ type: 'question_settled', id: 'q-custom', by: 'dismissed', client: 'Pi-DE' });
    await chat.getByText('dismissed by Pi-DE').waitFor();
    await page.locator('.transcript').focus();
    await put(ask({ kind: 'confirm', id: 'q-key', title: 'By key?' }));
    await page.keyboard.press('y');
    assert.equal(await settle(6, 'q-key'), true);
  });

  it('answered elsewhere settle with the answer and its author; a second answer is told so', async (t) => {
    const { page, context, stage, agent, chat } = await openChat(t, { details: { state: 'working' } });
    const other = await context.newPage();
    await other.goto(`${stage.url}#/agent/ada`);
    await agent.ask(ask({ kind: 'confirm' }));
    const [here, there] = [page, other].map((tab) => partsOf(tab).chat.getByRole('region', { name: 'Question' }));
    await here?.waitFor();
    await there?.waitFor();
    // The answer comes second, when the agent has settled it and this page does not know yet.
    agent.onRequest = (request, socket) => {
      if (request.type !== 'answer') return;
      socket.send(JSON.stringify({ type: 'question_settled', id: 'q-confirm', by: 'terminal', value: false }));
    };
    await here?.getByRole('button', { name: 'Yes' }).click();
    await chat.locator('.settled', { hasText: /No\s*answered in the terminal/ }).waitFor();
    await here?.waitFor({ state: 'detached' });
    await agent.settle('q-confirm', { by: 'terminal', value: false });
    await there?.waitFor({ state: 'detached' });
    await partsOf(other)
      .chat.locator('.settled', { hasText: /No\s*answered in the terminal/ })
      .waitFor();
    assert.equal(await chat.locator('.settled', { hasText: /No\s*answered in the terminal/ }).count(), 1);
  });

  it('answered while the connection is lost are said to be unknown, and can be answered again', async (t) => {
    const { agent, chat } = await openChat(t, { details: { state: 'working' } });
    await agent.ask(ask({ kind: 'confirm' }));
    const question = chat.getByRole('region', { name: 'Question' });
    await question.getByRole('button', { name: 'Yes' }).click();
    await until(() => answersOf(agent).length === 1, 'the answer');
    agent.dropClients();
    await question.getByText('Not known whether the answer arrived').waitFor();
    await question.getByRole('button', { name: 'Yes' }).click();
    await until(() => answersOf(agent).length === 2, 'the second try');
    agent.emit({ type: 'question_settled', id: 'q-confirm', by: 'dashboard', value: true });
    await question.waitFor({ state: 'detached' });
  });
});

describe('an older extension', { skip }, () => {
  it('takes prompts as plain text, and files before them; delivered once its message appears', async (t) => {
    const { page, agent, chat, composer } = await openChat(t, { classic: true, messages: [user('before')] });
    await chat.getByText('before').waitFor();
    agent.onRequest = (request, socket) => {
      if (request.type === 'attach_file')
        socket.send(JSON.stringify({ type: 'attach_file_ack', filename: request.filename, success: true }));
    };
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') });
    await chat.getByText('a.txt').waitFor();
    await composer.fill('Read it');
    await composer.press('Enter');
    await until(() => agent.received.includes('Read it'), 'the prompt as text');
    assert.deepEqual(
      agent.received.map((request) => request.type ?? request),
      ['attach_file', 'Read it'],
    );
    await chat.locator('[data-pending="sending"]').waitFor();
    const message = user('Read it');
    agent.emitClassic({ type: 'message_start', message });
    agent.emitClassic({ type: 'message_end', message });
    await chat.locator('[data-pending]').waitFor({ state: 'detached' });
    assert.equal(await chat.getByText('Read it').count(), 1);
    await chat.getByRole('button', { name: 'Stop the agent' }).click();
    await until(() => agent.received.some(({ type }) => type === 'abort'), 'the abort');
  });

  it('that refuses a file fails the prompt in words', async (t) => {
    const { page, agent, chat, composer } = await openChat(t, { classic: true });
    agent.onRequest = (request, socket) => {
      if (request.type === 'attach_file')
        socket.send(
          JSON.stringify({
            type: 'attach_file_ack',
            filename: request.filename,
            success: false,
            error: 'Only pictures.',
          }),
        );
    };
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') });
    await composer.fill('Read it');
    await composer.press('Enter');
    await chat.getByRole('alert').getByText('Only pictures.').waitFor();
    assert.equal(agent.received.includes('Read it'), false);
  });
});
