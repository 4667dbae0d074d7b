/** What agents send is never trusted: whatever it is, it stays text, and the page goes on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { visible } from '../../src/dashboard/chat/visible.ts';
import { skip } from './support/browser.ts';
import { openChat, textsOf, until } from './support/open-chat.ts';
import { assistant, call, result, user } from './support/sample-conversation.ts';

const markup =
  '<img src=x onerror="window.hit=1"><script>window.hit=1</script><svg onload="window.hit=1"></svg><a href="javascript:window.hit=1">x</a><iframe srcdoc="<script>parent.hit=1</script>"></iframe>';
const links = [
  '[click](javascript:window.hit=1)',
  '[click](JaVaScRiPt:window.hit=1)',
  '[click](java\tscript:window.hit=1)',
  '[click](data:text/html,<script>parent.hit=1</script>)',
  '[click](vbscript:x)',
  '<javascript:window.hit=1>',
  '![x](javascript:window.hit=1)',
  '![track](https://tracker.example/pixel.png)',
  '[ref][1]\n\n[1]: javascript:window.hit=1',
  '[https://github.com/login](https://evil.example/)',
  'https://example.org/plain',
].join('\n\n');

describe('hostile text', { skip }, () => {
  it('is text in every place where an agent can put it', async (t) => {
    const { page, agent, chat } = await openChat(t, {
      messages: [
        user(markup),
        assistant(
          [
            {
              type: 'text',
              text: `${markup}\n\n${markup}\n\n\`\`\`html\n${markup}\n\`\`\`\n\n| ${markup.replaceAll('|', '')} |\n|---|\n| x |`,
            },
            { type: 'thinking', thinking: markup },
            call('c1', markup, { [markup]: markup }),
          ],
          { stopReason: 'error', errorMessage: markup },
        ),
        result('c1', markup, markup),
        assistant([
          call('c2', 'bash', { command: markup }),
          call('c3', 'edit', { path: markup, oldText: markup, newText: `${markup}!` }),
        ]),
        result('c2', 'bash', markup),
        { role: 'compactionSummary', summary: markup },
        { role: markup, content: markup },
      ],
      details: { state: 'working' },
    });
    await chat.locator('.diff').waitFor();
    const closed = chat.locator('[aria-expanded="false"]');
    while ((await closed.count()) > 0) await closed.first().click();
    agent.emit({ type: 'notice', level: 'error', text: markup });
    agent.emit({ type: 'queue', entries: [{ id: 'x', text: markup, deliver: 'steer', client: markup, queuedAt: 0 }] });
    agent.emit({
      type: 'question',
      question: { id: 'q', kind: 'select', title: markup, message: markup, options: [markup], askedAt: 0 },
    });
    await chat.getByRole('region', { name: 'Question' }).waitFor();
    agent.emit({ type: 'question_settled', id: 'q', by: 'dashboard', client: markup, value: markup });
    await chat.getByText('answered by').waitFor();
    await page.waitForTimeout(200);
    assert.equal(await page.evaluate(() => (window as unknown as { hit?: number }).hit), undefined);
    assert.equal(await chat.locator('script, iframe, img, object, embed, [onerror], [onload]').count(), 0);
    assert.equal(await chat.locator('svg:not(.glyph)').count(), 0);
  });

  it('makes no dangerous links, fetches nothing, and names the targets of misleading ones', async (t) => {
    const { page, chat } = await openChat(t, { messages: [assistant(links)] });
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await chat.getByText('https://example.org/plain').waitFor();
    const addresses = await chat
      .locator('a')
      .evaluateAll((all) =>
        all.map((link) => [(link as HTMLAnchorElement).href, link.getAttribute('rel'), link.getAttribute('target')]),
      );
    for (const [href, rel, target] of addresses) {
      assert.match(String(href), /^https:/);
      assert.match(String(rel), /noopener noreferrer/);
      assert.equal(target, '_blank');
    }
    assert.deepEqual(
      addresses.map(([href]) => href),
      ['https://tracker.example/pixel.png', 'https://evil.example/', 'https://example.org/plain'],
    );
    await chat.getByText('(evil.example)').waitFor();
    assert.deepEqual(
      requests.filter((url) => !url.startsWith('http://127.0.0.1')),
      [],
    );
  });

  it('shows characters that hide or reorder others', async (t) => {
    const text = 'safe \u202egnissecorp\u202c \u200b\u0007\u001b[2Jend \u2066x\u2069';
    const { chat, entries } = await openChat(t, {
      messages: [
        user(text),
        assistant(text),
        assistant(`\`${text}\`\n\n\`\`\`\n${text}\n\`\`\``),
        assistant([call('c', 'bash', { command: text })]),
        result('c', 'bash', '\u202eevil\u202c'),
      ],
    });
    await until(async () => (await entries.count()) === 4, 'all of it');
    for (const words of await textsOf(entries)) assert.equal(visible(words), words);
    for (const words of (await textsOf(entries)).slice(0, 2))
      assert.match(words, /⟦U\+202E⟧gnissecorp⟦U\+202C⟧ ⟦U\+200B⟧␇␛\[2Jend/);
    await chat.locator('.output').getByText('⟦U+202E⟧evil⟦U+202C⟧').waitFor();
  });

  it('that breaks markdown, and messages of any shape, leave the rest of the page as it is', async (t) => {
    const broken = [
      '```',
      '~~~js',
      '| a |\n|--',
      '[a](',
      '![',
      '**a',
      '- - - - a',
      '> > > > b',
      '1. \n2.',
      '<div',
      '&#0; &#xD800; &bogus;',
      '\\',
      '`',
      '\u0000',
      '# '.repeat(50),
      '> '.repeat(500),
      '[a]: b',
      `[${'['.repeat(500)}`,
    ];
    const { agent, chat, entries } = await openChat(t, {
      messages: [
        ...broken.map((text) => assistant(`start\n${text}`)),
        null,
        7,
        [],
        { role: 7 },
        {
          role: 'assistant',
          content: [
            null,
            7,
            'x',
            { type: 'toolCall' },
            { type: 'toolCall', id: 'z', name: '__proto__', arguments: null },
            { type: 'text' },
            { type: 'text', text: 'still here' },
          ],
        },
        { role: 'assistant', content: { not: 'a list' } },
        { role: 'toolResult', toolCallId: 'nobody', content: 'orphaned' },
        { role: 'bashExecution' },
        { role: 'compactionSummary', summary: { not: 'text' } },
        user('the last'),
      ] as never,
    });
    await chat.getByText('the last').waitFor();
    await chat.getByText('still here').waitFor();
    assert.ok((await textsOf(entries)).filter((words) => words.startsWith('start')).length >= 10);
    for (const nonsense of ['', 'no json', '7', '[]', 'null', '{}', '{"type":"init_state"}', '{"type":"__proto__"}']) {
      for (const socket of agent.server.clients) socket.send(nonsense);
    }
    for (const event of [
      { type: 'queue', entries: 7 },
      { type: 'queue', entries: [null, { id: 7 }] },
      { type: 'notice' },
    ]) {
      agent.emit(event as never);
    }
    agent.say(user('and on'));
    await chat.getByText('and on').waitFor();
  });
});
