/** Reading a conversation in a real browser: following, older messages, streaming, places, folds, differences. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Page } from 'playwright-core';
import type { Message } from '../../src/protocol/agent.ts';
import { assertAccessible } from './support/axe.ts';
import { skip } from './support/browser.ts';
import { openChat, partsOf, scrollOf, textsOf, until } from './support/open-chat.ts';
import { assistant, call, PICTURE, result, sampleConversation, user } from './support/sample-conversation.ts';
import type { ScriptedAgent } from './support/scripted-agent.ts';

const long = (count: number): Message[] =>
  Array.from({ length: count }, (_, index) =>
    index % 2 === 0
      ? user(`Question ${index}`)
      : assistant(`Answer ${index}. ${'Some words to fill a few lines. '.repeat(20)}`),
  );

const begin = (agent: ScriptedAgent) => {
  agent.emit({ type: 'state', state: 'working', since: Date.now() });
  agent.emit({ type: 'message_start', message: { role: 'assistant', timestamp: Date.now() } });
};
const write = (agent: ScriptedAgent, delta: string) =>
  agent.emit({ type: 'message_delta', kind: 'text', index: 0, delta });
const end = (agent: ScriptedAgent, text: string) => {
  agent.say(assistant(text));
  agent.emit({ type: 'state', state: 'idle', since: Date.now() });
};

/** From the top of the view to the top of the entry with these words, in CSS pixels. */
const topOf = (page: Page, words: string) =>
  page.locator('.transcript').evaluate((view, wanted) => {
    const row = [...view.querySelectorAll('.entry')].find((entry) => entry.textContent?.includes(wanted));
    return row === undefined ? null : row.getBoundingClientRect().top - view.getBoundingClientRect().top;
  }, words);

/** Where the transcript comes to rest: a gesture goes on for a while. */
async function restOf(page: Page): Promise<number> {
  for (let top = -1; ; ) {
    await page.waitForTimeout(600);
    const before = top;
    top = (await scrollOf(page)).top;
    if (top === before) return top;
  }
}

const settled = (page: Page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

describe('a conversation', { skip }, () => {
  for (const colorScheme of ['dark', 'light'] as const)
    it(`shows people, answers, thinking, tools, differences, pictures and failures, and is accessible, ${colorScheme}`, async (t) => {
      const { page, chat, entries } = await openChat(
        t,
        { messages: sampleConversation(), cwd: '/home/me/work/hypivisor' },
        { colorScheme },
      );
      await chat.getByText('The parser loses a byte').waitFor();
      await chat.getByRole('button', { name: /read src\/frame\/parser\.ts/ }).waitFor();
      await chat.getByText('1 failed').waitFor();
      await chat.getByText('529 overloaded_error').waitFor();
      assert.equal(await chat.locator('table').getByText('keeps the rest of a header').count(), 1);
      assert.equal(await chat.locator('img').count(), 1);
      assert.equal(
        await chat.getByText('I should look at the parser and then').count(),
        1,
        'a line of what it thought',
      );
      assert.equal(await chat.getByText('Let me read both.').count(), 0, 'folded');
      await chat.getByRole('button', { name: /Thought/ }).click();
      await chat.getByText('Let me read both.').waitFor();
      assert.equal(
        (await textsOf(entries)).filter((words) => words.startsWith('read')).length,
        0,
        'a result is in its card',
      );
      await chat.locator('.syn-keyword').first().waitFor();
      await assertAccessible(page, 'a conversation');
    });

  it('is accessible in light, on a phone, while it is written, and empty', async (t) => {
    const { page, agent, chat } = await openChat(
      t,
      {},
      { colorScheme: 'light', viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
    );
    await chat.getByText('Nothing has been said yet').waitFor();
    await assertAccessible(page, 'an empty conversation');
    begin(agent);
    agent.emit({ type: 'message_delta', kind: 'thinking', index: 0, delta: 'Hm' });
    agent.emit({ type: 'message_delta', kind: 'text', index: 1, delta: 'Words `code`\n\n```ts\nconst a = 1;\n' });
    await chat.getByText('const a').waitFor();
    await chat.getByRole('button', { name: 'Stop the agent' }).waitFor();
    await assertAccessible(page, 'a conversation that is written');
    for (const button of await chat.getByRole('button').all()) {
      const box = await button.boundingBox();
      if (box === null) continue;
      assert.ok(
        box.height >= 43.5,
        `${await button.textContent()} ${await button.getAttribute('aria-label')} is ${box.height} px high`,
      );
    }
  });

  it('opens pictures in their full size', async (t) => {
    const { chat } = await openChat(t, {
      messages: [{ ...user(''), content: [{ type: 'image', data: PICTURE, mimeType: 'image/png' }] }],
    });
    const picture = chat.getByRole('button', { name: 'Picture 1 of 1' });
    await picture.click();
    assert.equal(await picture.getAttribute('aria-expanded'), 'true');
    assert.ok(
      await picture.locator('img').evaluate((image: HTMLImageElement) => image.complete && image.naturalWidth > 0),
    );
  });

  it('loads the whole of a message that was cut', async (t) => {
    const cut = { ...assistant('The beginning'), cut: { index: 0, bytes: 900_000 } };
    const { agent, chat } = await openChat(t, { messages: [cut] });
    agent.onRequest = (request, socket) => {
      if (request.type === 'fetch_message')
        socket.send(
          JSON.stringify({
            type: 'message',
            index: request.index,
            message: assistant('The beginning, and all of the rest'),
          }),
        );
    };
    await chat.getByRole('button', { name: 'Load all 879 KB' }).click();
    await chat.getByText('and all of the rest').waitFor();
  });
});

describe('following', { skip }, () => {
  it('stays at the bottom while an answer grows, and ends at once with the wheel: then growth moves nothing', async (t) => {
    const { page, agent, chat } = await openChat(t, { messages: long(20) });
    await chat.getByText('Answer 19').waitFor();
    begin(agent);
    for (let line = 0; line < 20; line++) write(agent, `Line ${line}\n\n`);
    await chat.getByText('Line 19').waitFor();
    await settled(page);
    assert.ok((await scrollOf(page)).left <= 1);
    await page.locator('.transcript').hover();
    await page.mouse.wheel(0, -20);
    await until(async () => (await scrollOf(page)).left > 5, 'the wheel scrolls');
    const before = await topOf(page, 'Line 0');
    const { top } = await scrollOf(page);
    for (let line = 20; line < 60; line++) write(agent, `Line ${line}\n\n`);
    await chat.getByText('Line 59').waitFor({ state: 'attached' });
    await settled(page);
    assert.equal((await scrollOf(page)).top, top, 'not by a pixel');
    assert.equal(await topOf(page, 'Line 0'), before);
    end(agent, Array.from({ length: 60 }, (_, line) => `Line ${line}\n\n`).join(''));
    agent.say(user('One more'));
    const pill = chat.getByRole('button', { name: /1 new/ });
    await pill.click();
    await until(async () => (await scrollOf(page)).left <= 1, 'the pill leads to the bottom');
    await pill.waitFor({ state: 'detached' });
    agent.say(assistant('Another\n\n'.repeat(20)));
    await chat.getByText('Another').first().waitFor();
    await settled(page);
    assert.ok((await scrollOf(page)).left <= 1, 'and follows again');
  });

  for (const [how, go] of Object.entries({
    key: async (page: Page) => {
      await page.locator('.transcript').focus();
      await page.keyboard.press('PageUp');
    },
    touch: async (page: Page) => {
      // A finger that goes down.
      const client = await page.context().newCDPSession(page);
      const at = (type: string, y: number) =>
        client.send('Input.dispatchTouchEvent', {
          type: type as 'touchStart',
          touchPoints: type === 'touchEnd' ? [] : [{ x: 700, y }],
        });
      await at('touchStart', 200);
      for (let y = 210; y <= 320; y += 10) await at('touchMove', y);
      await at('touchEnd', 320);
    },
  })) {
    it(`ends with a ${how} upward`, async (t) => {
      const { page, agent, chat } = await openChat(t, { messages: long(20) }, { hasTouch: how === 'touch' });
      await chat.getByText('Answer 19').waitFor();
      await until(async () => (await scrollOf(page)).left <= 1, 'it begins at the bottom');
      await go(page);
      await until(async () => (await scrollOf(page)).left > 40, 'it scrolls');
      const top = await restOf(page);
      agent.say(assistant('New\n\n'.repeat(30)));
      await chat.getByRole('button', { name: /1 new/ }).waitFor();
      assert.equal((await scrollOf(page)).top, top);
    });
  }

  it('drops rows far above, which come back if somebody scrolls up', async (t) => {
    const { page, agent, chat, entries } = await openChat(t, { messages: [user('The very first')] });
    await chat.getByText('The very first').waitFor();
    for (let turn = 0; turn < 16; turn++) agent.say(assistant(`Turn ${turn}\n\n${'A paragraph.\n\n'.repeat(100)}`));
    await chat.getByText('Turn 15').waitFor({ state: 'attached' });
    await until(async () => (await entries.count()) < 10, 'the oldest have gone');
    assert.ok((await scrollOf(page)).left <= 1);
    await page.locator('.transcript').focus();
    await until(async () => {
      await page.keyboard.press('Home');
      return (await chat.getByText('The very first').count()) === 1;
    }, 'the first message');
    assert.equal(await entries.count(), 17);
  });

  it('begins again within 48 px of the bottom', async (t) => {
    const { page, chat } = await openChat(t, { messages: long(20) });
    await chat.getByText('Answer 19').waitFor();
    await page.locator('.transcript').hover();
    await page.mouse.wheel(0, -500);
    const pill = chat.locator('.pill');
    await pill.waitFor();
    await until(async () => (await scrollOf(page)).left > 400, 'up');
    await page.mouse.wheel(0, 460);
    await pill.waitFor({ state: 'detached' });
  });

  it('stops at the start of the answer for those who choose so', async (t) => {
    const { page, agent, chat } = await openChat(t, { messages: long(8) });
    await page.evaluate(() => localStorage.setItem('pi-de.follow', '"start"'));
    await page.reload();
    await chat.getByText('Answer 7').waitFor();
    agent.say(user('Tell me more'));
    begin(agent);
    for (let line = 0; line < 80; line++) write(agent, `Row ${line}\n\n`);
    await chat.getByText('Row 79').waitFor({ state: 'attached' });
    await settled(page);
    const top = await topOf(page, 'Row 0');
    assert.ok(top !== null && Math.abs(top) <= 1, `its first line is at the top, ${top} px off`);
    assert.ok((await scrollOf(page)).left > 200);
  });
});

describe('older messages', { skip }, () => {
  it('come in above with the row in sight kept within 1 px, without the browser’s own anchoring', async (t) => {
    const { page, agent, chat, entries } = await openChat(t, { messages: long(400), newest: 60 });
    await chat.getByText('Answer 399').waitFor();
    assert.equal(
      await page.locator('.transcript').evaluate((element) => getComputedStyle(element).overflowAnchor),
      'none',
    );
    await page.locator('.transcript').hover();
    let worst = 0;
    while (!agent.received.some((request) => request.type === 'fetch_history' && request.before <= 290)) {
      const count = await entries.count();
      await page.locator('.transcript').evaluate((view) => {
        // Up to where the next ones come in, watching the first row that is in sight at every frame until they have.
        const state = window as unknown as { watch: { key: string; offset: number; worst: number; stop: boolean } };
        view.dispatchEvent(new WheelEvent('wheel', { deltaY: -1 }));
        view.scrollTop = 250;
        const top = view.getBoundingClientRect().top;
        const row = [...view.querySelectorAll<HTMLElement>('.entry')].find(
          (entry) => entry.getBoundingClientRect().bottom > top + 1,
        ) as HTMLElement;
        state.watch = {
          key: row.dataset.key as string,
          offset: row.getBoundingClientRect().top - top,
          worst: 0,
          stop: false,
        };
        const look = () => {
          const now = view.querySelector(`[data-key="${state.watch.key}"]`) as HTMLElement;
          state.watch.worst = Math.max(
            state.watch.worst,
            Math.abs(now.getBoundingClientRect().top - top - state.watch.offset),
          );
          if (!state.watch.stop) requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      });
      await until(async () => (await entries.count()) > count, 'more rows come in');
      await settled(page);
      worst = Math.max(
        worst,
        await page.evaluate(() => {
          const { watch } = window as unknown as { watch: { worst: number; stop: boolean } };
          watch.stop = true;
          return watch.worst;
        }),
      );
    }
    assert.ok(worst <= 1, `the row moved by ${worst} px`);
    const texts = await textsOf(entries);
    assert.equal(new Set(texts).size, texts.length, 'none twice');
  });

  for (const classic of [false, true])
    it(`end at the first${classic ? ', with an older extension' : ''}`, async (t) => {
      const { page, chat } = await openChat(t, { messages: long(70), newest: 20, classic });
      await chat.getByText('Answer 69').waitFor();
      await page.locator('.transcript').focus();
      await until(async () => {
        await page.keyboard.press('Home');
        return (await chat.getByText('Question 0', { exact: true }).count()) === 1;
      }, 'the first message');
      await chat.getByRole('button', { name: 'Older messages' }).waitFor({ state: 'detached' });
    });
});

describe('places', { skip }, () => {
  it('are kept by agent, and over a reload', async (t) => {
    const { page, stage, chat } = await openChat(t, { messages: long(60) });
    await stage.agent('bob', { messages: [user('For Bob'), ...long(40)] });
    await chat.getByText('Answer 59').waitFor();
    await page.locator('.transcript').hover();
    await page.mouse.wheel(0, -1500);
    await until(async () => (await scrollOf(page)).left > 1400, 'up');
    await page.waitForTimeout(150);
    const place = async () => {
      const found = await page.locator('.transcript').evaluate((view) => {
        const top = view.getBoundingClientRect().top;
        const row = [...view.querySelectorAll<HTMLElement>('.entry')].find(
          (entry) => entry.getBoundingClientRect().bottom > top + 1,
        );
        return { index: row?.dataset.index, offset: (row?.getBoundingClientRect().top ?? 0) - top };
      });
      return found;
    };
    const before = await place();
    const same = async () => {
      const now = await place();
      return now.index === before.index && Math.abs(now.offset - before.offset) <= 1;
    };
    await page.goto(`${stage.url}#/agent/bob`);
    await until(
      async () => (await partsOf(page).entries.count()) > 0 && (await chat.getByText('Answer 39').count()) === 1,
      'Bob',
    );
    await until(async () => (await scrollOf(page)).left <= 1, 'Bob is at the bottom');
    await page.goto(`${stage.url}#/agent/ada`);
    await until(same, `Ada is where she was: ${JSON.stringify(before)}`);
    await page.reload();
    await until(same, 'Ada is where she was after a reload');
  });
});

describe('streaming', { skip }, () => {
  it('renders no finished block again, and commits once a frame', async (t) => {
    const { page, agent, chat } = await openChat(t, { messages: long(10) });
    await chat.getByText('Answer 9').waitFor();
    begin(agent);
    write(agent, 'The first paragraph.\n\n```js\nconst one = 1;\n```\n\n- an item\n\nThe second paragraph.\n\n');
    await chat.getByText('The second paragraph.').waitFor();
    await chat.locator('.entry:last-of-type .syn-keyword').waitFor();
    await page.evaluate(() => {
      const seen = window as unknown as { changed: number; frames: Set<number> };
      seen.changed = 0;
      seen.frames = new Set();
      const [last] = [...document.querySelectorAll('.markdown')].slice(-1);
      const finished = [...(last?.children ?? [])].slice(0, 4);
      Object.assign(seen, { finished });
      for (const block of finished) {
        new MutationObserver((records) => {
          seen.changed += records.length;
        }).observe(block, { childList: true, subtree: true, characterData: true, attributes: true });
      }
    });
    for (let word = 0; word < 300; word++) write(agent, `word${word} `);
    await chat.getByText('word299').waitFor();
    assert.equal(await page.evaluate(() => (window as unknown as { changed: number }).changed), 0);
    agent.say(
      assistant(
        `The first paragraph.\n\n\`\`\`js\nconst one = 1;\n\`\`\`\n\n- an item\n\nThe second paragraph.\n\n${Array.from({ length: 300 }, (_, word) => `word${word} `).join('')}`,
      ),
    );
    await settled(page);
    await page.waitForTimeout(100);
    assert.equal(await page.evaluate(() => (window as unknown as { changed: number }).changed), 0, 'nor when it ends');
    assert.ok(
      await page.evaluate(() =>
        (window as unknown as { finished: Element[] }).finished.every((block) => block.isConnected),
      ),
      'the very same elements',
    );
  });

  it('shows calls of tools while they are written, and their output while they run', async (t) => {
    const { agent, chat } = await openChat(t);
    begin(agent);
    agent.emit({
      type: 'message_delta',
      kind: 'toolcall',
      index: 0,
      delta: '{"comm',
      call: { id: 't1', name: 'bash' },
    });
    agent.emit({ type: 'message_delta', kind: 'toolcall', index: 0, delta: 'and":"npm te' });
    await chat.getByRole('button', { name: /bash npm te/ }).waitFor();
    agent.say(assistant([call('t1', 'bash', { command: 'npm test' })], { stopReason: 'toolUse' }));
    agent.emit({
      type: 'tool_start',
      toolCallId: 't1',
      toolName: 'bash',
      args: { command: 'npm test' },
      startedAt: Date.now() - 65_000,
    });
    agent.emit({ type: 'tool_update', toolCallId: 't1', append: '\u001b[32mok 1\u001b[0m\n' });
    await chat.locator('.ansi-fg-2', { hasText: 'ok 1' }).waitFor();
    await chat
      .locator('.tool')
      .getByText(/1 min \d+ s/)
      .waitFor();
    agent.emit({
      type: 'tool_end',
      toolCallId: 't1',
      toolName: 'bash',
      result: { content: [{ type: 'text', text: 'all ok' }] },
      isError: false,
      durationMs: 66_000,
    });
    agent.say(result('t1', 'bash', 'all ok'));
    await chat.getByText('all ok').waitFor();
    await chat.locator('.tool[data-status="done"]').waitFor();
    assert.equal(await chat.locator('.tool').count(), 1);
  });
});

describe('tools of tools', { skip }, () => {
  it('are lines in the card of the one that calls them', async (t) => {
    const { agent, chat } = await openChat(t, {
      messages: [assistant([call('t1', 'subagent', { task: 'Look around' })], { stopReason: 'toolUse' })],
      details: { state: 'working' },
    });
    await chat.getByText('subagent').waitFor();
    agent.emit({
      type: 'tool_start',
      toolCallId: 't1',
      toolName: 'subagent',
      args: { task: 'Look around' },
      startedAt: Date.now(),
    });
    agent.emit({
      type: 'tool_start',
      toolCallId: 'n1',
      toolName: 'read',
      args: { path: 'a.ts' },
      startedAt: Date.now(),
      parentToolCallId: 't1',
    });
    const nested = chat.locator('.nested li', { hasText: 'a.ts' });
    await nested.and(chat.locator('[data-status="running"]')).waitFor();
    agent.emit({ type: 'tool_end', toolCallId: 'n1', toolName: 'read', isError: false, durationMs: 5 });
    await nested.and(chat.locator('[data-status="done"]')).waitFor();
  });
});

describe('long output', { skip }, () => {
  const lines = Array.from({ length: 4312 }, (_, index) => `line ${index + 1}`).join('\n');

  it('is folded at about 260 px, opens step by step, and is copied whole', async (t) => {
    const messages = [
      assistant([call('c1', 'bash', { command: 'seq' })], { stopReason: 'toolUse' }),
      result('c1', 'bash', lines),
    ];
    const { page, context, chat, stage } = await openChat(t, { messages });
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: new URL(stage.url).origin });
    await chat.getByText('showing 13 of 4,312 lines').waitFor();
    const box = chat.locator('.output-box');
    assert.ok(((await box.boundingBox())?.height ?? 999) <= 260);
    await box.hover();
    await chat.getByRole('button', { name: 'Copy output' }).click();
    await until(
      async () => (await page.evaluate(() => navigator.clipboard.readText())) === lines,
      'all of it is in the clipboard',
    );
    await chat.getByRole('button', { name: 'Show 1,000 more' }).click();
    await chat.getByText('showing 1,000 of 4,312 lines').waitFor();
    for (let step = 0; step < 3; step++) await chat.getByRole('button', { name: 'Show 1,000 more' }).click();
    await chat.getByRole('button', { name: 'Show all' }).click();
    await chat.getByText('line 1', { exact: false }).first().waitFor();
    await chat.getByRole('button', { name: 'Show less' }).click();
    await chat.getByText('showing 13 of 4,312 lines').waitFor();
  });

  it('may be one line of a megabyte, anywhere, and makes no task of a second', async (t) => {
    const line = 'x'.repeat(1_000_000);
    const half = 'x'.repeat(500_000);
    const { page, agent, chat } = await openChat(t, { messages: long(4) });
    await chat.getByText('Answer 3').waitFor();
    await page.evaluate(() => {
      const seen = window as unknown as { longest: number };
      seen.longest = 0;
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration);
      }).observe({ entryTypes: ['longtask'] });
    });
    agent.say(user(line));
    agent.say(assistant(`Before\n\n${line}\n\nAfter\n\n\`\`\`js\n${line}\n\`\`\``));
    agent.say(assistant([call('c9', 'bash', { command: half })], { stopReason: 'toolUse' }));
    agent.say(result('c9', 'bash', half));
    agent.say(
      assistant([call('c10', 'edit', { path: 'a', oldText: half, newText: `${half}y` })], { stopReason: 'toolUse' }),
    );
    agent.say(result('c10', 'edit', 'ok'));
    await chat.locator('.diff').waitFor();
    await chat.getByText('After').waitFor();
    await settled(page);
    const longest = await page.evaluate(() => (window as unknown as { longest: number }).longest);
    t.diagnostic(`the longest task took ${Math.round(longest)} ms`);
    assert.ok(longest < 1000, `${longest} ms`);
  });
});

describe('differences', { skip }, () => {
  const messages = [
    assistant(
      [
        call('c1', 'edit', {
          path: '/home/me/work/a.ts',
          edits: [{ oldText: 'one\ntwo\nthree', newText: `one\n2\nthree\n${'wide '.repeat(80)}` }],
        }),
      ],
      { stopReason: 'toolUse' },
    ),
    result('c1', 'edit', 'ok', { details: { diff: `  1 one\n- 2 two\n+ 2 2\n  3 three\n+ 4 ${'wide '.repeat(80)}` } }),
  ];

  it('are in one column in the chat, with counts, a gutter that stays, and wrapping as one likes', async (t) => {
    const { page, chat } = await openChat(t, { messages }, { viewport: { width: 900, height: 800 } });
    const diff = chat.locator('.diff');
    await diff.waitFor();
    assert.equal(await diff.getAttribute('data-split'), 'false');
    assert.equal(await diff.locator('tr.added').count(), 2);
    await chat.locator('.tool-head .counts', { hasText: '+2 −1' }).waitFor();
    await diff.getByRole('button', { name: 'Wrap' }).click();
    const box = diff.locator('.diff-box');
    await box.evaluate((element) => (element.scrollLeft = 300));
    await settled(page);
    const [gutter, frame] = await Promise.all([
      diff.locator('tr.added .gutter').first().boundingBox(),
      box.boundingBox(),
    ]);
    assert.ok(Math.abs((gutter?.x ?? 0) - (frame?.x ?? 0)) <= 1, 'the gutter is where it was');
    assert.ok(await box.evaluate((element) => element.scrollLeft > 200));
    await diff.getByRole('button', { name: 'Wrap' }).click();
    assert.ok(await box.evaluate((element) => element.scrollWidth <= element.clientWidth + 1));
  });

  it('are in two on a wide screen', async (t) => {
    const { chat } = await openChat(t, { messages }, { viewport: { width: 2560, height: 1200 } });
    await chat.locator('.diff[data-split="true"]').waitFor();
    const rows = await chat
      .locator('.diff tr')
      .evaluateAll((all) =>
        all.map((row) => [...row.querySelectorAll('.text')].map((cell) => cell.textContent?.slice(0, 5))),
      );
    assert.deepEqual(rows, [
      ['one', 'one'],
      ['two', '2'],
      ['three', 'three'],
      ['', 'wide '],
    ]);
  });
});
