/** The chat over bad connections, in a real browser: resuming, gaps, joining in the middle, successors, refusals. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AgentEvent, Message } from '../../src/protocol/agent.ts';
import { skip } from './support/browser.ts';
import { openChat, partsOf, textsOf, until } from './support/open-chat.ts';
import { assistant, call, result, user } from './support/sample-conversation.ts';
import type { ScriptedAgent } from './support/scripted-agent.ts';

const first = assistant(
  [
    { type: 'thinking', thinking: 'Hm, well.' },
    { type: 'text', text: 'Let me *look*.' },
    call('t1', 'bash', { command: 'ls' }),
  ],
  { stopReason: 'toolUse' },
);
const tool = result('t1', 'bash', 'one\ntwo');
const last = assistant('Two **files**.');
const asked = user('What is here?');

const turn: AgentEvent[] = [
  { type: 'state', state: 'working', since: Date.now() },
  { type: 'message_end', message: asked, index: 0 },
  { type: 'message_start', message: { ...first, content: [] } },
  { type: 'message_delta', kind: 'thinking', index: 0, delta: 'Hm, ' },
  { type: 'message_delta', kind: 'thinking', index: 0, delta: 'well.' },
  { type: 'message_delta', kind: 'text', index: 1, delta: 'Let me *lo' },
  { type: 'message_delta', kind: 'text', index: 1, delta: 'ok*.' },
  { type: 'message_delta', kind: 'toolcall', index: 2, delta: '{"command":"ls"}', call: { id: 't1', name: 'bash' } },
  { type: 'message_end', message: first, index: 1 },
  { type: 'tool_start', toolCallId: 't1', toolName: 'bash', args: { command: 'ls' }, startedAt: Date.now() },
  { type: 'tool_update', toolCallId: 't1', append: 'one\n' },
  {
    type: 'tool_end',
    toolCallId: 't1',
    toolName: 'bash',
    result: { content: [{ type: 'text', text: 'one\ntwo' }] },
    isError: false,
    durationMs: 20,
  },
  { type: 'message_end', message: tool, index: 2 },
  { type: 'message_start', message: { ...last, content: [] } },
  { type: 'message_delta', kind: 'text', index: 0, delta: 'Two **files' },
  { type: 'message_delta', kind: 'text', index: 0, delta: '**.' },
  { type: 'message_end', message: last, index: 3 },
  { type: 'state', state: 'idle', since: Date.now() },
];
const whole = ['What is here?', 'ThoughtHm, well.Let me look.bashlsonetwo', 'Two files.'].map((words) =>
  words.replace(/\s/g, ''),
);
const shown = async (entries: Parameters<typeof textsOf>[0]) =>
  (await textsOf(entries)).map((words) => words.replace(/\s/g, ''));

/** Connections of the chat that were opened. */
const connected = (agent: ScriptedAgent, count: number) =>
  until(() => agent.offers.length >= count && agent.server.clients.size > 0, `${count} connections`);

describe('a connection that is lost', { skip }, () => {
  for (const kind of ['resumed', 'replaced by a snapshot'] as const) {
    it(`at every event of a turn and ${kind} loses nothing and shows nothing twice`, async (t) => {
      const { agent, entries } = await openChat(t);
      await connected(agent, 1);
      for (const event of turn) {
        agent.emit(event);
        const offers = agent.offers.length;
        if (kind !== 'resumed') agent.forget();
        agent.dropClients();
        await connected(agent, offers + 1);
      }
      await until(async () => (await shown(entries)).length === whole.length, 'the whole turn');
      await until(
        async () => JSON.stringify(await shown(entries)) === JSON.stringify(whole),
        `the same words: ${await shown(entries)}`,
      );
      if (kind === 'resumed')
        assert.ok(agent.offers.slice(1).every((offer) => offer.some((entry) => entry.startsWith('hypi.resume.'))));
    });
  }

  it('is the same for an older extension, at every event of a turn', async (t) => {
    const { agent, entries } = await openChat(t, { classic: true });
    await connected(agent, 1);
    const partial = (message: Message, length: number): Message => ({
      ...message,
      stopReason: 'pending',
      content: (message.content as []).slice(0, length),
    });
    const steps: [object, Message?][] = [
      [{ type: 'message_start', message: asked }],
      [{ type: 'message_end', message: asked }, asked],
      [{ type: 'message_start', message: partial(first, 0) }],
      [{ type: 'message_update', message: partial(first, 1) }],
      [{ type: 'message_update', message: partial(first, 2) }],
      [{ type: 'message_end', message: first }, first],
      [{ type: 'tool_execution_start', toolCallId: 't1', toolName: 'bash', args: { command: 'ls' } }],
      [
        {
          type: 'tool_execution_end',
          toolCallId: 't1',
          toolName: 'bash',
          result: { content: tool.content },
          isError: false,
        },
      ],
      [{ type: 'message_end', message: tool }, tool],
      [{ type: 'message_update', message: partial(last, 1) }],
      [{ type: 'message_end', message: last }, last],
    ];
    for (const [event, message] of steps) {
      if (message !== undefined) agent.messages.push(message);
      agent.emitClassic(event);
      const offers = agent.offers.length;
      agent.dropClients();
      await connected(agent, offers + 1);
    }
    await until(async () => JSON.stringify(await shown(entries)) === JSON.stringify(whole), 'the same words');
  });

  it('comes back after every close code', async (t) => {
    const { agent, chat } = await openChat(t, { messages: [user('hello')] });
    await chat.getByText('hello').waitFor();
    let said = 0;
    for (const code of [1000, 1001, 1003, 1008, 1011, 1013, 4002, 4321]) {
      const offers = agent.offers.length;
      agent.closeClients(code);
      await connected(agent, offers + 1);
      agent.say(user(`after ${code}`));
      await chat.getByText(`after ${code}`).waitFor();
      said += 1;
    }
    assert.equal(await chat.getByText(/^after/).count(), said);
  });

  it('comes back with the daemon, and the transcript is there all the while', async (t) => {
    const { page, stage, agent, chat } = await openChat(t, { messages: [user('Said before')] });
    await chat.getByText('Said before').waitFor();
    await stage.kill();
    await chat.getByText(/Trying again/).waitFor();
    assert.equal(await chat.getByText('Said before').count(), 1);
    await stage.restart();
    await agent.register();
    await chat.getByText(/Trying again/).waitFor({ state: 'detached' });
    agent.say(user('Said after'));
    await chat.getByText('Said after').waitFor();
    assert.equal(await chat.getByText('Said before').count(), 1);
    assert.ok(page.url().endsWith('#/agent/ada'));
  });
});

describe('joining', { skip }, () => {
  it('in the middle of a turn shows the live words, the running tool with its time, and the stop button', async (t) => {
    const { page, stage, agent, chat } = await openChat(t);
    for (const event of turn.slice(0, 11)) agent.emit(event);
    agent.running = agent.running.map((running) => ({ ...running, startedAt: Date.now() - 125_000 }));
    agent.emit({ type: 'message_start', message: { role: 'assistant', timestamp: 99 } });
    agent.emit({ type: 'message_delta', kind: 'text', index: 0, delta: 'While it runs' });
    await chat.getByText('While it runs').waitFor();
    const other = await page.context().newPage();
    await other.goto(`${stage.url}#/agent/ada`);
    const parts = partsOf(other);
    await parts.entries.first().waitFor();
    const begun = Date.now();
    await Promise.all([
      parts.chat.getByText('While it runs').waitFor(),
      parts.chat
        .locator('.tool')
        .getByText(/2 min \d+ s/)
        .waitFor(),
      parts.chat.getByRole('button', { name: 'Stop the agent' }).waitFor(),
      parts.chat.locator('.output', { hasText: 'one' }).waitFor(),
    ]);
    t.diagnostic(`${Date.now() - begun} ms after the first entry`);
    agent.emit({ type: 'message_delta', kind: 'text', index: 0, delta: ', more' });
    await parts.chat.getByText('While it runs, more').waitFor();
  });

  it('an older extension in the middle of a message shows it, and the stop button', async (t) => {
    const { agent, chat } = await openChat(t, { classic: true, messages: [user('Do it')] });
    await chat.getByText('Do it').waitFor();
    agent.emitClassic({ type: 'message_update', message: assistant('Half of', { stopReason: 'pending' }) });
    await chat.getByText('Half of').waitFor();
    await chat.getByRole('button', { name: 'Stop the agent' }).waitFor();
  });
});

describe('the state', { skip }, () => {
  it('is a lifecycle: no late answer and no end of a tool turns working into idle', async (t) => {
    const { agent, chat } = await openChat(t);
    const stop = chat.getByRole('button', { name: 'Stop the agent' });
    await chat.getByText('Nothing has been said yet').waitFor();
    agent.emit({ type: 'state', state: 'working', since: Date.now() - 61_000 });
    await stop.waitFor();
    await chat.getByText(/Works 1 min/).waitFor();
    agent.emit({
      type: 'tool_start',
      toolCallId: 'a',
      toolName: 'subagent',
      startedAt: Date.now(),
      parentToolCallId: 'x',
    });
    await chat.getByText('Runs subagent').waitFor();
    agent.emit({ type: 'tool_end', toolCallId: 'a', toolName: 'subagent', isError: false, durationMs: 3 });
    for (const socket of agent.server.clients) {
      socket.send(JSON.stringify({ type: 'commands_list', commands: [] }));
      socket.send(JSON.stringify({ type: 'history_page', messages: [], hasMore: false, oldestIndex: 0 }));
    }
    agent.say(assistant('One of several'));
    await chat.getByText('One of several').waitFor();
    assert.equal(await stop.count(), 1);
    agent.emit({ type: 'state', state: 'failed', since: Date.now(), error: 'The model is overloaded.' });
    await chat.getByText('The model is overloaded.').waitFor();
    await stop.waitFor({ state: 'detached' });
  });

  it('a failure is said once: where it happened, or above the composer if no message says it', async (t) => {
    const { agent, chat } = await openChat(t, { details: { state: 'working' } });
    await chat.getByRole('button', { name: 'Stop the agent' }).waitFor();
    const error = 'The model is overloaded.';
    agent.say({ ...assistant('So far'), stopReason: 'error', errorMessage: error });
    agent.emit({ type: 'state', state: 'failed', since: Date.now(), error });
    await chat.getByRole('button', { name: 'Stop the agent' }).waitFor({ state: 'detached' });
    await chat.locator('.failure').waitFor();
    assert.equal(await chat.getByText(error).count(), 1);
    agent.emit({ type: 'state', state: 'failed', since: Date.now(), error: 'The disk is full.' });
    await chat.locator('.activity').getByText('The disk is full.').waitFor();
  });
});

describe('other ends', { skip }, () => {
  it('a session that was replaced is followed to the one that comes after', async (t) => {
    const { page, stage, agent, chat, composer } = await openChat(t, { messages: [user('The old session')] });
    await chat.getByText('The old session').waitFor();
    await composer.fill('Being written');
    await stage.agent('ada-2', { messages: [user('The new session')] });
    agent.closeClients(4001, 'successor:ada-2');
    await chat.getByText('The new session').waitFor();
    assert.ok(page.url().endsWith('#/agent/ada-2'));
    assert.equal(await composer.inputValue(), 'Being written', 'and what is being written goes along');
  });

  it('an agent that cannot be reached is said in the daemon’s words', async (t) => {
    const { chat } = await openChat(t, { port: 9 });
    await chat.getByText(/Cannot reach agent/).waitFor();
    await chat.getByRole('button', { name: 'Try now' }).waitFor();
  });

  it('an agent whose events never fit together is not reconnected endlessly', async (t) => {
    const { page, agent, chat } = await openChat(t, { messages: [user('here')] });
    await chat.getByText('here').waitFor();
    const misnumbered = setInterval(() => {
      for (const socket of agent.server.clients)
        socket.send(JSON.stringify({ type: 'notice', level: 'info', text: 'x', seq: 999 }));
    }, 20);
    t.after(() => clearInterval(misnumbered));
    await page.waitForTimeout(2500);
    assert.ok(agent.offers.length <= 3, `${agent.offers.length} connections`);
    assert.equal(await chat.getByText('here').count(), 1);
  });

  it('a history that has changed is fetched anew', async (t) => {
    const { agent, chat, entries } = await openChat(t, { messages: [user('one'), user('two')] });
    await chat.getByText('two').waitFor();
    agent.messages.splice(0, 2, user('summed up'));
    agent.emit({ type: 'history_reset' });
    await chat.getByText('summed up').waitFor();
    assert.deepEqual(await textsOf(entries), ['summed up']);
  });
});
