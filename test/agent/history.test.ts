import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { textOf } from '../../src/agent/conversation.ts';
import { encodeMessage, fitMessage, MAX_MESSAGE_BYTES, messagesOf, pageOf } from '../../src/agent/history.ts';
import type { ImagePart, Message, TextPart } from '../../src/protocol/agent.ts';

const user = (text: string): Message => ({ role: 'user', content: [{ type: 'text', text }], timestamp: 1 });

describe('messagesOf', () => {
  it('has what people see of a session, in its order', () => {
    const timestamp = '2026-01-02T03:04:05.000Z';
    const at = Date.parse(timestamp);
    const messages = messagesOf([
      { type: 'model_change', timestamp },
      { type: 'message', timestamp, message: { role: 'system', content: 'You are pi' } },
      { type: 'message', timestamp, message: user('a') },
      { type: 'compaction', timestamp, summary: 'so far', tokensBefore: 7 },
      { type: 'branch_summary', timestamp, summary: 'elsewhere', fromId: 'x' },
      { type: 'branch_summary', timestamp, summary: '' },
      { type: 'custom_message', timestamp, customType: 't', content: 'c', display: false, details: { d: 1 } },
      { type: 'label', timestamp },
      { type: 'message', timestamp },
      { type: 'something_new', timestamp, summary: 's' },
    ]);
    assert.deepEqual(messages, [
      user('a'),
      { role: 'compactionSummary', summary: 'so far', timestamp: at },
      { role: 'branchSummary', summary: 'elsewhere', timestamp: at },
      { role: 'custom', timestamp: at, customType: 't', content: 'c', display: false, details: { d: 1 } },
    ]);
  });
});

describe('pageOf', () => {
  const messages = Array.from({ length: 10 }, (_, i) => user(`message ${i}`));
  const texts = (json: string) => (JSON.parse(json) as Message[]).map(({ content }) => textOf(content));

  it('is the messages before an index, at most so many', () => {
    const { json, oldestIndex } = pageOf(messages, 7, 3, 1_000_000);
    assert.deepEqual([texts(json), oldestIndex], [['message 4', 'message 5', 'message 6'], 4]);
    assert.deepEqual(pageOf(messages, 2, 100, 1_000_000).oldestIndex, 0);
    assert.deepEqual(pageOf(messages, 0, 100, 1_000_000), { json: '[]', oldestIndex: 0 });
    assert.deepEqual(pageOf(messages, 5, 0, 1_000_000), { json: '[]', oldestIndex: 5 });
    assert.equal(pageOf(messages, 99, 100, 1_000_000).oldestIndex, 0);
  });

  it('is never larger than it may be, and never smaller than it must be', () => {
    const text = fc.string({ unit: 'binary', maxLength: 400 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 30 }), fc.integer({ min: 2, max: 6000 }), (texts, maxBytes) => {
        const messages = texts.map(user);
        const { json, oldestIndex } = pageOf(messages, messages.length, 1000, maxBytes);
        assert.ok(Buffer.byteLength(json) <= maxBytes);
        assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(messages.slice(oldestIndex))));
        if (oldestIndex === 0) return;
        const next = Buffer.byteLength(JSON.stringify(messages[oldestIndex - 1]));
        assert.ok(Buffer.byteLength(json) + next + 2 > maxBytes);
      }),
    );
  });

  it('holds the last message whatever its size', () => {
    for (const huge of [user('x'.repeat(5_000_000)), user('\u0000'.repeat(2_000_000)), user('日'.repeat(1_000_000))]) {
      const { json, oldestIndex } = pageOf([user('a'), huge, user('b')], 3, 100, 500_000);
      assert.equal(oldestIndex, 0);
      const cut = (JSON.parse(json) as Message[])[1] as Message;
      assert.deepEqual(cut.cut, { index: 1, bytes: Buffer.byteLength(JSON.stringify(huge)) });
    }
  });
});

describe('a message that is too large', () => {
  const size = (message: Message) => Buffer.byteLength(JSON.stringify(message));

  it('is cut from one byte over', () => {
    const fitting = user('x'.repeat(MAX_MESSAGE_BYTES - size(user(''))));
    assert.equal(size(fitting), MAX_MESSAGE_BYTES);
    assert.equal(encodeMessage(fitting, 0, MAX_MESSAGE_BYTES), JSON.stringify(fitting));
    assert.equal(fitMessage(fitting, 0, MAX_MESSAGE_BYTES), fitting);
    const larger = user('x'.repeat(MAX_MESSAGE_BYTES - size(user('')) + 1));
    const cut = JSON.parse(encodeMessage(larger, 3, MAX_MESSAGE_BYTES)) as Message;
    assert.deepEqual(cut.cut, { index: 3, bytes: MAX_MESSAGE_BYTES + 1 });
    assert.deepEqual(fitMessage(larger, 3, MAX_MESSAGE_BYTES), cut);
  });

  it('keeps what it can: the beginnings of its texts, and every small field', () => {
    const message: Message = {
      role: 'toolResult',
      toolCallId: 'call-1',
      toolName: 'read',
      isError: false,
      content: [
        { type: 'text', text: `begin ${'x'.repeat(300_000)}` },
        { type: 'image', data: 'A'.repeat(400_000), mimeType: 'image/png' },
        { type: 'image', data: 'AAAA', mimeType: 'image/png' },
      ],
      details: { diff: 'd'.repeat(200_000), line: 7 },
      timestamp: 5,
    };
    const cut = fitMessage(message, 0, MAX_MESSAGE_BYTES);
    const [text, picture, icon] = cut.content as unknown as [TextPart, ImagePart, ImagePart];
    assert.ok(text.text.startsWith('begin xxx') && text.text.endsWith('x…'));
    assert.deepEqual([picture.data, icon.data], ['', 'AAAA']);
    assert.deepEqual([cut.toolCallId, cut.timestamp, (cut.details as { line: number }).line], ['call-1', 5, 7]);
    assert.ok(size(cut) > MAX_MESSAGE_BYTES / 4);
  });

  it('fits whatever it is made of', () => {
    const wide: Record<string, string> = {};
    for (let i = 0; i < 50_000; i++) wide[`key ${i}`] = 'value';
    let deep: unknown = 'x'.repeat(200_000);
    for (let i = 0; i < 500; i++) deep = [deep];
    const large: Message[] = [
      { role: 'user', content: Array.from({ length: 20_000 }, () => ({ type: 'text', text: 'many' })) },
      { role: 'custom', details: wide },
      { role: 'custom', details: deep },
      { role: 'x'.repeat(500_000) },
      { role: 'user', ['k'.repeat(300_000)]: 1 } as Message,
    ];
    for (const message of large) {
      const json = encodeMessage(message, 9, MAX_MESSAGE_BYTES);
      assert.ok(Buffer.byteLength(json) <= MAX_MESSAGE_BYTES, `${json.length}`);
      assert.equal((JSON.parse(json) as Message).cut?.index, 9);
    }
  });
});
