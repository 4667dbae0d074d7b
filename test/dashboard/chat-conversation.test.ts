import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answering,
  type Conversation,
  connectionLost,
  EMPTY,
  type Entry,
  firstIndex,
  type Prompt,
  trim,
} from '../../src/dashboard/chat/conversation.ts';
import { textOf } from '../../src/dashboard/chat/message.ts';
import { addPrompt } from '../../src/dashboard/chat/outbox.ts';
import { receive } from '../../src/dashboard/chat/receive.ts';
import type { AgentEvent, FromAgent, InitState, Message, StreamEvent } from '../../src/protocol/agent.ts';

const NOW = 1_800_000_000_000;

const user = (text: string, timestamp = 1): Message => ({ role: 'user', content: text, timestamp });
const assistant = (text: string, timestamp = 2, stopReason = 'stop'): Message => ({
  role: 'assistant',
  content: text === '' ? [] : [{ type: 'text', text }],
  timestamp,
  stopReason,
});

function init(fields: Partial<InitState> = {}): InitState {
  return {
    type: 'init_state',
    messages: [],
    tools: [],
    oldestIndex: 0,
    epoch: 'e1',
    seq: 0,
    cwd: '/home/somebody/project',
    session: { id: 's1' },
    state: 'idle',
    stateSince: NOW,
    now: NOW,
    runningTools: [],
    queue: [],
    prompts: [],
    questions: [],
    features: [],
    ...fields,
  };
}

const delta = (state: Conversation, ...messages: FromAgent[]) =>
  messages.reduce((before, message) => receive(before, message, 'delta', NOW), state);
const classic = (state: Conversation, ...messages: object[]) =>
  messages.reduce((before: Conversation, message) => receive(before, message, 'classic', NOW), state);

const numbered = (events: AgentEvent[], from = 1): StreamEvent[] =>
  events.map((event, index) => ({ ...event, seq: from + index }));

const textsOf = (state: Conversation) =>
  state.entries.map((entry) =>
    entry.kind === 'message' ? `${entry.message.role}: ${textOf(entry.message)}` : entry.kind,
  );
const keysOf = (state: Conversation) => state.entries.map((entry: Entry) => entry.key);

/** A turn with thinking, text, a tool and a second answer. */
const call = { type: 'toolCall', id: 't1', name: 'bash', arguments: { command: 'ls' } } as const;
const first: Message = {
  role: 'assistant',
  timestamp: 11,
  stopReason: 'toolUse',
  content: [{ type: 'thinking', thinking: 'Hm.' }, { type: 'text', text: 'Let me look.' }, call],
};
const result: Message = {
  role: 'toolResult',
  toolCallId: 't1',
  toolName: 'bash',
  timestamp: 12,
  isError: false,
  content: [{ type: 'text', text: 'a\nb' }],
};
const turn: AgentEvent[] = [
  { type: 'prompt_status', id: 'p1', status: 'queued' },
  { type: 'state', state: 'working', since: NOW },
  { type: 'prompt_status', id: 'p1', status: 'delivered' },
  { type: 'message_end', message: user('What is here?', 10), index: 0, prompt: 'p1' },
  { type: 'message_start', message: { role: 'assistant', timestamp: 11 } },
  { type: 'message_delta', kind: 'thinking', index: 0, delta: 'Hm' },
  { type: 'message_delta', kind: 'thinking', index: 0, delta: '.' },
  { type: 'message_delta', kind: 'text', index: 1, delta: 'Let me' },
  { type: 'message_delta', kind: 'text', index: 1, delta: ' look.' },
  { type: 'message_delta', kind: 'toolcall', index: 2, delta: '{"comm', call: { id: 't1', name: 'bash' } },
  { type: 'message_delta', kind: 'toolcall', index: 2, delta: 'and":"ls"}' },
  { type: 'message_end', message: first, index: 1 },
  { type: 'tool_start', toolCallId: 't1', toolName: 'bash', args: { command: 'ls' }, startedAt: NOW },
  { type: 'tool_update', toolCallId: 't1', append: 'a\n' },
  { type: 'tool_update', toolCallId: 't1', append: 'b' },
  {
    type: 'tool_end',
    toolCallId: 't1',
    toolName: 'bash',
    result: { content: [{ type: 'text', text: 'a\nb' }] },
    isError: false,
    durationMs: 5,
  },
  { type: 'message_end', message: result, index: 2 },
  { type: 'message_start', message: { role: 'assistant', timestamp: 13 } },
  { type: 'message_delta', kind: 'text', index: 0, delta: 'Two files.' },
  { type: 'message_end', message: assistant('Two files.', 13), index: 3 },
  { type: 'state', state: 'idle', since: NOW },
];
const prompt: Prompt = {
  id: 'p1',
  text: 'What is here?',
  attachments: [],
  deliver: 'followUp',
  status: 'sending',
  error: null,
  sentAt: NOW,
};

describe('the delta dialect', () => {
  const begun = addPrompt(delta(EMPTY, init()), prompt);
  const whole = delta(begun, ...numbered(turn));

  it('makes a conversation of a turn', () => {
    assert.deepEqual(textsOf(whole), [
      'user: What is here?',
      'assistant: Let me look.',
      'toolResult: a\nb',
      'assistant: Two files.',
    ]);
    assert.equal(whole.live, null);
    assert.equal(whole.activity.state, 'idle');
    assert.deepEqual(whole.outbox, []);
    assert.equal(whole.runs.get('t1')?.status, 'done');
    assert.equal(whole.runs.get('t1')?.output, 'a\nb');
    assert.equal(whole.runs.get('t1')?.durationMs, 5);
    assert.deepEqual(whole.position, { epoch: 'e1', seq: turn.length });
  });

  it('shows the message as it is written, under the key that it keeps', () => {
    const events = numbered(turn);
    const during = delta(begun, ...events.slice(0, 11));
    assert.deepEqual(during.live?.message.content, [
      { type: 'thinking', thinking: 'Hm.' },
      { type: 'text', text: 'Let me look.' },
      { type: 'toolCall', id: 't1', name: 'bash', arguments: {}, partial: '{"command":"ls"}' },
    ]);
    const after = delta(during, ...events.slice(11, 12));
    assert.equal(after.entries.at(-1)?.key, during.live?.key);
    assert.equal(after.live, null);
  });

  it('is identical if the connection is lost at any event and resumed', () => {
    const events = numbered(turn);
    for (let at = 0; at <= events.length; at++) {
      const before = connectionLost(delta(begun, ...events.slice(0, at)));
      const after = delta(before, { type: 'resumed', epoch: 'e1', seq: at, now: NOW }, ...events.slice(at));
      assert.deepEqual(after, whole, `lost after ${at}`);
    }
  });

  it('drops events that the snapshot or an earlier connection already had', () => {
    const events = numbered(turn);
    assert.deepEqual(delta(begun, ...events.flatMap((event) => [event, event])), whole);
    assert.deepEqual(delta(begun, ...events, ...events), whole);
  });

  it('ignores all events once one is missing, until a snapshot comes', () => {
    const events = numbered(turn);
    for (let missing = 0; missing < events.length - 1; missing++) {
      const gapped = delta(begun, ...events.toSpliced(missing, 1));
      assert.equal(gapped.gap, true);
      assert.equal(gapped.position, null);
      const snapshot = init({
        messages: whole.entries.map((entry) => (entry as { message: Message }).message),
        seq: events.length,
      });
      const mended = delta(gapped, snapshot);
      assert.deepEqual(textsOf(mended), textsOf(whole));
      assert.equal(mended.gap, false);
    }
  });

  it('asks for a snapshot once the history has changed', () => {
    const reset = delta(whole, ...numbered([{ type: 'history_reset' }], turn.length + 1));
    assert.equal(reset.gap, true);
    assert.equal(reset.position, null);
    assert.deepEqual(textsOf(reset), textsOf(whole), 'the old one stays until then');
  });

  it('joins in the middle of a message: the snapshot has its beginning, older events are dropped', () => {
    const events = numbered(turn);
    const live: Message = {
      role: 'assistant',
      timestamp: 11,
      content: [
        { type: 'thinking', thinking: 'Hm.' },
        { type: 'text', text: 'Let me' },
      ],
    };
    const snapshot = init({ messages: [user('What is here?', 10)], live, seq: 8, state: 'working' });
    const joined = delta(EMPTY, snapshot, ...events.slice(5));
    assert.deepEqual(textsOf(joined), textsOf(whole));
    assert.equal(delta(EMPTY, snapshot).activity.state, 'working');
    assert.deepEqual(delta(EMPTY, snapshot).live?.message, live);
  });

  it('keeps the keys of messages that a new snapshot repeats, also of the message being written', () => {
    const events = numbered(turn);
    const before = delta(begun, ...events.slice(0, 9));
    const snapshot = init({
      messages: [user('What is here?', 10)],
      live: { role: 'assistant', timestamp: 11, content: [{ type: 'text', text: 'x' }] },
      seq: 40,
    });
    const after = delta(before, snapshot);
    assert.deepEqual(keysOf(after), keysOf(before));
    assert.equal(after.live?.key, before.live?.key);
    const other = delta(before, init({ messages: [user('Another session', 99)], seq: 1 }));
    assert.notDeepEqual(keysOf(other), keysOf(before).slice(0, 1));
  });

  it('shows running tools with their time, by our clock', () => {
    const snapshot = init({
      now: NOW + 60_000,
      stateSince: NOW + 50_000,
      state: 'working',
      runningTools: [
        { toolCallId: 't9', toolName: 'bash', args: { command: 'sleep 9' }, startedAt: NOW + 55_000, output: 'z' },
      ],
    });
    const state = delta(EMPTY, snapshot);
    assert.equal(state.runs.get('t9')?.startedAt, NOW - 5000);
    assert.equal(state.runs.get('t9')?.output, 'z');
    assert.equal(state.activity.since, NOW - 10_000);
  });

  it('drops the beginning of long output as the agent does', () => {
    const state = delta(
      EMPTY,
      init(),
      ...numbered([
        { type: 'tool_start', toolCallId: 't', toolName: 'bash', startedAt: NOW },
        { type: 'tool_update', toolCallId: 't', append: 'abcdef' },
        { type: 'tool_update', toolCallId: 't', drop: 4, append: 'gh' },
      ]),
    );
    assert.equal(state.runs.get('t')?.output, 'efgh');
  });

  it('changes nothing for what makes no sense', () => {
    const nonsense = [
      { type: 'init_state' },
      { type: 'init_state', messages: 'none', epoch: 'e', seq: 0 },
      { type: 'message_end', seq: 1 },
      { type: 'message_delta', seq: 1, kind: 'text', index: -1, delta: 'x' },
      { type: 'message_delta', seq: 1, kind: 'text', index: 1e9, delta: 'x' },
      { type: 'question', seq: 1 },
      { type: 'tool_update', seq: 1, toolCallId: 'unknown', append: 'x' },
      { type: 'queue', seq: 'one', entries: [] },
      { type: 'from the future', seq: 1 },
      { type: 7 },
      {},
    ];
    const { position: _, ...before } = delta(
      EMPTY,
      init(),
      ...numbered([{ type: 'message_start', message: { role: 'assistant' } }]),
    );
    for (const message of nonsense) {
      const { position: __, ...after } = receive(
        { ...before, position: { epoch: 'e1', seq: 0 } },
        message,
        'delta',
        NOW,
      );
      if (message.type === 'message_end') continue;
      assert.deepEqual({ ...after, gap: false }, before, JSON.stringify(message));
    }
  });

  it('keeps a place for each entry that is no message', () => {
    const state = delta(EMPTY, init({ messages: [null, user('a'), 'b' as never] as never, oldestIndex: 5 }));
    assert.deepEqual(
      state.entries.map((entry) => entry.kind === 'message' && [entry.index, entry.message.role]),
      [
        [5, 'unreadable'],
        [6, 'user'],
        [7, 'unreadable'],
      ],
    );
  });
});

describe('older messages', () => {
  const state = delta(EMPTY, init({ messages: [user('c', 3), user('d', 4)], oldestIndex: 2, totalMessages: 4 }));
  const page = (messages: Message[], oldestIndex: number, hasMore: boolean) =>
    delta(state, { type: 'history_page', messages, oldestIndex, hasMore });

  it('come in above', () => {
    assert.equal(state.hasOlder, true);
    const after = page([user('a', 1), user('b', 2)], 0, false);
    assert.deepEqual(textsOf(after), ['user: a', 'user: b', 'user: c', 'user: d']);
    assert.equal(after.hasOlder, false);
    assert.deepEqual(keysOf(after).slice(2), keysOf(state));
    assert.equal(firstIndex(after), 0);
  });
  it('that overlap come in once', () => {
    assert.deepEqual(textsOf(page([user('b', 2), user('c', 3)], 1, true)), ['user: b', 'user: c', 'user: d']);
  });
  it('that leave a gap, or answer a request that is over, are left out', () => {
    assert.equal(page([user('a', 1)], 0, false).entries.length, 2);
    assert.equal(page([user('d', 4), user('e', 5)], 3, false).entries.length, 2);
    assert.equal(page([], 0, false).entries.length, 2);
  });
  it('bring the results of their tools', () => {
    assert.equal(page([first, result], 0, false).runs.get('t1')?.output, 'a\nb');
  });

  it('are dropped if there are very many characters, and can be fetched again', () => {
    const messages = Array.from({ length: 100 }, (_, index) => user('x'.repeat(50_000), index + 1));
    const long = delta(EMPTY, init({ messages }));
    const trimmed = trim(long);
    assert.ok(trimmed.entries.length >= 38 && trimmed.entries.length <= 40);
    assert.equal(trimmed.hasOlder, true);
    assert.equal(firstIndex(trimmed), 100 - trimmed.entries.length);
    assert.equal(trim(state), state);
    const restored = delta(trimmed, {
      type: 'history_page',
      messages: messages.slice(0, firstIndex(trimmed)),
      oldestIndex: 0,
      hasMore: false,
    });
    assert.equal(restored.entries.length, 100);
    const few = delta(
      EMPTY,
      init({ messages: messages.slice(0, 5).map((one) => ({ ...one, content: 'x'.repeat(1_000_000) })) }),
    );
    assert.equal(trim(few), few, 'the newest stay, however large they are');
  });
});

describe('prompts', () => {
  const begun = addPrompt(delta(EMPTY, init()), prompt);
  const status = (state: Conversation) => state.outbox[0]?.status;

  it('go from sending to queued to delivered', () => {
    const [queued, , delivered] = numbered(turn) as [StreamEvent, StreamEvent, StreamEvent];
    assert.equal(status(begun), 'sending');
    assert.equal(status(delta(begun, queued)), 'queued');
    assert.deepEqual(delta(begun, queued, { ...delivered, seq: 2 }).outbox, []);
  });

  it('fail with the words of the agent, whichever way they come', () => {
    const failed = delta(
      begun,
      ...numbered([{ type: 'prompt_status', id: 'p1', status: 'failed', error: 'The queue is full.' }]),
    );
    assert.deepEqual([status(failed), failed.outbox[0]?.error], ['failed', 'The queue is full.']);
    const refused = delta(begun, { type: 'error', request: 'prompt', id: 'p1', error: 'Too large.' });
    assert.deepEqual([status(refused), refused.outbox[0]?.error], ['failed', 'Too large.']);
  });

  it('that somebody removed are gone; those that a stop removed stay, to be sent again', () => {
    assert.deepEqual(delta(begun, ...numbered([{ type: 'prompt_status', id: 'p1', status: 'removed' }])).outbox, []);
    const stopped = delta(
      begun,
      ...numbered([{ type: 'prompt_status', id: 'p1', status: 'removed', error: 'stopped' }]),
    );
    assert.equal(status(stopped), 'failed');
  });

  it('are unknown once the connection is lost, until the agent tells', () => {
    const lost = connectionLost(begun);
    assert.equal(status(lost), 'unknown');
    assert.equal(status(delta(lost, init({ seq: 3 }))), 'unknown', 'a snapshot that does not know it leaves it so');
    assert.deepEqual(delta(lost, init({ seq: 3, prompts: [{ id: 'p1', status: 'delivered' }] })).outbox, []);
    assert.equal(status(delta(lost, init({ prompts: [{ id: 'p1', status: 'failed', error: 'x' }] }))), 'failed');
    const queue = [{ id: 'p1', text: 'What is here?', deliver: 'followUp', queuedAt: NOW }] as const;
    assert.equal(status(delta(lost, init({ queue: [...queue] }))), 'queued');
    assert.equal(
      status(connectionLost(addPrompt(EMPTY, { ...prompt, status: 'waiting' }))),
      'waiting',
      'what was never sent still waits',
    );
  });

  it('of others change nothing here', () => {
    assert.equal(delta(begun, ...numbered([{ type: 'prompt_status', id: 'else', status: 'failed' }])).outbox.length, 1);
  });
});

describe('questions', () => {
  const question = { id: 'q1', kind: 'confirm', title: 'Delete it?', askedAt: NOW } as const;
  const other = { id: 'q2', kind: 'select', title: 'Which?', options: ['a', 'b'], askedAt: NOW + 1 } as const;
  const asked = delta(
    EMPTY,
    init(),
    ...numbered([
      { type: 'question', question },
      { type: 'question', question: { ...other, options: [...other.options] } },
    ]),
  );

  it('wait, oldest first, each once', () => {
    assert.deepEqual(
      asked.questions.map(({ id }) => id),
      ['q1', 'q2'],
    );
  });

  it('settle with the answer and its author, in their place in the conversation', () => {
    const settled = delta(
      answering(asked, 'q1', true),
      ...numbered([{ type: 'question_settled', id: 'q1', by: 'terminal', value: true }], 3),
    );
    assert.deepEqual(
      settled.questions.map(({ id }) => id),
      ['q2'],
    );
    assert.equal(settled.answers.size, 0);
    const entry = settled.entries.at(-1);
    assert.ok(entry?.kind === 'settled' && entry.question.title === 'Delete it?' && entry.outcome.by === 'terminal');
  });

  it('answered second are told so, once', () => {
    const again = {
      type: 'question_settled',
      id: 'q1',
      by: 'dashboard',
      client: 'another page',
      value: false,
    } as const;
    const settled = delta(asked, again, again);
    assert.equal(settled.entries.filter(({ kind }) => kind === 'settled').length, 1);
    assert.equal(settled.questions.length, 1);
  });

  it('answered while the connection was lost are unknown, until the agent tells', () => {
    const lost = connectionLost(answering(asked, 'q1', true));
    assert.equal(lost.answers.get('q1')?.status, 'unknown');
    const refused = delta(answering(asked, 'q1', true), { type: 'error', request: 'answer', id: 'q1', error: 'No.' });
    assert.deepEqual([refused.answers.get('q1')?.status, refused.answers.get('q1')?.error], ['failed', 'No.']);
    assert.equal(delta(lost, init({ questions: [] })).answers.size, 0);
  });
});

describe('the classic dialect', () => {
  const cumulative = (texts: string[], timestamp = 11): object[] => [
    { type: 'message_start', message: { ...assistant('', timestamp), stopReason: 'pending' } },
    ...texts.map((text) => ({ type: 'message_update', message: assistant(text, timestamp, 'pending') })),
    { type: 'message_end', message: assistant(texts.at(-1) ?? '', timestamp) },
  ];
  const begun = classic(EMPTY, {
    type: 'init_state',
    messages: [user('hello', 1), assistant('hi', 2)],
    tools: ['bash'],
  });
  const ask = [
    { type: 'message_start', message: user('next', 10) },
    { type: 'message_end', message: user('next', 10) },
  ];

  it('shows each message once, while it is written and after', () => {
    let state = classic(begun, ...ask);
    for (const event of cumulative(['a', 'ab', 'abc'])) {
      state = classic(state, event);
      const shown = [...state.entries, ...(state.live ? [state.live] : [])].filter((entry) => entry.kind === 'message');
      assert.equal(shown.length, 4);
    }
    assert.deepEqual(textsOf(state), ['user: hello', 'assistant: hi', 'user: next', 'assistant: abc']);
    assert.equal(state.live, null);
  });

  it('shows a message once if both the snapshot and its event have it', () => {
    assert.deepEqual(textsOf(classic(begun, { type: 'message_end', message: assistant('hi', 2) })), [
      'user: hello',
      'assistant: hi',
    ]);
    assert.equal(classic(begun, { type: 'message_update', message: assistant('h', 2) }).live, null);
  });

  it('works from the prompt to the answer that ends the turn, and through its tools', () => {
    const states: string[] = [];
    const steps = [
      ...ask,
      { type: 'message_start', message: assistant('', 11) },
      { type: 'message_end', message: first },
      { type: 'tool_execution_start', toolCallId: 't1', toolName: 'bash', args: { command: 'ls' } },
      {
        type: 'tool_execution_update',
        toolCallId: 't1',
        toolName: 'bash',
        args: {},
        partialResult: { content: [{ type: 'text', text: 'a' }] },
      },
      {
        type: 'tool_execution_end',
        toolCallId: 't1',
        toolName: 'bash',
        result: { content: [{ type: 'text', text: 'a\nb' }] },
        isError: false,
      },
      { type: 'message_end', message: result },
      { type: 'message_start', message: assistant('', 13) },
    ];
    let state = begun;
    states.push(state.activity.state);
    for (const step of steps) {
      state = classic(state, step);
      states.push(state.activity.state);
    }
    assert.deepEqual([...new Set(states)], ['idle', 'working']);
    assert.equal(state.runs.get('t1')?.output, 'a\nb');
    state = classic(state, { type: 'message_end', message: assistant('done', 13) });
    assert.equal(state.activity.state, 'idle');
  });

  it('knows a failed turn, with its reason', () => {
    const state = classic(begun, {
      type: 'message_end',
      message: { ...assistant('', 9, 'error'), errorMessage: 'overloaded' },
    });
    assert.deepEqual([state.activity.state, state.activity.error], ['failed', 'overloaded']);
  });

  it('joins in the middle of a message, and of a turn', () => {
    const joined = classic(EMPTY, { type: 'init_state', messages: [user('next', NOW - 1000)], tools: [] });
    assert.equal(joined.activity.state, 'working');
    const live = classic(joined, { type: 'message_update', message: assistant('half', 11) });
    assert.equal(live.live && textOf(live.live.message), 'half');
    const old = classic(EMPTY, { type: 'init_state', messages: [user('broken off', NOW - 3_600_000)], tools: [] });
    assert.equal(old.activity.state, 'idle');
  });

  it('takes a prompt for delivered once its own message appears', () => {
    const sent = addPrompt(begun, { ...prompt, text: 'next' });
    assert.equal(classic(sent, { type: 'message_end', message: user('something else', 9) }).outbox.length, 1);
    assert.deepEqual(classic(sent, ...ask).outbox, []);
    const twice = addPrompt(sent, { ...prompt, id: 'p2', text: 'next' });
    assert.deepEqual(
      classic(twice, ask[1] as object).outbox.map(({ id }) => id),
      ['p2'],
    );
  });

  it('finds a prompt that was on its way in the next snapshot', () => {
    const lost = connectionLost(addPrompt(begun, { ...prompt, text: 'next' }));
    assert.equal(lost.outbox[0]?.status, 'unknown');
    assert.deepEqual(
      classic(lost, {
        type: 'init_state',
        messages: [user('hello', 1), assistant('hi', 2), user('next', 10)],
        tools: [],
      }).outbox,
      [],
    );
  });

  it('knows where its oldest message is', () => {
    const state = classic(EMPTY, {
      type: 'init_state',
      messages: [user('x', 1)],
      tools: [],
      truncated: true,
      totalMessages: 41,
    });
    assert.equal(firstIndex(state), 40);
    assert.equal(state.hasOlder, true);
  });

  it('changes nothing for what makes no sense', () => {
    for (const message of [
      { type: 'message_update' },
      { type: 'message_end', message: null },
      { type: 'init_state' },
      { type: 'tool_execution_end' },
      { event: 'x' },
    ]) {
      assert.deepEqual(textsOf(classic(begun, message)), textsOf(begun), JSON.stringify(message));
    }
  });
});
