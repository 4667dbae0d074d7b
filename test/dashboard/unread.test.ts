import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  FIRST_VISIT,
  fromStored,
  hear,
  read,
  readElsewhere,
  toStored,
  type Unread,
} from '../../src/dashboard/state/unread.ts';
import type { AgentState, Node } from '../../src/protocol/registry.ts';

const NOW = 1_800_000_000;
const node = (state: AgentState | undefined, since = NOW, fields: Partial<Node> = {}): Node => ({
  id: 'a',
  machine: 'desk',
  cwd: '/',
  port: 1,
  status: 'active',
  last_seen: NOW - 1000,
  ...(state === undefined ? {} : { state, state_since: since }),
  ...fields,
});
const after = (state: Unread, ...nodes: Node[]) =>
  nodes.reduce((unread, each) => hear(unread, [each], null, NOW).value, state);
const RETURNING: Unread = { ...FIRST_VISIT, returning: true };

describe('unread agents', () => {
  it('are none on the first visit, whatever is found', () => {
    const { value, finished } = hear(FIRST_VISIT, [node('idle')], null, NOW);
    assert.deepEqual([[...value.ids], finished], [[], []]);
  });

  it('include an agent that finishes while the page is open, unless it is in sight', () => {
    const working = after(FIRST_VISIT, node('working', NOW - 5));
    const elsewhere = hear(working, [node('idle')], 'b', NOW);
    assert.deepEqual([[...elsewhere.value.ids], elsewhere.finished], [['a'], ['a']]);
    const inSight = hear(working, [node('idle')], 'a', NOW);
    assert.deepEqual([[...inSight.value.ids], inSight.finished], [[], ['a']]);
  });

  it('include one that waited and then finished, but not one that failed', () => {
    assert.ok(after(FIRST_VISIT, node('waiting', NOW - 9), node('idle')).ids.has('a'));
    assert.ok(!after(FIRST_VISIT, node('failed', NOW - 9), node('idle')).ids.has('a'));
  });

  it('are read when looked at, or when they work again', () => {
    const unread = after(FIRST_VISIT, node('working', NOW - 9), node('idle', NOW - 5));
    assert.ok(!read(unread, 'a').ids.has('a'));
    assert.equal(read(unread, 'b'), unread);
    assert.ok(!after(unread, node('working')).ids.has('a'));
  });

  it('are found over a reload: they worked then, or began to be idle since', () => {
    const kept = (state: Unread) => fromStored(JSON.parse(JSON.stringify(toStored(state))), NOW);
    const working = kept(after(RETURNING, node('working', NOW - 500)));
    assert.ok(after(working, node('idle', NOW - 100)).ids.has('a'));
    const idle = kept(after(RETURNING, node('idle', NOW - 999)));
    assert.ok(after(idle, node('idle', NOW - 100)).ids.has('a'));
    assert.ok(!after(idle, node('idle', NOW - 999)).ids.has('a'));
    const unread = kept(after(FIRST_VISIT, node('working', NOW - 9), node('idle', NOW - 5)));
    assert.ok(unread.returning && unread.ids.has('a'));
  });

  it('include an agent that came and finished while the page was closed, but not one that has just registered', () => {
    assert.ok(after(RETURNING, node('idle', NOW - 100)).ids.has('a'));
    assert.ok(!after(RETURNING, node('idle', NOW - 1000)).ids.has('a'));
    assert.ok(!after(RETURNING, node('idle', NOW - 998)).ids.has('a'));
  });

  it('do not include one whose state only looks new because the daemon restarted', () => {
    const idle = after(RETURNING, node('idle', NOW - 999));
    assert.ok(!after(idle, node('idle', NOW, { last_seen: NOW })).ids.has('a'));
  });

  it('do not include agents that tell no state; the result is the very same if nothing changed', () => {
    assert.equal(hear(RETURNING, [node(undefined)], null, NOW).value, RETURNING);
    const once = after(RETURNING, node('working'));
    assert.equal(hear(once, [node('working')], null, NOW).value, once);
  });

  it('are read from any content of the storage', () => {
    for (const stored of [undefined, null, 1, 'x', [], {}, { heard: [], ids: 1 }, { heard: null, ids: [] }]) {
      assert.equal(fromStored(stored, NOW), FIRST_VISIT);
    }
    const odd = { heard: { a: null, b: { state: 'idle', since: 1, at: NOW }, c: { state: 1 } }, ids: ['a', 1] };
    const { heard, ids } = fromStored(odd, NOW);
    assert.deepEqual([[...heard.keys()], [...ids]], [['b'], ['a']]);
  });

  it('are forgotten a month after they were last there', () => {
    const stored = toStored(after(RETURNING, node('idle')));
    assert.equal(fromStored(stored, NOW + 29 * 24 * 3600).heard.size, 1);
    assert.equal(fromStored(stored, NOW + 30 * 24 * 3600).heard.size, 0);
  });

  it('are read in all tabs once they are read in one, but not by a tab that has not heard of them yet', () => {
    const working = after(FIRST_VISIT, node('working', NOW - 9));
    const unread = after(working, node('idle', NOW - 5));
    assert.equal(readElsewhere(unread, read(unread, 'a')).ids.size, 0);
    assert.equal(readElsewhere(unread, unread), unread);
    assert.equal(readElsewhere(unread, working), unread);
    assert.equal(readElsewhere(unread, FIRST_VISIT), unread);
  });
});
