import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSeen, isWanted, kindOf, PRESENCE_MS, words } from '../../src/dashboard/telling/telling.ts';
import type { Node } from '../../src/protocol/registry.ts';

const node = (fields: Partial<Node> = {}): Node => ({
  id: 'a',
  machine: 'desk',
  cwd: '/home/me',
  port: 8080,
  status: 'active',
  ...fields,
});
const asking = (id: string) => node({ state: 'waiting', question: { id, kind: 'confirm', title: 'Go on?' } });

describe('a notification', () => {
  it('says that an agent waits, once for each question', () => {
    const change = { node: asking('1'), before: node({ state: 'working' }), finished: false };
    assert.equal(kindOf(change), 'waits');
    assert.equal(kindOf({ ...change, before: asking('1') }), null);
    assert.equal(kindOf({ ...change, before: asking('0') }), 'waits');
  });

  it('says that it failed or is done, but not if it was found so', () => {
    const failed = node({ state: 'failed' });
    assert.equal(kindOf({ node: failed, before: node({ state: 'working' }), finished: false }), 'failed');
    assert.equal(kindOf({ node: failed, before: failed, finished: false }), null);
    assert.equal(kindOf({ node: failed, before: undefined, finished: false }), null);
    const idle = node({ state: 'idle' });
    assert.equal(kindOf({ node: idle, before: node({ state: 'working' }), finished: true }), 'done');
    assert.equal(kindOf({ node: idle, before: undefined, finished: true }), null);
    assert.equal(kindOf({ node: idle, before: node({ state: 'failed' }), finished: false }), null);
  });

  it('does not tell of work, of tools or of agents that went', () => {
    const before = node({ state: 'idle' });
    for (const fields of [{ state: 'working' }, { tool: 'bash' }, { status: 'offline' }] as Partial<Node>[]) {
      assert.equal(kindOf({ node: node({ state: 'idle', ...fields }), before, finished: false }), null);
    }
  });

  it('comes as the person chose for that agent', () => {
    assert.ok(isWanted('done', 'all') && isWanted('waits', 'all') && isWanted('waits', 'waits'));
    assert.ok(!isWanted('done', 'waits') && !isWanted('failed', 'waits') && !isWanted('waits', 'none'));
  });

  it('has words', () => {
    assert.deepEqual(words('waits', 'api', asking('1')), { title: 'api waits for you', body: 'Go on?' });
    assert.equal(words('failed', 'api', node()).title, 'api failed');
  });
});

describe('an agent in sight', () => {
  const NOW = 10_000_000;
  const tab = { open: 'a', visible: true, actedAt: NOW - 1000 };

  it('is open in a visible tab in which somebody did something in the last three minutes', () => {
    assert.ok(isSeen('a', [{ ...tab, open: 'b' }, tab], NOW));
    assert.ok(isSeen('a', [{ ...tab, actedAt: NOW - PRESENCE_MS + 1 }], NOW));
    assert.ok(!isSeen('a', [{ ...tab, actedAt: NOW - PRESENCE_MS }], NOW));
  });

  it('does not count as such if that is not known', () => {
    assert.ok(!isSeen('a', [], NOW));
    assert.ok(!isSeen('a', [{ ...tab, visible: false }], NOW));
    assert.ok(!isSeen('a', [{ ...tab, open: null }], NOW));
    assert.ok(!isSeen('a', [{ ...tab, actedAt: 0 }], NOW));
  });
});
