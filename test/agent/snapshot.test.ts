import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeSnapshot, type Screen } from '../../src/agent/snapshot.ts';
import type { InitState, Message, Question } from '../../src/protocol/agent.ts';

const LIMIT = 500_000;
const SCREEN: Screen = {
  epoch: 'e',
  seq: 5,
  tools: [],
  cwd: '/home/u',
  session: { id: 's' },
  state: 'idle',
  stateSince: 1,
  now: 2,
  runningTools: [],
  queue: [],
  prompts: [],
  questions: [],
  features: [],
};
const user = (text: string): Message => ({ role: 'user', content: text });
const snapshot = (messages: Message[], more: Partial<Screen> = {}): InitState => {
  const json = encodeSnapshot(messages, { ...SCREEN, ...more });
  assert.ok(Buffer.byteLength(json) <= LIMIT, `${Buffer.byteLength(json)}`);
  return JSON.parse(json) as InitState;
};

describe('encodeSnapshot', () => {
  it('has everything if everything fits', () => {
    const messages = [user('a'), user('b')];
    assert.deepEqual(snapshot(messages), { type: 'init_state', messages, totalMessages: 2, oldestIndex: 0, ...SCREEN });
  });

  it('has the end of a long history, and says that there is more', () => {
    const messages = Array.from({ length: 10_000 }, (_, i) => user(`${i} ${'x'.repeat(500)}`));
    const { messages: shown, oldestIndex, totalMessages, truncated } = snapshot(messages);
    assert.deepEqual(shown, messages.slice(oldestIndex));
    assert.ok(shown.length > 800);
    assert.deepEqual([totalMessages, truncated], [10_000, true]);
  });

  it('says what of a huge message is missing', () => {
    const { messages } = snapshot([user('a'), user('é'.repeat(3_000_000)), user('b')]);
    assert.equal(messages.length, 3);
    assert.equal(messages[1]?.cut?.index, 1);
  });

  it('keeps the end of a live message and of what a tool prints', () => {
    const long = `begin ${'x'.repeat(600_000)} end`;
    const { live, runningTools, cut } = snapshot([user('a')], {
      live: {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: long },
          { type: 'text', text: long },
          { type: 'toolCall', id: 'c', name: 'write', arguments: {}, partial: long },
        ],
      },
      runningTools: [{ toolCallId: 't', toolName: 'bash', startedAt: 1, args: { command: long }, output: long }],
    });
    assert.equal(cut, true);
    const [thinking, text, call] = (live as Message).content as unknown as [
      { thinking: string },
      { text: string },
      { partial: string; id: string },
    ];
    for (const shown of [thinking.thinking, text.text, call.partial, runningTools[0]?.output ?? '']) {
      assert.ok(shown.endsWith('x end') && shown.length > 2000 && shown.length < 20_000);
    }
    assert.deepEqual([call.id, runningTools[0]?.args], ['c', undefined]);
  });

  it('shows every question, and those that are too large as ones for the terminal', () => {
    const question = (id: string, prefill: string): Question => ({
      id,
      kind: 'editor',
      title: id,
      askedAt: 1,
      prefill,
    });
    const { questions } = snapshot([], { questions: [question('a', 'x'.repeat(600_000)), question('b', 'short')] });
    assert.deepEqual(questions, [{ id: 'a', kind: 'custom', title: 'a', askedAt: 1 }, question('b', 'short')]);
  });

  it('never grows over its bound, whatever is on the screen', () => {
    const long = '\u0001'.repeat(60_000);
    const extreme = snapshot([user(long), user(long)], {
      cwd: long,
      error: long,
      tools: Array.from({ length: 5000 }, (_, i) => ({ name: `tool ${i}`, description: long })),
      live: { role: 'assistant', content: Array.from({ length: 300 }, () => ({ type: 'text', text: long })) },
      runningTools: Array.from({ length: 500 }, (_, i) => ({
        toolCallId: `${i}`,
        toolName: 'b',
        startedAt: 1,
        output: long,
      })),
      queue: Array.from({ length: 32 }, (_, i) => ({ id: `${i}`, text: long, deliver: 'steer' as const, queuedAt: 1 })),
      questions: Array.from({ length: 200 }, (_, i) => ({
        id: `${i}`,
        kind: 'confirm' as const,
        title: long,
        askedAt: 1,
      })),
    });
    assert.equal(extreme.queue.length, 32);
    assert.equal(extreme.cut, true);
  });
});
