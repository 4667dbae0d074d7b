import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { applyPushes as apply, type Nodes } from '../../src/dashboard/state/roster.ts';
import type { Node } from '../../src/protocol/registry.ts';

const node = (id: string, fields: Partial<Node> = {}): Node => ({
  id,
  machine: 'desk',
  cwd: '/home/me',
  port: 8080,
  status: 'active',
  ...fields,
});
const rosterOf = (...all: Node[]): Nodes => new Map(all.map((each) => [each.id, each]));
const applyPushes = (nodes: Nodes, pushes: Parameters<typeof apply>[1]) => apply(nodes, pushes).value;
const init = (...all: Node[]) => ({ event: 'init', nodes: all, protocol_version: '1' }) as const;

describe('the roster', () => {
  it('begins with an init, and another replaces all before it', () => {
    const first = applyPushes(new Map(), [init(node('a'), node('b'))]);
    assert.deepEqual([...first.keys()], ['a', 'b']);
    assert.deepEqual([...applyPushes(first, [init(node('c'))]).keys()], ['c']);
  });

  it('takes those who join, go offline, come back and go, in order', () => {
    const after = applyPushes(rosterOf(node('a')), [
      { event: 'node_joined', node: node('b') },
      { event: 'node_offline', id: 'a' },
      { event: 'node_removed', id: 'b' },
      { event: 'node_joined', node: node('b', { port: 2 }) },
    ]);
    assert.equal(after.get('a')?.status, 'offline');
    assert.equal(after.get('b')?.port, 2);
  });

  it('merges updates: null removes a field, missing fields stay', () => {
    const after = applyPushes(rosterOf(node('a', { model: 'm', tool: 'bash', state: 'working' })), [
      { event: 'node_updated', id: 'a', tool: null, state: 'idle' },
    ]);
    assert.deepEqual(after.get('a'), node('a', { model: 'm', state: 'idle' }));
  });

  it('is the very same if nothing changed, and never changes its input', () => {
    const before = rosterOf(node('a'));
    const copy = structuredClone(before);
    assert.equal(applyPushes(before, [{ event: 'node_removed', id: 'x' }]), before);
    assert.equal(applyPushes(before, [{ event: 'node_updated', id: 'x', tool: 'bash' }]), before);
    assert.equal(
      applyPushes(before, [{ event: 'spawn_ended', spawn_id: '1', exit_code: 1, signal: null, output: '' }]),
      before,
    );
    applyPushes(before, [
      { event: 'node_offline', id: 'a' },
      { event: 'node_joined', node: node('b') },
    ]);
    assert.deepEqual(before, copy);
  });

  it('says who joined or changed', () => {
    const { changed } = apply(rosterOf(node('a'), node('b'), node('c')), [
      { event: 'node_updated', id: 'a', tool: 'bash' },
      { event: 'node_updated', id: 'a', tool: null },
      { event: 'node_offline', id: 'b' },
      { event: 'node_removed', id: 'c' },
      { event: 'node_joined', node: node('d') },
    ]);
    assert.deepEqual(
      changed.map(({ id }) => id),
      ['a', 'b', 'd'],
    );
  });
});
