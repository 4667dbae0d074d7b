import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { InitState, StreamEvent } from '../../src/protocol/agent.ts';
import { assistant, delta, setUp, types } from './fake-host.ts';

describe('a client', () => {
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
