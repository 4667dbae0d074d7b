import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { InitState, Message } from '../../src/protocol/agent.ts';
import { setUp, types } from './fake-host.ts';

describe('the history', () => {
  it('has a message that has ended and is not stored yet, and has it once', () => {
    const { agent, host, connect, user } = setUp();
    const message = user('hello');
    agent.piEvent('message_end', { message });
    assert.equal((connect().messages[0] as InitState).messages.length, 1);
    host.stored.push({ ...message });
    assert.equal((connect().messages[0] as InitState).messages.length, 1);
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
