import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Node, type NodeUpdated, Reach, type RosterEvent } from '../../src/protocol/registry.ts';
import type { Receiver, Subscriber } from '../../src/registry/broadcast.ts';
import { readDetails } from '../../src/registry/node-details.ts';
import { Roster } from '../../src/registry/roster.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { readFrames } from '../support/raw-frame.ts';
import { info, sleep, until } from './harness.ts';

const HERE = '127.0.0.1';

function setUp(nodeTtlMs: number) {
  const events: (RosterEvent | NodeUpdated)[] = [];
  const deadlines = new Deadlines();
  const onEvent = (event: RosterEvent | NodeUpdated) => void events.push(event);
  const judge = (_machine: string, address: string) => ({ address, isHere: false, namesHere: false });
  const roster = new Roster({
    nodeTtlMs,
    maxNodes: 2,
    maxRosterBytes: 1e6,
    backlogBudgetBytes: 1024,
    deadlines,
    judge,
    onEvent,
  });
  return { roster, events, deadlines };
}

class Reader implements Receiver, Subscriber {
  readonly blocked = false;
  readonly writes: Buffer[] = [];
  write(bytes: Buffer): void {
    this.writes.push(bytes);
  }
  onLagging(): void {}

  get messages(): Record<string, unknown>[] {
    return readFrames(Buffer.concat(this.writes)).map(({ payload }) => JSON.parse(payload.toString()));
  }
}

describe('Roster', () => {
  it('tells its owner and its subscribers every change, in order', async () => {
    const { roster, events } = setUp(0);
    const reader = new Reader();
    roster.subscribe(reader, reader);
    const agent = {};
    roster.register(agent, info('a'), HERE);
    roster.register(agent, info('b'), HERE);
    assert.equal(roster.deregister({}, 'nobody'), 'not_found');
    assert.equal(roster.deregister(agent, 'b'), 'deregistered');
    assert.throws(() => roster.deregister(agent, 'a'), { name: 'RpcError' });
    await new Promise(setImmediate);
    assert.deepEqual(
      events.map(({ event }) => event),
      ['node_joined', 'node_removed', 'node_joined', 'node_removed'],
    );
    assert.deepEqual(reader.messages.slice(1), events);
  });

  it('tells its owner of updates too, and which nodes there are', () => {
    const { roster, events } = setUp(0);
    const [agent, other] = [{}, {}];
    roster.register(agent, info('b'), HERE);
    roster.register(other, info('a', { port: 1 }), HERE);
    roster.update(agent, readDetails({ name: 'n' }));
    roster.update(agent, readDetails({ name: 'n' }));
    roster.noteReach('a', Reach.UNPROVEN);
    assert.deepEqual([...roster.ids()], ['b', 'a']);
    assert.deepEqual(
      events.map((event) => [event.event, event.event === 'node_joined' ? event.node.id : event.id]),
      [
        ['node_joined', 'b'],
        ['node_joined', 'a'],
        ['node_updated', 'b'],
        ['node_updated', 'a'],
      ],
    );
  });

  it('tells updates to those that asked, and puts them into the next init', async () => {
    const { roster, events } = setUp(0);
    const [plain, eager, late] = [new Reader(), new Reader(), new Reader()];
    roster.subscribe(plain, plain);
    roster.sendUpdates(roster.subscribe(eager, eager));
    const agent = {};
    roster.register(agent, info('a'), HERE);
    await new Promise(setImmediate);
    roster.update(agent, readDetails({ state: 'working', tool: 'bash' }));
    roster.update(agent, readDetails({ tool: null }));
    roster.update(agent, readDetails({ tool: null }));
    assert.throws(() => roster.update({}, readDetails({ name: 'n' })), { name: 'RpcError' });
    await new Promise(setImmediate);
    const { state_since } = roster.get('a') as Node;
    assert.ok(Math.abs((state_since as number) - Date.now() / 1000) < 60);
    assert.deepEqual(eager.messages.slice(2), [
      { event: 'node_updated', id: 'a', state: 'working', state_since, tool: null, tool_since: null },
    ]);
    assert.equal(plain.messages.length, 2);
    assert.equal(events.length, 3, 'each is told to its owner');
    roster.subscribe(late, late);
    assert.deepEqual(late.messages, [{ event: 'init', nodes: [roster.get('a')], protocol_version: '1' }]);
  });

  it('encodes an init once for all subscribers until the roster changes', () => {
    const { roster } = setUp(0);
    const readers = [new Reader(), new Reader(), new Reader()] as const;
    roster.subscribe(readers[0], readers[0]);
    roster.subscribe(readers[1], readers[1]);
    assert.equal(readers[0].writes[0], readers[1].writes[0]);
    roster.register({}, info('a'), HERE);
    roster.subscribe(readers[2], readers[2]);
    assert.deepEqual(readers[2].messages, [{ event: 'init', nodes: [roster.get('a')], protocol_version: '1' }]);
    assert.equal(roster.initBytes, readFrames(readers[2].writes[0] as Buffer)[0]?.payload.length);
  });

  it('has an empty init for connections that need no roster', () => {
    const { roster } = setUp(0);
    roster.register({}, info('a'), HERE);
    const [frame] = readFrames(roster.emptyInit);
    assert.equal(frame?.payload.toString(), '{"event":"init","nodes":[],"protocol_version":"1"}');
  });

  it('sends nothing to a subscriber that has left', async () => {
    const { roster } = setUp(0);
    const reader = new Reader();
    roster.unsubscribe(roster.subscribe(reader, reader));
    roster.register({}, info('a'), HERE);
    await new Promise(setImmediate);
    assert.equal(reader.messages.length, 1);
  });

  it('removes each offline node after the TTL, and waits for nothing while none is offline', async () => {
    const { roster, events, deadlines } = setUp(600);
    const [first, second] = [{}, {}];
    roster.register(first, info('a'), HERE);
    roster.register(second, info('b', { port: 1 }), HERE);
    assert.equal(deadlines.size, 0);
    const offlineAt = performance.now();
    roster.disconnect(first);
    await sleep(200);
    roster.disconnect(second);
    await until(() => roster.size === 0, 'both are removed');
    assert.ok(performance.now() - offlineAt >= 798, 'neither before its time');
    assert.deepEqual(events.slice(2), [
      { event: 'node_offline', id: 'a' },
      { event: 'node_offline', id: 'b' },
      { event: 'node_removed', id: 'a' },
      { event: 'node_removed', id: 'b' },
    ]);
    assert.equal(deadlines.size, 0);
  });

  it('keeps one that came back', async () => {
    const { roster } = setUp(50);
    const [first, second] = [{}, {}];
    roster.register(first, info('a'), HERE);
    roster.disconnect(first);
    roster.register(second, info('a'), HERE);
    await sleep(200);
    assert.equal(roster.get('a')?.status, 'active');
    assert.equal(roster.addressOf('a')?.port, 8080);
  });

  it('leaves no deadline behind once it is closed', () => {
    const { roster, deadlines } = setUp(60_000);
    const agent = {};
    roster.register(agent, info('a'), HERE);
    roster.disconnect(agent);
    assert.equal(deadlines.size, 1);
    roster.close();
    assert.equal(deadlines.size, 0);
  });
});
