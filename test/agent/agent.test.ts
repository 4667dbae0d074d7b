import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { InitState, StreamEvent } from '../../src/protocol/agent.ts';
import { assistant, delta, FakeHost, setUp, types } from './fake-host.ts';

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
});
