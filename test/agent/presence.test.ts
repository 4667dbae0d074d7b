import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { clip, clipDetails, difference, newNodeId, nodeQuestion } from '../../src/agent/presence.ts';
import { NODE_LIMITS } from '../../src/protocol/registry.ts';

describe('clip', () => {
  it('leaves what fits as it is', () => {
    assert.equal(clip('a name é', 9), 'a name é');
    assert.equal(clip('', 5), '');
  });

  it('makes of any text one that a node may have', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 8, max: 40 }), (text, maxBytes) => {
        const clipped = clip(text, maxBytes);
        assert.ok(Buffer.byteLength(clipped) <= maxBytes);
        assert.doesNotMatch(clipped, /[\p{Cc}\p{Cs}]/u);
      }),
    );
    assert.equal(clip('a\nb\u001b[31m\ud800c', 20), 'a b [31m c');
    assert.equal(clip('日本語日本語', 10), '日本…');
  });
});

describe('nodeQuestion', () => {
  const question = { id: 'q', kind: 'select' as const, title: 'T'.repeat(600), askedAt: 1 };

  it('has options that all fit, and else none', () => {
    const fits = Array.from({ length: NODE_LIMITS.questionOptions }, () => 'x'.repeat(NODE_LIMITS.questionOption));
    assert.deepEqual(nodeQuestion({ ...question, options: fits }).options, fits);
    assert.equal(nodeQuestion({ ...question, options: [...fits, 'y'] }).options, undefined);
    assert.equal(
      nodeQuestion({ ...question, options: ['x'.repeat(NODE_LIMITS.questionOption + 1)] }).options,
      undefined,
    );
    assert.equal(nodeQuestion({ ...question, options: ['a\nb'] }).options, undefined);
    assert.ok(Buffer.byteLength(nodeQuestion(question).title) <= NODE_LIMITS.questionTitle);
  });
});

describe('clipDetails', () => {
  it('leaves out what is empty', () => {
    assert.deepEqual(clipDetails({ name: ' \n', model: 'm', cost: 0 }), { model: 'm', cost: 0 });
  });
});

describe('difference', () => {
  it('is what has changed, with null for what is gone', () => {
    const before = { name: 'a', model: 'm', context: { used: 1, max: 2 }, cost: 1 };
    assert.equal(difference(before, { ...before, context: { used: 1, max: 2 } }), null);
    assert.deepEqual(difference(before, { name: 'b', context: { used: 2, max: 2 }, cost: 1, tool: 'bash' }), {
      name: 'b',
      model: null,
      context: { used: 2, max: 2 },
      tool: 'bash',
    });
    assert.deepEqual(difference({}, { questions: 0 }), { questions: 0 });
  });
});

describe('newNodeId', () => {
  it('is one that nobody has, and needs no escape in a URL', () => {
    const ids = Array.from({ length: 1000 }, newNodeId);
    assert.equal(new Set(ids).size, 1000);
    for (const id of ids) assert.equal(encodeURIComponent(id), id);
  });
});
