import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Conversation } from '../../src/agent/conversation.ts';
import type { PiStreamEvent } from '../../src/agent/pi.ts';
import type { AgentEvent, Message } from '../../src/protocol/agent.ts';

function setUp() {
  const events: AgentEvent[] = [];
  const due: number[] = [];
  let later = 0;
  const conversation = new Conversation(0, {
    onEvent: (event) => events.push(structuredClone(event)),
    onDue: (delayMs) => due.push(delayMs),
  });
  /** @param now by default long after the update before */
  const update = (assistantMessageEvent: PiStreamEvent, now?: number) => {
    later += 1000;
    conversation.messageUpdated({ message: { role: 'assistant' }, assistantMessageEvent }, now ?? later);
  };
  const assistant: Message = { role: 'assistant', model: 'm', content: [{ type: 'text', text: 'whatever' }] };
  const print = (text: string, now: number) =>
    conversation.toolUpdated(
      { toolCallId: 't', toolName: 'bash', partialResult: { content: [{ type: 'text', text }] } },
      now,
    );
  const states = () => events.flatMap((event) => (event.type === 'state' ? [event.state] : []));
  return { conversation, events, due, update, assistant, print, states };
}

/** What a client makes of tool_update. */
function printed(events: AgentEvent[]): string {
  let output = '';
  for (const event of events) if (event.type === 'tool_update') output = output.slice(event.drop ?? 0) + event.append;
  return output;
}

function deltas(events: AgentEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'message_delta' ? [event.delta] : []));
}

describe('a message', () => {
  it('is told as deltas, without what was told before', () => {
    const { conversation, events, update, assistant } = setUp();
    conversation.runStarted(1);
    conversation.messageStarted({ message: assistant }, 2);
    update({ type: 'start' });
    update({ type: 'thinking_delta', contentIndex: 0, delta: 'hm' });
    update({ type: 'text_start', contentIndex: 1 });
    update({ type: 'text_delta', contentIndex: 1, delta: 'Hel' });
    update({ type: 'text_delta', contentIndex: 1, delta: 'lo' });
    update({ type: 'text_delta', contentIndex: 1, delta: '' });
    update({ type: 'text_end', contentIndex: 1 });
    const live = [
      { type: 'thinking', thinking: 'hm' },
      { type: 'text', text: 'Hello' },
    ];
    assert.deepEqual(conversation.live, { role: 'assistant', model: 'm', content: live });
    const message = { ...assistant, content: live } as Message;
    conversation.messageEnded({ message }, 4, null, 3);
    assert.equal(conversation.live, null);
    assert.deepEqual(events.slice(1), [
      { type: 'message_start', message: { role: 'assistant', model: 'm', content: [] } },
      { type: 'message_delta', kind: 'thinking', index: 0, delta: 'hm' },
      { type: 'message_delta', kind: 'text', index: 1, delta: 'Hel' },
      { type: 'message_delta', kind: 'text', index: 1, delta: 'lo' },
      { type: 'message_end', message, index: 4 },
    ]);
  });

  it('of a user is told once, with the prompt that it came from', () => {
    const { conversation, events } = setUp();
    const message: Message = { role: 'user', content: 'hello' };
    conversation.messageStarted({ message }, 1);
    conversation.messageEnded({ message }, 0, 'p1', 1);
    assert.deepEqual(events, [{ type: 'message_end', message, index: 0, prompt: 'p1' }]);
  });

  it('names a tool call as soon as it has a name', () => {
    const { conversation, events, update, assistant } = setUp();
    conversation.messageStarted({ message: assistant }, 0);
    const partial = (id: string, name: string): Message => ({
      role: 'assistant',
      content: [{ type: 'toolCall', id, name, arguments: {} }],
    });
    update({ type: 'toolcall_start', contentIndex: 0, partial: partial('', '') });
    update({ type: 'toolcall_start', contentIndex: 0, partial: partial('c1', 'bash') });
    update({ type: 'toolcall_delta', contentIndex: 0, delta: '{"a"', partial: partial('c1', 'bash') });
    update({ type: 'toolcall_delta', contentIndex: 0, delta: ':1}', partial: partial('c1', 'bash') });
    assert.deepEqual(events.slice(2), [
      { type: 'message_delta', kind: 'toolcall', index: 0, delta: '', call: { id: 'c1', name: 'bash' } },
      { type: 'message_delta', kind: 'toolcall', index: 0, delta: '{"a"' },
      { type: 'message_delta', kind: 'toolcall', index: 0, delta: ':1}' },
    ]);
    assert.deepEqual(conversation.live?.content, [
      { type: 'toolCall', id: 'c1', name: 'bash', arguments: {}, partial: '{"a":1}' },
    ]);
  });

  it('is told at once after a pause, and then each 120 ms at most', () => {
    const { conversation, events, due, update, assistant } = setUp();
    conversation.messageStarted({ message: assistant }, 0);
    update({ type: 'text_delta', contentIndex: 0, delta: 'a' }, 1000);
    update({ type: 'text_delta', contentIndex: 0, delta: 'b' }, 1001);
    update({ type: 'text_delta', contentIndex: 0, delta: 'c' }, 1119);
    assert.deepEqual(deltas(events), ['a']);
    assert.deepEqual(conversation.live?.content, [{ type: 'text', text: 'a' }], 'a snapshot has what was told');
    assert.deepEqual(due, [119, 1]);
    conversation.tellDue(1119);
    assert.deepEqual(deltas(events), ['a']);
    conversation.tellDue(1120);
    assert.deepEqual(deltas(events), ['a', 'bc']);
    conversation.tellDue(2000);
    update({ type: 'text_delta', contentIndex: 0, delta: 'd' }, 2001);
    assert.deepEqual(deltas(events), ['a', 'bc', 'd']);
  });

  it('has all of its deltas before its end, a part after it, and the end of its run', () => {
    const { conversation, events, update, assistant } = setUp();
    const call: Message = {
      role: 'assistant',
      content: [
        { type: 'text', text: '' },
        { type: 'toolCall', id: 'c', name: 'bash', arguments: {} },
      ],
    };
    conversation.messageStarted({ message: assistant }, 0);
    update({ type: 'text_delta', contentIndex: 0, delta: 'a' }, 1000);
    update({ type: 'text_delta', contentIndex: 0, delta: 'b' }, 1001);
    update({ type: 'toolcall_start', contentIndex: 1, partial: call }, 1002);
    update({ type: 'toolcall_delta', contentIndex: 1, delta: '{', partial: call }, 1003);
    update({ type: 'toolcall_delta', contentIndex: 1, delta: '}', partial: call }, 1004);
    conversation.messageEnded({ message: assistant }, 0, null, 1005);
    conversation.messageStarted({ message: assistant }, 1006);
    update({ type: 'text_delta', contentIndex: 0, delta: 'lost' }, 1007);
    conversation.runEnded(1008);
    conversation.tellDue(2000);
    assert.deepEqual(deltas(events), ['a', 'b', '', '{}', 'lost']);
    assert.deepEqual(
      events.map(({ type }) => type).filter((type) => type !== 'message_delta' && type !== 'state'),
      ['message_start', 'message_end', 'message_start'],
    );
    assert.deepEqual(events.map(({ type }) => type).slice(-2), ['message_delta', 'state']);
  });

  it('is what its deltas make together, at any pace', () => {
    const piece = fc.record({
      contentIndex: fc.integer({ min: 0, max: 3 }),
      type: fc.constantFrom('text_delta' as const, 'thinking_delta' as const, 'toolcall_delta' as const),
      delta: fc.string({ maxLength: 5 }),
      pauseMs: fc.integer({ min: 0, max: 140 }),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const whole = setUp();
        const joined = setUp();
        let now = 0;
        for (const { conversation, assistant } of [whole, joined])
          conversation.messageStarted({ message: assistant }, 0);
        for (const { pauseMs, ...event } of pieces) {
          now += pauseMs;
          whole.update(event);
          joined.update(event, now);
          const dueMs = joined.due.pop();
          if (dueMs === undefined || pauseMs <= 60) continue;
          now += dueMs;
          joined.conversation.tellDue(now);
        }
        joined.conversation.tellDue(now + 120);
        assert.deepEqual(joined.conversation.live, whole.conversation.live);
        assert.ok(deltas(joined.events).length <= deltas(whole.events).length);
        assert.equal(deltas(joined.events).join(''), deltas(whole.events).join(''));
      }),
    );
  });

  it('may skip a part', () => {
    const { conversation, update, assistant } = setUp();
    conversation.messageStarted({ message: assistant }, 0);
    update({ type: 'text_delta', contentIndex: 2, delta: 'x' });
    const empty = { type: 'text', text: '' };
    assert.deepEqual(conversation.live?.content, [empty, empty, { type: 'text', text: 'x' }]);
    for (const contentIndex of [-1, 1.5, 1e9, Number.NaN]) update({ type: 'text_delta', contentIndex, delta: 'x' });
    assert.equal(conversation.live?.content?.length, 3);
  });

  it('that nobody began has no deltas', () => {
    const { events, update } = setUp();
    update({ type: 'text_delta', contentIndex: 0, delta: 'x' });
    assert.deepEqual(events, []);
  });

  it('of a huge size is told cut', () => {
    const { conversation, events } = setUp();
    const message: Message = { role: 'toolResult', content: 'x'.repeat(2_000_000) };
    conversation.messageEnded({ message }, 7, null, 0);
    assert.ok(JSON.stringify(events).length < 500_100);
    assert.equal((events[0] as { message: Message }).message.cut?.index, 7);
  });
});

describe('the state', () => {
  it('is working from the start of a run to its end', () => {
    const { conversation, events, assistant } = setUp();
    assert.equal(conversation.state, 'idle');
    conversation.runStarted(5);
    conversation.messageEnded({ message: { ...assistant, stopReason: 'stop' } }, 0, null, 6);
    conversation.runEnded(9);
    assert.deepEqual(
      events.filter(({ type }) => type === 'state'),
      [
        { type: 'state', state: 'working', since: 5 },
        { type: 'state', state: 'idle', since: 9 },
      ],
    );
    assert.equal(conversation.stateSince, 9);
  });

  it('is failed if the last message of the run was an error, until something begins', () => {
    const { conversation, events, assistant, states } = setUp();
    conversation.runStarted(1);
    conversation.messageEnded({ message: { ...assistant, stopReason: 'error', errorMessage: '529' } }, 0, null, 2);
    conversation.runEnded(3);
    assert.deepEqual(events.at(-1), { type: 'state', state: 'failed', since: 3, error: '529' });
    assert.equal(conversation.error, '529');
    conversation.runStarted(4);
    assert.equal(conversation.error, null);
    conversation.messageEnded({ message: { ...assistant, stopReason: 'stop' } }, 1, null, 5);
    conversation.runEnded(6);
    assert.deepEqual(states(), ['working', 'failed', 'working', 'idle']);
  });

  it('is not failed where pi tried again within the run, or somebody stopped it', () => {
    const { conversation, assistant, states } = setUp();
    conversation.runStarted(1);
    conversation.messageEnded({ message: { ...assistant, stopReason: 'error' } }, 0, null, 2);
    conversation.messageEnded({ message: { ...assistant, stopReason: 'aborted' } }, 1, null, 3);
    conversation.runEnded(4);
    assert.deepEqual(states(), ['working', 'idle']);
  });

  it('is waiting while anybody is asked, and goes back to what it was', () => {
    const { conversation, states } = setUp();
    conversation.runStarted(1);
    conversation.questionsWait(1, 2);
    conversation.questionsWait(2, 3);
    conversation.questionsWait(0, 4);
    conversation.runEnded(5);
    conversation.questionsWait(1, 6);
    conversation.questionsWait(0, 7);
    assert.deepEqual(states(), ['working', 'waiting', 'working', 'idle', 'waiting', 'idle']);
    assert.equal(conversation.stateSince, 7);
  });

  it('is working while the conversation is compacted, within a run or not', () => {
    const { conversation, states } = setUp();
    conversation.compactionStarted(1);
    conversation.compactionEnded(2);
    conversation.runStarted(3);
    conversation.compactionStarted(4);
    conversation.compactionEnded(5);
    conversation.runEnded(6);
    assert.deepEqual(states(), ['working', 'idle', 'working', 'idle']);
  });

  it('is working again if pi said too early that it had settled', () => {
    const { conversation, assistant, states } = setUp();
    conversation.runStarted(1);
    conversation.runEnded(2);
    conversation.messageStarted({ message: assistant }, 3);
    conversation.runEnded(4);
    conversation.toolStarted({ toolCallId: 't', toolName: 'bash', args: {} }, 5);
    assert.deepEqual(states(), ['working', 'idle', 'working', 'idle', 'working']);
  });
});

describe('a tool', () => {
  const start = { toolCallId: 't', toolName: 'bash', args: { command: 'ls' } };

  it('is told from its start to its end', () => {
    const { conversation, events, print } = setUp();
    conversation.runStarted(0);
    conversation.toolStarted(start, 10);
    assert.deepEqual(conversation.runningTools, [{ ...start, startedAt: 10 }]);
    print('a\n', 20);
    print('a\nb\n', 150);
    assert.deepEqual(conversation.runningTools, [{ ...start, startedAt: 10, output: 'a\nb\n' }]);
    const result = { content: [{ type: 'text' as const, text: 'a\nb\n' }], details: { exitCode: 0 } };
    conversation.toolEnded({ toolCallId: 't', toolName: 'bash', result, isError: false, durationMs: 77 }, 200);
    assert.deepEqual(events.slice(1), [
      { type: 'tool_start', ...start, startedAt: 10 },
      { type: 'tool_update', toolCallId: 't', append: 'a\n' },
      { type: 'tool_update', toolCallId: 't', append: 'b\n' },
      { type: 'tool_end', toolCallId: 't', toolName: 'bash', result, isError: false, durationMs: 77 },
    ]);
    assert.deepEqual(conversation.runningTools, []);
  });

  it('is timed here if pi does not do it', () => {
    const { conversation, events } = setUp();
    conversation.toolStarted(start, 10);
    conversation.toolEnded({ toolCallId: 't', toolName: 'bash', isError: true }, 60);
    assert.deepEqual(events.at(-1), {
      type: 'tool_end',
      toolCallId: 't',
      toolName: 'bash',
      isError: true,
      durationMs: 50,
    });
  });

  it('prints at most ten times a second, and all of it', () => {
    const { conversation, events, due, print } = setUp();
    conversation.toolStarted(start, 0);
    let output = '';
    for (let now = 0; now < 1000; now++) {
      output += `line ${now}\n`;
      print(output, now);
    }
    assert.ok(due.every((delayMs) => delayMs > 0 && delayMs <= 100));
    conversation.tellDue(1100);
    conversation.tellDue(1200);
    const updates = events.filter(({ type }) => type === 'tool_update');
    assert.ok(updates.length <= 11);
    assert.equal(printed(events), output);
    assert.ok(JSON.stringify(updates).length < output.length * 1.3, 'each line is told once');
  });

  it('that shows the end of a long output is told by what is new', () => {
    const { conversation, events, print } = setUp();
    conversation.toolStarted(start, 0);
    let output = '';
    let told = 0;
    for (let i = 0; i < 200; i++) {
      output = `${output}line ${i} ${'x'.repeat(300)}\n`.slice(-10_000);
      print(output, i * 100);
      told += (events.at(-1) as { append: string }).append.length;
    }
    assert.equal(printed(events), output);
    assert.ok(told < 200 * 400, `${told}`);
  });

  it('is shown right whatever it prints next', () => {
    const output = fc.string({ unit: fc.constantFrom('a', 'b', '\n', 'é'), maxLength: 300 });
    fc.assert(
      fc.property(fc.array(output, { maxLength: 8 }), (outputs) => {
        const { conversation, events, print } = setUp();
        conversation.toolStarted(start, 0);
        outputs.forEach((text, i) => {
          print(text, i * 1000);
          assert.equal(printed(events), text);
        });
      }),
    );
  });

  it('leaves to its messages what is large, unless it is in none', () => {
    const { conversation, events } = setUp();
    const large = { content: [{ type: 'text' as const, text: 'x'.repeat(40_000) }] };
    conversation.toolStarted({ ...start, args: { content: 'x'.repeat(40_000) } }, 0);
    conversation.toolEnded({ toolCallId: 't', toolName: 'write', result: large, isError: false }, 1);
    assert.equal('args' in (events[1] as object), false);
    assert.equal('result' in (events[2] as object), false);
    conversation.toolStarted({ ...start, parentToolCallId: 'p' }, 0);
    conversation.toolEnded({ toolCallId: 't', toolName: 'bash', result: large, isError: false }, 1);
    assert.equal((events[3] as { parentToolCallId: string }).parentToolCallId, 'p');
    assert.deepEqual((events[4] as { result: object }).result, large);
  });

  it('ends with its run', () => {
    const { conversation, events } = setUp();
    conversation.toolStarted(start, 0);
    conversation.runEnded(30);
    assert.deepEqual(
      events.slice(2).map(({ type }) => type),
      ['tool_end', 'state'],
    );
    assert.deepEqual(conversation.runningTools, []);
    conversation.toolEnded({ toolCallId: 't', toolName: 'bash', isError: false }, 40);
    assert.equal(events.length, 4);
  });
});
