import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FromAgent, InitState, Message, StreamEvent } from '../../src/protocol/agent.ts';
import { FakeHost, setUp } from './fake-host.ts';

const types = (messages: FromAgent[]) => messages.map(({ type }) => type);
const assistant = (text: string, more: Partial<Message> = {}): Message => ({
  role: 'assistant',
  content: [{ type: 'text', text }],
  timestamp: 7,
  stopReason: 'stop',
  ...more,
});
const delta = (text: string) => ({
  message: { role: 'assistant' },
  assistantMessageEvent: { type: 'text_delta', contentIndex: 0, delta: text },
});

describe('a client that joins', () => {
  it('sees what is on the screen', () => {
    const { agent, host, connect, user, say } = setUp();
    say(user('first'));
    agent.piEvent('agent_start', {});
    agent.piEvent('message_start', { message: assistant('') });
    agent.piEvent('message_update', delta('Hel'));
    agent.piEvent('tool_execution_start', { toolCallId: 't', toolName: 'bash', args: { command: 'ls' } });
    agent.ask({ kind: 'select', title: 'Which?', options: ['a', 'b'] }, () => {});
    const other = connect();
    other.say({ type: 'prompt', id: 'p1', text: 'next' });
    const [init] = connect().messages as [InitState];
    assert.deepEqual(init.messages, JSON.parse(JSON.stringify(host.stored)));
    assert.deepEqual([init.totalMessages, init.oldestIndex, init.truncated], [1, 0, undefined]);
    assert.equal(init.state, 'waiting');
    assert.deepEqual(init.live?.content, [{ type: 'text', text: 'Hel' }]);
    assert.deepEqual(
      init.runningTools.map(({ toolName }) => toolName),
      ['bash'],
    );
    assert.deepEqual(
      init.queue.map(({ id, text }) => [id, text]),
      [['p1', 'next']],
    );
    assert.deepEqual(
      init.questions.map(({ title, options, dismissStops }) => [title, options, dismissStops]),
      [['Which?', ['a', 'b'], true]],
    );
    assert.deepEqual(init.session, { id: 'session-1', model: 'mock-1' });
    assert.deepEqual(init.tools, [{ name: 'bash', description: 'Runs a command' }]);
    assert.deepEqual(init.features, host.features);
    // What others were told goes on from here.
    assert.equal(init.seq, (other.messages.at(-1) as StreamEvent).seq);
  });

  it('never misses a message that has ended and is not stored yet, nor sees it twice', () => {
    const { agent, host, connect, user } = setUp();
    const message = user('hello');
    agent.piEvent('message_end', { message });
    assert.equal((connect().messages[0] as InitState).messages.length, 1);
    host.stored.push({ ...message });
    assert.equal((connect().messages[0] as InitState).messages.length, 1);
  });

  it('gets each event once, numbered', () => {
    const { agent, connect, user, say } = setUp();
    const client = connect();
    assert.equal((client.take()[0] as InitState).seq, 0);
    agent.piEvent('agent_start', {});
    say(user('hi'));
    agent.piEvent('message_start', { message: assistant('') });
    agent.piEvent('message_update', delta('a'));
    say(assistant('a'));
    agent.piEvent('agent_settled', {});
    const events = client.take() as StreamEvent[];
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, i) => i + 1),
    );
    assert.deepEqual(types(events), [
      'state',
      'message_end',
      'message_start',
      'message_delta',
      'message_start',
      'message_end',
      'state',
    ]);
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'message_end' ? [event.index] : [])),
      [0, 1],
    );
  });

  it('goes on where it was, at every event of a turn', () => {
    const { agent, connect, user, say } = setUp();
    const whole = connect();
    const first = whole.take()[0] as InitState;
    agent.piEvent('agent_start', {});
    say(user('hi'));
    agent.piEvent('message_start', { message: assistant('') });
    for (const text of ['a', 'b', 'c']) agent.piEvent('message_update', delta(text));
    agent.piEvent('agent_settled', {});
    const events = whole.received;
    for (let seq = 0; seq <= events.length; seq++) {
      const [resumed, ...missed] = connect(false, { epoch: first.epoch, seq }).received as [string, ...string[]];
      assert.deepEqual(JSON.parse(resumed), { type: 'resumed', epoch: 'epoch1', seq, now: 1_000_000 });
      assert.deepEqual(missed, events.slice(seq));
    }
    for (const gap of [
      { epoch: 'other', seq: 1 },
      { epoch: 'epoch1', seq: events.length + 1 },
    ]) {
      assert.deepEqual(types(connect(false, gap).messages), ['init_state']);
    }
  });

  it('in classic mode gets the events of pi as they are, and nothing that is ours', () => {
    const { agent, connect, user, faults } = setUp();
    const client = connect(true);
    const init = client.take()[0] as InitState;
    assert.equal(init.type, 'init_state');
    agent.piEvent('agent_start', {});
    const update = { type: 'message_update', ...delta('a') };
    agent.piEvent('message_update', update);
    agent.piEvent('message_end', { type: 'message_end', message: user('x') } as never);
    agent.ask({ kind: 'confirm', title: 'Sure?' }, () => {});
    agent.notice('info', 'hello');
    client.say({ type: 'prompt', id: 'p', text: '' });
    client.say('  ');
    assert.deepEqual(client.take(), JSON.parse(JSON.stringify([update, { type: 'message_end', message: user('x') }])));
    assert.deepEqual(faults, []);
  });

  it('hears nothing once it is gone, and everybody hears the end', () => {
    const { agent, connect } = setUp();
    const [gone, stays] = [connect(), connect(true)];
    gone.take();
    gone.connection?.gone();
    agent.notice('info', 'hello');
    assert.deepEqual(gone.received, []);
    agent.close(4001, 'successor:b');
    assert.deepEqual([gone.closed, stays.closed], [null, [4001, 'successor:b']]);
    stays.say('too late');
    agent.piEvent('agent_start', {});
    agent.refreshSession();
    assert.equal(agent.clients, 0);
  });
});

describe('a prompt', () => {
  it('goes to pi with its text, and how it is to be delivered is always said', () => {
    const { connect, host, user, say } = setUp();
    const client = connect();
    client.take();
    client.say('plain text');
    client.say({ type: 'prompt', id: 'p1', text: '{"json": 1}' });
    assert.deepEqual(host.sent, [
      { content: 'plain text', options: { deliverAs: 'followUp', expandPromptTemplates: true } },
    ]);
    say(user('plain text'));
    const events = client.take();
    const [end] = events.filter((event) => event.type === 'message_end');
    assert.equal(end?.type === 'message_end' && end.prompt, 'epoch1-1');
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'prompt_status' ? [[event.id, event.status]] : [])),
      [
        ['epoch1-1', 'queued'],
        ['p1', 'queued'],
        ['epoch1-1', 'delivered'],
      ],
    );
  });

  it('that is empty never reaches pi', () => {
    const { connect, host } = setUp();
    const client = connect();
    client.take();
    for (const text of ['', ' \n\t ', '\u00a0']) client.say({ type: 'prompt', id: 'p', text });
    client.say('');
    client.say('   ');
    assert.deepEqual(types(client.take()), Array(5).fill('error'));
    assert.deepEqual(host.sent, []);
  });

  it('waits until the run before it is over for good', () => {
    const { agent, connect, host, pass } = setUp();
    const client = connect();
    agent.piEvent('agent_start', {});
    client.say({ type: 'prompt', id: 'p1', text: 'one' });
    client.say({ type: 'prompt', id: 'p2', text: 'two' });
    agent.piEvent('agent_end', {});
    pass(5000);
    assert.deepEqual(host.sent, []);
    agent.piEvent('agent_settled', {});
    pass(100);
    assert.deepEqual(
      host.sent.map(({ content }) => content),
      ['one'],
    );
  });

  it('goes out at agent_end with a pi that never settles', () => {
    const host = new FakeHost();
    host.settles = false;
    host.features = ['queue'];
    const { agent, connect, pass } = setUp(host);
    agent.piEvent('agent_start', {});
    connect().say({ type: 'prompt', id: 'p1', text: '/deploy' });
    host.idle = false;
    agent.piEvent('agent_end', {});
    pass(30);
    assert.deepEqual(host.sent, []);
    host.idle = true;
    pass(100);
    assert.deepEqual(host.sent, [{ content: '/deploy', options: { deliverAs: 'followUp' } }]);
  });

  it('waits for the end of a run with a pi that turns out to settle', async () => {
    const host = new FakeHost();
    host.settles = false;
    const { agent, connect, pass } = setUp(host);
    agent.piEvent('agent_start', {});
    agent.piEvent('agent_end', {});
    agent.piEvent('agent_settled', {});
    agent.piEvent('agent_start', {});
    agent.piEvent('agent_end', {});
    const client = connect();
    assert.equal((client.take()[0] as InitState).state, 'working');
    client.say('next');
    pass(1000);
    assert.deepEqual(host.sent, []);
    agent.piEvent('agent_settled', {});
    pass(1000);
    assert.equal(host.sent.length, 1);
  });

  it('waits while the conversation is compacted', () => {
    const { agent, connect, host, pass } = setUp();
    agent.piEvent('session_before_compact', {});
    connect().say({ type: 'prompt', id: 'p1', text: 'one' });
    pass(1000);
    assert.deepEqual(host.sent, []);
    agent.piEvent('session_compact', {});
    assert.equal(host.sent.length, 1);
  });

  it('carries files', () => {
    const { connect, host } = setUp();
    const client = connect();
    client.take();
    const picture = { filename: 'a.png', data: 'QUJD' };
    client.say({ type: 'prompt', id: 'p1', text: 'look', attachments: [picture] });
    assert.deepEqual(host.sent[0]?.content, [
      { type: 'text', text: 'look\n<file name="a.png"></file>' },
      { type: 'image', data: 'QUJD', mimeType: 'image/png' },
    ]);
    client.take();
    client.say({ type: 'prompt', id: 'p2', text: 'look', attachments: [{ filename: 'a.zip', data: '/w==' }] });
    assert.match((client.take()[0] as { error: string }).error, /neither a picture/);
  });

  it('of an older client is a file alone', () => {
    const { connect, host } = setUp();
    const client = connect(true);
    client.take();
    client.say({ type: 'attach_file', filename: 'a.txt', content: 'QUJD', mimeType: 'text/plain' });
    client.say({ type: 'attach_file', filename: 'b.zip', content: '/w==' });
    assert.deepEqual(host.sent[0]?.content, [{ type: 'text', text: '<file name="a.txt">\nABC\n</file>' }]);
    const [first, second] = client.take() as unknown as [{ success: boolean }, { success: boolean; error: string }];
    assert.deepEqual([first, second.success], [{ type: 'attach_file_ack', filename: 'a.txt', success: true }, false]);
  });
});

describe('timers', () => {
  it('are one at a time, however much waits', () => {
    const { agent, connect, host, pass, timers } = setUp();
    host.idle = false;
    const client = connect();
    for (let i = 0; i < 32; i++) client.say({ type: 'prompt', id: `p${i}`, text: `${i}` });
    agent.piEvent('agent_start', {});
    agent.piEvent('tool_execution_start', { toolCallId: 't', toolName: 'bash', args: {} });
    let text = '';
    for (let i = 0; i < 500; i++) {
      text += `${i}\n`;
      const partialResult = { content: [{ type: 'text' as const, text }] };
      agent.piEvent('tool_execution_update', { toolCallId: 't', toolName: 'bash', partialResult });
    }
    assert.ok(timers.length <= 3, `${timers.length}`);
    pass(60_000);
    assert.ok(timers.length <= 3, `${timers.length}`);
  });
});

describe('stopping', () => {
  it('stops pi, gives back what waits, and stops it again if it begins by itself', () => {
    const { agent, connect, host, pass } = setUp();
    const client = connect();
    agent.piEvent('agent_start', {});
    client.say({ type: 'prompt', id: 'p1', text: 'one' });
    client.take();
    client.say({ type: 'abort' });
    assert.equal(host.aborts, 1);
    assert.deepEqual(client.take()[0], {
      type: 'prompt_status',
      seq: 4,
      id: 'p1',
      status: 'removed',
      error: 'stopped',
    });
    pass(40_000);
    agent.piEvent('agent_start', {});
    assert.equal(host.aborts, 2);
    agent.piEvent('agent_settled', { aborted: true });
    agent.piEvent('agent_start', {});
    assert.equal(host.aborts, 2);
  });

  it('does not stop what somebody begins after it', () => {
    const { agent, connect, host } = setUp();
    const client = connect();
    client.say({ type: 'abort' });
    client.say('go on');
    agent.piEvent('agent_start', {});
    client.say({ type: 'abort' });
    agent.piEvent('input', { text: 'typed', source: 'interactive' });
    agent.piEvent('agent_start', {});
    assert.equal(host.aborts, 2);
  });
});

describe('a question', () => {
  it('is asked everywhere, and settled by the first answer', () => {
    const { agent, connect } = setUp();
    const [one, two] = [connect(), connect()];
    one.take();
    two.take();
    const answers: unknown[] = [];
    const id = agent.ask({ kind: 'confirm', title: 'Sure?', message: 'Really?' }, (answer) => answers.push(answer));
    assert.equal(agent.details.state, 'waiting');
    assert.deepEqual(agent.details.question, { id, kind: 'confirm', title: 'Sure?' });
    assert.deepEqual(types(two.take()), ['question', 'state']);
    one.say({ type: 'answer', id, value: true, client: 'phone' });
    two.say({ type: 'answer', id, value: false });
    assert.deepEqual(answers, [true]);
    const settled = { type: 'question_settled', id, by: 'dashboard', client: 'phone', value: true };
    const [told, state, again] = two.take();
    assert.deepEqual(told, { seq: 3, ...settled });
    assert.equal(state?.type, 'state');
    assert.deepEqual(again, settled);
    assert.equal(agent.details.questions, 0);
  });

  it('that is dismissed stops the run it was asked in, unless whoever asks says otherwise', () => {
    const { agent, connect, host } = setUp();
    const client = connect();
    const idle = agent.ask({ kind: 'input', title: 'Name?' }, () => {});
    agent.piEvent('agent_start', {});
    const stopping = agent.ask({ kind: 'input', title: 'Name?' }, () => {});
    const harmless = agent.ask({ kind: 'input', title: 'Name?', dismissStops: false }, () => {});
    client.say({ type: 'dismiss', id: idle });
    client.say({ type: 'dismiss', id: harmless });
    assert.equal(host.aborts, 0);
    client.say({ type: 'dismiss', id: stopping });
    assert.equal(host.aborts, 1);
  });

  it('is told as refused if the answer is none', () => {
    const { agent, connect } = setUp();
    const client = connect();
    const id = agent.ask({ kind: 'confirm', title: 'Sure?' }, () => {});
    client.take();
    client.say({ type: 'answer', id, value: 'yes' });
    client.say({ type: 'answer', id: 'nobody', value: 'yes' });
    assert.deepEqual(client.take(), [
      { type: 'error', request: 'answer', id, error: 'The answer must be true or false' },
      { type: 'error', request: 'answer', id: 'nobody', error: 'No such question' },
    ]);
  });
});

describe('the history', () => {
  it('comes in pages and single messages', () => {
    const { connect, host, user } = setUp();
    host.stored = Array.from({ length: 20 }, (_, i) => user(`m${i}`));
    host.stored[3] = user('x'.repeat(600_000));
    const client = connect(true);
    client.take();
    client.say({ type: 'fetch_history', before: 6, limit: 3 });
    const [page] = client.take() as unknown as [{ messages: Message[]; hasMore: boolean; oldestIndex: number }];
    assert.deepEqual([page.messages.length, page.hasMore, page.oldestIndex], [3, true, 3]);
    assert.equal(page.messages[0]?.cut?.index, 3);
    const delta = connect();
    delta.take();
    delta.say({ type: 'fetch_message', index: 3 });
    delta.say({ type: 'fetch_message', index: 20 });
    const [whole, none] = delta.take() as unknown as [{ message: Message }, { error: string }];
    assert.deepEqual(whole.message, JSON.parse(JSON.stringify(host.stored[3])));
    assert.equal(none.error, 'There is no such message');
  });

  it('is another one after going to another branch', () => {
    const { agent, connect, host, user } = setUp();
    host.stored = [user('a'), user('b')];
    const client = connect();
    client.take();
    host.stored = [user('a')];
    agent.piEvent('session_tree', {});
    assert.deepEqual(types(client.take()), ['history_reset']);
    assert.equal((connect().messages[0] as InitState).messages.length, 1);
  });

  it('has the summary of a compaction as a message', () => {
    const { agent, connect, host, user, say } = setUp();
    say(user('a'));
    const client = connect();
    client.take();
    agent.piEvent('session_before_compact', {});
    host.stored.push({ role: 'compactionSummary', summary: 'so far', timestamp: 9 });
    agent.piEvent('session_compact', {});
    const [end] = client.take().filter(({ type }) => type === 'message_end') as unknown as [
      { index: number; message: Message },
    ];
    assert.deepEqual([end.index, end.message.summary], [1, 'so far']);
  });

  it('has what is stored without a word, in its place', () => {
    const { agent, connect, host, pass, user, say } = setUp();
    const client = connect();
    say(user('a'));
    client.take();
    // `! ls` in the terminal.
    agent.piEvent('user_bash', {});
    pass(1000);
    host.stored.push({ role: 'bashExecution', command: 'ls', output: 'x', timestamp: 3 });
    pass(1000);
    const ended = () =>
      client.take().flatMap((event) => (event.type === 'message_end' ? [[event.index, event.message.role]] : []));
    assert.deepEqual(ended(), [[1, 'bashExecution']]);
    host.stored.push({ role: 'custom', content: 'by another extension', timestamp: 4 });
    say(user('b'));
    assert.deepEqual(ended(), [
      [2, 'custom'],
      [3, 'user'],
    ]);
    // One that pi tells of and never stores leaves no gap.
    agent.piEvent('message_end', { message: { role: 'custom', content: 'fleeting', timestamp: 5 } });
    agent.piEvent('agent_settled', {});
    say(user('c'));
    assert.deepEqual(ended(), [
      [4, 'custom'],
      [4, 'user'],
    ]);
    assert.equal((connect().messages[0] as InitState).messages.length, 5);
  });

  it('shows no system prompt', () => {
    const { agent, connect } = setUp();
    const client = connect();
    client.take();
    agent.piEvent('message_start', { message: { role: 'system', content: 'You are pi' } });
    agent.piEvent('message_end', { message: { role: 'system', content: 'You are pi' } });
    assert.deepEqual(client.take(), []);
  });
});

describe('the session', () => {
  it('is told when it changes, field by field', () => {
    const { agent, connect, host, detailsTold } = setUp();
    const client = connect();
    client.take();
    agent.refreshSession();
    assert.deepEqual([client.take(), detailsTold()], [[], 0]);
    host.info = { id: 'session-1', name: 'Fix it', context: { used: 10, max: 100 }, cost: 0.5 };
    agent.piEvent('session_info_changed', {});
    assert.deepEqual(client.take(), [
      { type: 'session', seq: 1, model: null, name: 'Fix it', context: { used: 10, max: 100 }, cost: 0.5 },
    ]);
    assert.equal(detailsTold(), 1);
    const { name, context, cost, session } = agent.details;
    assert.deepEqual([name, context, cost, session], ['Fix it', { used: 10, max: 100 }, 0.5, 'session-1']);
  });

  it('answers what it can be asked', async () => {
    const { connect } = setUp();
    const client = connect();
    client.take();
    client.say({ type: 'list_commands' });
    client.say({ type: 'list_files', prefix: 'src/' });
    client.say({ type: 'list_files' });
    await new Promise((resolve) => setImmediate(resolve));
    const cwd = '/home/u/project';
    assert.deepEqual(client.take(), [
      { type: 'commands_list', commands: [{ name: '/deploy', description: 'Deploys' }] },
      { type: 'files_list', files: [{ path: 'src/file', isDirectory: false }], cwd, prefix: 'src/' },
      { type: 'files_list', files: [{ path: 'file', isDirectory: false }], cwd },
    ]);
  });

  it('survives a pi that throws, and says so to whoever asked', () => {
    const { connect, host, faults } = setUp();
    const client = connect();
    const other = connect();
    client.take();
    other.take();
    host.commands = () => {
      throw new Error('stale');
    };
    client.say({ type: 'list_commands' });
    assert.deepEqual(client.take(), [{ type: 'error', error: 'pi could not do that' }]);
    assert.deepEqual(other.take(), []);
    assert.equal(faults.length, 1);
  });
});
