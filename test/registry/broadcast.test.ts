import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeText } from '../../src/frame/encode.ts';
import type { NodeUpdated, RosterEvent } from '../../src/protocol/registry.ts';
import { Broadcast, type Receiver, type Subscriber, type Subscription } from '../../src/registry/broadcast.ts';
import { readFrames } from '../support/raw-frame.ts';

const event = (id: string): RosterEvent => ({ event: 'node_removed', id });
const update = (id: string, fields: Partial<NodeUpdated> = {}): NodeUpdated => ({
  event: 'node_updated',
  id,
  ...fields,
});
const idOf = (message: string): string => JSON.parse(message).id ?? 'init';

/** A connection that takes what it is given until it is told to be blocked. */
class Reader implements Receiver, Subscriber {
  blocked = false;
  /** Be blocked after each write, as a connection with a full kernel buffer is. */
  slow = false;
  readonly writes: Buffer[] = [];
  lagged = 0;

  write(bytes: Buffer): void {
    this.writes.push(bytes);
    if (this.slow) this.blocked = true;
  }

  onLagging(): void {
    this.lagged++;
  }

  /** The messages in the order they came. */
  get messages(): string[] {
    return readFrames(Buffer.concat(this.writes)).map(({ payload }) => payload.toString());
  }

  /** The same, as ids and 'init'. */
  get ids(): string[] {
    return this.messages.map(idOf);
  }

  /** As Connection does it. */
  drain(broadcast: Broadcast, subscription: Subscription): void {
    this.blocked = false;
    broadcast.drained(subscription);
  }
}

describe('Broadcast', () => {
  let broadcast: Broadcast;
  let scheduled: (() => void)[];
  let initNodes: unknown[];
  let initsEncoded: number;

  function initFrame(): Buffer {
    initsEncoded++;
    return encodeText('server', JSON.stringify({ event: 'init', nodes: initNodes }));
  }

  function endTick(): void {
    for (const flush of scheduled.splice(0)) flush();
  }

  beforeEach(() => {
    scheduled = [];
    initNodes = [];
    initsEncoded = 0;
    broadcast = new Broadcast({
      budgetBytes: 200,
      initBytes: () => JSON.stringify({ event: 'init', nodes: initNodes }).length,
      initFrame,
      schedule: (flush) => scheduled.push(flush),
    });
  });

  it('sends the roster first, then each event of the tick in order, as messages of their own', () => {
    const reader = new Reader();
    broadcast.join(reader, reader);
    broadcast.publish([event('a'), event('b')]);
    broadcast.publish([event('c')]);
    assert.deepEqual(reader.ids, ['init'], 'nothing before the tick ends');
    endTick();
    assert.deepEqual(reader.ids, ['init', 'a', 'b', 'c']);
    assert.equal(reader.writes.length, 2, 'all events of the tick in one write');
    assert.deepEqual(JSON.parse(reader.messages[1] as string), { event: 'node_removed', id: 'a' });
  });

  it('keeps what waits in one Buffer for all, with no more memory than its bytes', () => {
    const readers = Array.from({ length: 2 }, () => new Reader());
    const subscriptions = readers.map((reader) => broadcast.join(reader, reader));
    for (const reader of readers) reader.blocked = true;
    broadcast.publish([event('a')]);
    endTick();
    const [first, second] = subscriptions.map(({ backlog }) => backlog[0]);
    assert.equal(first, second);
    assert.equal(first?.buffer.byteLength, first?.length);
  });

  it('encodes once: every reader is given the very same Buffer', () => {
    const readers = Array.from({ length: 3 }, () => new Reader());
    for (const reader of readers) broadcast.join(reader, reader);
    broadcast.publish([event('a')]);
    endTick();
    broadcast.publish([event('b'), event('c')]);
    endTick();
    for (const write of [1, 2]) {
      const [first, ...others] = readers.map((reader) => reader.writes[write]);
      for (const other of others) assert.equal(other, first);
    }
  });

  it('asks for one flush a tick, and none for nothing', () => {
    broadcast.publish([]);
    assert.equal(scheduled.length, 0);
    broadcast.publish([event('a')]);
    broadcast.publish([event('b')]);
    assert.equal(scheduled.length, 1);
    endTick();
    broadcast.publish([event('c')]);
    assert.equal(scheduled.length, 1);
  });

  it('flushes what is pending before one joins: it is in the newcomer’s init already', () => {
    const [early, late] = [new Reader(), new Reader()];
    broadcast.join(early, early);
    broadcast.publish([event('a')]);
    broadcast.join(late, late);
    assert.deepEqual(early.ids, ['init', 'a']);
    broadcast.publish([event('b')]);
    endTick();
    endTick();
    assert.deepEqual(early.ids, ['init', 'a', 'b']);
    assert.deepEqual(late.ids, ['init', 'b']);
  });

  it('sends nothing to one that left, not even what is pending', () => {
    const reader = new Reader();
    const subscription = broadcast.join(reader, reader);
    assert.equal(broadcast.size, 1);
    broadcast.publish([event('a')]);
    broadcast.leave(subscription);
    endTick();
    broadcast.drained(subscription);
    assert.equal(broadcast.size, 0);
    assert.deepEqual(reader.ids, ['init']);
  });

  it('sends the init in one piece also to a connection that is blocked: nothing may come before it', () => {
    const reader = new Reader();
    reader.blocked = true;
    broadcast.join(reader, reader);
    assert.deepEqual(reader.ids, ['init']);
  });

  describe('updates', () => {
    let plain: Reader;
    let eager: Reader;
    let subscription: Subscription;

    beforeEach(() => {
      plain = new Reader();
      eager = new Reader();
      broadcast.join(plain, plain);
      subscription = broadcast.join(eager, eager);
      broadcast.sendUpdates(subscription);
    });

    it('reach only subscribers that asked for them, in order with the events', () => {
      broadcast.publish([event('a')]);
      broadcast.publishUpdate(update('b', { name: 'n' }));
      broadcast.publish([event('c')]);
      endTick();
      assert.deepEqual(plain.ids, ['init', 'a', 'c']);
      assert.deepEqual(eager.ids, ['init', 'a', 'b', 'c']);
      assert.deepEqual(JSON.parse(eager.messages[2] as string), { event: 'node_updated', id: 'b', name: 'n' });
      broadcast.publishUpdate(update('b'));
      endTick();
      assert.equal(plain.writes.length, 2, 'not even an empty write');
      assert.deepEqual(eager.ids, ['init', 'a', 'b', 'c', 'b']);
    });

    it('of one node within a tick leave as one, the last word first', () => {
      broadcast.publishUpdate(update('a', { name: 'one', cost: 1 }));
      broadcast.publishUpdate(update('b', { name: 'b' }));
      broadcast.publishUpdate(update('a', { name: 'two', state: null }));
      endTick();
      assert.deepEqual(
        eager.messages.slice(1).map((message) => JSON.parse(message)),
        [
          { event: 'node_updated', id: 'a', name: 'two', cost: 1, state: null },
          { event: 'node_updated', id: 'b', name: 'b' },
        ],
      );
      broadcast.publishUpdate(update('a', { cost: 3 }));
      endTick();
      assert.deepEqual(JSON.parse(eager.messages.at(-1) as string), { event: 'node_updated', id: 'a', cost: 3 });
    });

    it('are told before and after what else happens to their node', () => {
      const node = { id: 'a', machine: '', cwd: '', port: 1, status: 'active' } as const;
      broadcast.publishUpdate(update('a', { successor: 'b' }));
      broadcast.publish([event('a'), { event: 'node_joined', node }]);
      broadcast.publishUpdate(update('a', { name: 'new' }));
      broadcast.publishUpdate(update('a', { name: 'newer' }));
      endTick();
      assert.deepEqual(
        eager.messages.slice(1).map((message) => {
          const { event, successor, name } = JSON.parse(message);
          return [event, successor ?? name];
        }),
        [
          ['node_updated', 'b'],
          ['node_removed', undefined],
          ['node_joined', undefined],
          ['node_updated', 'newer'],
        ],
      );
    });

    it('are encoded once for all, the events alone too', () => {
      const others = [new Reader(), new Reader()] as const;
      broadcast.sendUpdates(broadcast.join(others[0], others[0]));
      broadcast.join(others[1], others[1]);
      broadcast.publish([event('a')]);
      broadcast.publishUpdate(update('b'));
      endTick();
      assert.equal(others[0].writes.at(-1), eager.writes.at(-1));
      assert.equal(others[1].writes.at(-1), plain.writes.at(-1));
      assert.notEqual(plain.writes.at(-1), eager.writes.at(-1));
      broadcast.publish([event('c')]);
      endTick();
      assert.equal(plain.writes.at(-1), eager.writes.at(-1));
    });

    it('that were missed before they were asked for are made up by a fresh init', () => {
      const late = new Reader();
      const lateSubscription = broadcast.join(late, late);
      broadcast.publishUpdate(update('a'));
      broadcast.publish([event('b')]);
      initNodes = ['fresh'];
      broadcast.sendUpdates(lateSubscription);
      assert.deepEqual(late.ids, ['init', 'b', 'init']);
      assert.deepEqual(JSON.parse(late.messages[2] as string).nodes, ['fresh']);
      endTick();
      broadcast.sendUpdates(lateSubscription);
      assert.deepEqual(late.ids, ['init', 'b', 'init'], 'asking twice changes nothing');
      broadcast.publishUpdate(update('c'));
      endTick();
      assert.deepEqual(late.ids, ['init', 'b', 'init', 'c']);
    });

    it('count against the budget of those that asked, and are in the fresh init of one that lags', () => {
      plain.blocked = true;
      eager.blocked = true;
      for (let i = 0; i < 10; i++) {
        broadcast.publishUpdate(update('a', { cost: i }));
        endTick();
      }
      assert.deepEqual([eager.lagged, plain.lagged], [1, 0]);
      eager.drain(broadcast, subscription);
      broadcast.publishUpdate(update('b'));
      endTick();
      assert.deepEqual(eager.ids, ['init', 'init', 'b']);
      assert.deepEqual(plain.ids, ['init']);
    });

    it('asked for by one that waits take the place of what waits, and by one that lags cost nothing', () => {
      const late = new Reader();
      const lateSubscription = broadcast.join(late, late);
      late.blocked = true;
      broadcast.publish([event('a')]);
      endTick();
      broadcast.publishUpdate(update('b'));
      broadcast.sendUpdates(lateSubscription);
      late.drain(broadcast, lateSubscription);
      assert.deepEqual(late.ids, ['init', 'init']);

      const lagging = new Reader();
      const laggingSubscription = broadcast.join(lagging, lagging);
      lagging.blocked = true;
      for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
        broadcast.publish([event(id)]);
        endTick();
      }
      broadcast.publishUpdate(update('b'));
      broadcast.sendUpdates(laggingSubscription);
      assert.deepEqual(lagging.ids, ['init']);
      lagging.drain(broadcast, laggingSubscription);
      assert.deepEqual(lagging.ids, ['init', 'init']);
    });
  });

  describe('a reader that is blocked', () => {
    let reader: Reader;
    let subscription: Subscription;

    beforeEach(() => {
      reader = new Reader();
      subscription = broadcast.join(reader, reader);
      reader.blocked = true;
    });

    function publish(...ids: string[]): void {
      for (const id of ids) {
        broadcast.publish([event(id)]);
        endTick();
      }
    }

    it('gets its backlog in order once it drains, before what comes later', () => {
      publish('a', 'b');
      assert.deepEqual(reader.ids, ['init']);
      reader.drain(broadcast, subscription);
      publish('c');
      assert.deepEqual(reader.ids, ['init', 'a', 'b', 'c']);
      assert.equal(subscription.backlogBytes, 0);
      assert.deepEqual(subscription.backlog, []);
    });

    it('holds up no other subscriber', () => {
      const other = new Reader();
      broadcast.join(other, other);
      publish('a');
      assert.deepEqual(other.ids, ['init', 'a']);
    });

    it('that is blocked again by what it catches up with waits again', () => {
      reader.slow = true;
      publish('a', 'b');
      reader.drain(broadcast, subscription);
      publish('c');
      assert.deepEqual(reader.ids, ['init', 'a', 'b']);
      reader.drain(broadcast, subscription);
      assert.deepEqual(reader.ids, ['init', 'a', 'b', 'c']);
    });

    it('may lag by its budget, to the byte', () => {
      const frameBytes = encodeText('server', JSON.stringify(event('a'))).length;
      publish(...Array.from({ length: Math.floor(200 / frameBytes) - 1 }, () => 'a'));
      const room = 200 - subscription.backlogBytes - frameBytes;
      publish('a'.repeat(1 + room));
      assert.equal(subscription.backlogBytes, 200);
      assert.equal(subscription.lagging, false);
      publish('a');
      assert.equal(subscription.lagging, true);
    });

    it('past its budget loses its backlog, and gets one fresh init once it drains', () => {
      publish('a', 'b', 'c', 'd', 'e', 'f');
      assert.deepEqual(
        [reader.lagged, broadcast.resyncs, subscription.backlogBytes, subscription.backlog.length],
        [1, 1, 0, 0],
      );
      publish('g', 'h', 'i', 'j', 'k', 'l', 'm');
      assert.deepEqual([reader.lagged, broadcast.resyncs], [1, 1], 'one resync at a time');
      initNodes = ['fresh'];
      reader.drain(broadcast, subscription);
      publish('n');
      assert.deepEqual(reader.ids, ['init', 'init', 'n']);
      assert.deepEqual(JSON.parse(reader.messages[1] as string).nodes, ['fresh']);
    });

    it('never gets an event that is in its fresh init, while the others get it in time', () => {
      const other = new Reader();
      broadcast.join(other, other);
      publish('a', 'b', 'c', 'd', 'e', 'f');
      broadcast.publish([event('g')]);
      reader.drain(broadcast, subscription);
      endTick();
      assert.deepEqual(reader.ids, ['init', 'init']);
      assert.deepEqual(other.ids, ['init', 'a', 'b', 'c', 'd', 'e', 'f', 'g']);
    });

    it('may lag again', () => {
      for (const round of [1, 2]) {
        publish('a', 'b', 'c', 'd', 'e', 'f');
        assert.deepEqual([reader.lagged, broadcast.resyncs], [round, round]);
        reader.drain(broadcast, subscription);
        reader.blocked = true;
      }
      assert.deepEqual(reader.ids, ['init', 'init', 'init']);
    });

    it('may lag by an init at least, and costs no encoding of one until it drains', () => {
      initNodes = ['x'.repeat(500)];
      initsEncoded = 0;
      publish('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j');
      assert.ok(subscription.backlogBytes > 200);
      assert.equal(subscription.lagging, false);
      publish('x'.repeat(200));
      assert.equal(subscription.lagging, true);
      assert.equal(initsEncoded, 0);
      reader.drain(broadcast, subscription);
      assert.equal(initsEncoded, 1);
    });
  });

  describe('catching up', () => {
    const KIB = 1024;

    function catchUp(sizes: number[]): number[] {
      const generous = new Broadcast({
        budgetBytes: 100 * 1024 * KIB,
        initBytes: () => 0,
        initFrame,
        schedule: (flush) => scheduled.push(flush),
      });
      const reader = new Reader();
      const subscription = generous.join(reader, reader);
      reader.blocked = true;
      const overhead = encodeText('server', JSON.stringify(event('x'.repeat(70 * KIB)))).length - 70 * KIB;
      for (const size of sizes) {
        generous.publish([event('x'.repeat(size - overhead))]);
        endTick();
      }
      reader.slow = true;
      const written: number[] = [];
      while (subscription.backlog.length > 0) {
        const before = reader.writes.length;
        reader.drain(generous, subscription);
        written.push(...reader.writes.slice(before).map((bytes) => bytes.length));
      }
      assert.equal(subscription.backlogBytes, 0);
      assert.equal(reader.messages.length, 1 + sizes.length);
      return written;
    }

    it('joins what waits into writes of up to 256 KiB, to the byte', () => {
      assert.deepEqual(catchUp([128 * KIB, 128 * KIB, 128 * KIB]), [256 * KIB, 128 * KIB]);
      assert.deepEqual(catchUp([128 * KIB, 128 * KIB + 1]), [128 * KIB, 128 * KIB + 1]);
      assert.deepEqual(
        catchUp(Array.from({ length: 8 }, () => 100 * KIB)),
        [200, 200, 200, 200].map((n) => n * KIB),
      );
    });

    it('cuts no frame in two, for other frames of that connection go between two writes', () => {
      assert.deepEqual(catchUp([70 * KIB, 300 * KIB, 70 * KIB]), [70 * KIB, 300 * KIB, 70 * KIB]);
    });
  });

  it('brings every reader to the same state, whichever is blocked at any time, and each message is whole', () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant('publish' as const), size: fc.integer({ min: 1, max: 80 }) }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('tick' as const) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('block' as const), reader: fc.nat(2) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('drain' as const), reader: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('join' as const) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        // The roster is a count: event n says that it has become n.
        let count = 0;
        const ticks: (() => void)[] = [];
        const wild = new Broadcast({
          budgetBytes: 300,
          initBytes: () => 100,
          initFrame: () => encodeText('server', JSON.stringify({ event: 'init', nodes: [count] })),
          schedule: (flush) => ticks.push(flush),
        });
        const readers: [Reader, Subscription][] = [];
        const join = () => {
          const reader = new Reader();
          readers.push([reader, wild.join(reader, reader)]);
        };
        for (let i = 0; i < 3; i++) join();
        for (const next of steps) {
          switch (next.do) {
            case 'publish':
              count++;
              wild.publish([event(`${count}:${'x'.repeat(next.size)}`)]);
              break;
            case 'tick':
              for (const flush of ticks.splice(0)) flush();
              break;
            case 'block':
              (readers[next.reader] as [Reader, Subscription])[0].blocked = true;
              break;
            case 'drain': {
              const [reader, subscription] = readers[next.reader] as [Reader, Subscription];
              reader.drain(wild, subscription);
              break;
            }
            case 'join':
              join();
          }
        }
        for (const flush of ticks.splice(0)) flush();
        for (const [reader, subscription] of readers) {
          if (reader.blocked) reader.drain(wild, subscription);
          let seen = -1;
          for (const message of reader.messages) {
            const push = JSON.parse(message);
            if (push.event === 'init') {
              assert.ok(push.nodes[0] >= seen, 'an init is never older than what came before');
              seen = push.nodes[0];
            } else {
              assert.equal(Number(push.id.split(':')[0]), seen + 1, 'each event exactly once, in order');
              seen++;
            }
          }
          assert.equal(seen, count);
        }
        assert.equal(
          wild.resyncs,
          readers.reduce((sum, [reader]) => sum + reader.lagged, 0),
        );
      }),
      { numRuns: 300 },
    );
  });
});
