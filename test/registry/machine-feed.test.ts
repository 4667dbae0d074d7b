import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Machine, MachineEvent } from '../../src/protocol/hub.ts';
import { MachineFeed } from '../../src/registry/machine-feed.ts';

const machine = (id: string, nodes = 0): Machine => {
  return { id, name: id, version: '1', since: 1, nodes, features: [], status: 'connected' };
};
const joined = (id: string, nodes = 0): MachineEvent => ({ event: 'machine_joined', machine: machine(id, nodes) });
const updated = (id: string, nodes = 0): MachineEvent => ({ event: 'machine_updated', machine: machine(id, nodes) });
const left = (id: string): MachineEvent => ({ event: 'machine_left', id });

function told(...events: MachineEvent[]): MachineEvent[] {
  const feed = new MachineFeed();
  for (const event of events) feed.keep(event);
  const taken = feed.take();
  assert.ok(feed.isEmpty);
  return taken;
}

describe('MachineFeed', () => {
  it('keeps of each machine what counts in the end', () => {
    assert.deepEqual(told(), []);
    assert.deepEqual(told(joined('a'), updated('b'), left('c')), [joined('a'), updated('b'), left('c')]);
    assert.deepEqual(told(joined('a', 1), updated('a', 2), updated('a', 3)), [joined('a', 3)]);
    assert.deepEqual(told(updated('a', 1), updated('a', 2)), [updated('a', 2)]);
    assert.deepEqual(told(updated('a'), left('a')), [left('a')]);
    assert.deepEqual(told(left('a'), joined('a', 4)), [updated('a', 4)], 'whoever knows it knows it still');
    assert.deepEqual(told(joined('a'), left('a')), []);
    assert.deepEqual(told(joined('a'), left('a'), joined('a', 5)), [joined('a', 5)]);
  });

  it('does not grow, whatever comes and goes', () => {
    const feed = new MachineFeed();
    for (let i = 0; i < 1000; i++) {
      feed.keep(joined(`m${i}`));
      feed.keep(left(`m${i}`));
      feed.keep(updated('a', i));
    }
    assert.deepEqual(feed.take(), [updated('a', 999)]);
  });
});
