import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Share, type ShareMoment, type SharePosition } from '../../src/join/share.ts';
import type { SharedMachine, SharedNode, ShareParams } from '../../src/protocol/hub.ts';
import type { Node } from '../../src/protocol/registry.ts';

const OWN = 'a'.repeat(32);
const UPPER = 'b'.repeat(32);
const OTHER = 'c'.repeat(32);
const BELOW = 'd'.repeat(32);

/** A roster that tells whoever listens which ids have changed. */
class TestRoster {
  readonly nodes = new Map<string, { node: Node; path: string[] }>();
  listener: (id: string) => void = () => {};

  ids(): Iterable<string> {
    return this.nodes.keys();
  }

  get(id: string): Node | null {
    return this.nodes.get(id)?.node ?? null;
  }

  pathOf(id: string): readonly string[] {
    return this.nodes.get(id)?.path ?? [];
  }

  put(id: string, name: string, path: string[] = []): void {
    this.nodes.set(id, { node: nodeOf(id, name), path });
    this.listener(id);
  }

  remove(id: string): void {
    if (this.nodes.delete(id)) this.listener(id);
  }

  /** What a hub above is to show. */
  shared(upperId: string): Map<string, SharedNode> {
    const shared = new Map<string, SharedNode>();
    for (const [id, { node, path }] of this.nodes) {
      if (!path.includes(upperId)) shared.set(id, { ...node, path: [...path, OWN] });
    }
    return shared;
  }
}

function nodeOf(id: string, name: string): Node {
  return { id, machine: 'm', cwd: '/', port: 1, status: 'active', name };
}

/** A hub above, as docs/protocol.md has it. */
class Upper {
  held: SharePosition | null = null;
  nodes = new Map<string, SharedNode>();
  machines: SharedMachine[] = [];
  outOfStep = 0;
  largestBytes = 0;
  #parts: SharedNode[] | null = null;

  join(): SharePosition | null {
    this.#parts = null;
    return this.held;
  }

  /** @returns false if it is out of step */
  take(json: string): boolean {
    this.largestBytes = Math.max(this.largestBytes, Buffer.byteLength(json));
    const { epoch, seq, all, more, put = [], gone = [], machines }: ShareParams = JSON.parse(json);
    if (machines !== undefined) this.machines = machines;
    if (all) {
      this.#parts = [...(this.#parts ?? []), ...put];
      if (more) return true;
      this.nodes = new Map(this.#parts.map((node) => [node.id, node]));
      this.#parts = null;
      this.held = { epoch, seq };
      return true;
    }
    if (this.#parts !== null || this.held === null || this.held.epoch !== epoch || seq !== this.held.seq + 1) {
      this.outOfStep++;
      return false;
    }
    for (const node of put) this.nodes.set(node.id, node);
    for (const id of gone) this.nodes.delete(id);
    this.held = { epoch, seq };
    return true;
  }
}

let clock = 0;
function now(): ShareMoment {
  clock += 60_000;
  return { unixSeconds: 1000, steadyMs: clock };
}

function shareOf(roster: TestRoster | null, epoch: string, maxBytes?: number, machines: SharedMachine[] = []): Share {
  const options = { epoch, ownId: OWN, roster, machines: () => machines };
  const share = new Share(maxBytes === undefined ? options : { ...options, maxBytes });
  if (roster !== null) roster.listener = (id) => share.note(id);
  return share;
}

function messagesOf(share: Share): ShareParams[] {
  const messages: ShareParams[] = [];
  for (let json = share.next(now()); json !== null; json = share.next(now())) messages.push(JSON.parse(json));
  return messages;
}

function machineOf(id: string, path: string[], load = 0): SharedMachine {
  return { id, name: id.slice(0, 1), version: '1', since: 1, nodes: 0, features: [], load, path };
}

describe('Share', () => {
  it('says nothing before the link is up', () => {
    const roster = new TestRoster();
    const share = shareOf(roster, 'e');
    roster.put('x', '1');
    assert.equal(share.next(now()), null);
  });

  it('tells the roster whole, then whole nodes that changed, one message for many changes', () => {
    const roster = new TestRoster();
    const share = shareOf(roster, 'e');
    roster.put('x', '1');
    roster.put('y', '1', [BELOW]);
    share.begin(UPPER, null);
    const path = [OWN];
    assert.deepEqual(messagesOf(share), [
      {
        epoch: 'e',
        seq: 1,
        now: 1000,
        all: true,
        machines: [],
        put: [
          { ...nodeOf('x', '1'), path },
          { ...nodeOf('y', '1'), path: [BELOW, OWN] },
        ],
      },
    ]);
    roster.put('x', '2');
    roster.put('x', '3');
    roster.remove('y');
    roster.put('z', '1');
    roster.remove('z');
    assert.deepEqual(messagesOf(share), [
      { epoch: 'e', seq: 2, now: 1000, put: [{ ...nodeOf('x', '3'), path }], gone: ['y'] },
    ]);
    assert.deepEqual(messagesOf(share), []);
  });

  it('an empty roster is a snapshot too, so that the upper hub forgets what it had', () => {
    const share = shareOf(new TestRoster(), 'e');
    share.begin(UPPER, { epoch: 'of another run', seq: 7 });
    assert.deepEqual(messagesOf(share), [{ epoch: 'e', seq: 1, now: 1000, all: true, machines: [] }]);
  });

  it('shares no node that came through the upper hub, or through too many', () => {
    const roster = new TestRoster();
    roster.put('its own', '1', [UPPER]);
    roster.put('round about', '1', [BELOW, UPPER, OTHER]);
    roster.put(
      'far',
      '1',
      [...'12345678'].map((digit) => digit.repeat(32)),
    );
    roster.put(
      'near',
      '1',
      [...'1234567'].map((digit) => digit.repeat(32)),
    );
    const share = shareOf(roster, 'e');
    share.begin(UPPER, null);
    const [snapshot] = messagesOf(share);
    assert.deepEqual(
      snapshot?.put?.map(({ id }) => id),
      ['near'],
    );
    roster.put('its own', '2', [UPPER]);
    assert.deepEqual(messagesOf(share), []);
    assert.deepEqual(
      ['its own', 'near', 'nobody'].map((id) => share.shares(id)),
      [false, true, false],
    );
  });

  it('without the roster it tells the machines alone', () => {
    const share = shareOf(null, 'e', undefined, [machineOf(OWN, [OWN])]);
    share.begin(UPPER, null);
    share.note('x');
    assert.deepEqual(messagesOf(share), [
      { epoch: 'e', seq: 1, now: 1000, all: true, machines: [machineOf(OWN, [OWN])] },
    ]);
    assert.equal(share.shares('x'), false);
  });

  it('machines are told at once if one comes, goes or changes, and after 10 s if their numbers do', () => {
    const machines = [machineOf(OWN, [OWN]), machineOf(UPPER, [UPPER, OWN])];
    const share = shareOf(null, 'e', undefined, machines);
    share.begin(UPPER, null);
    const at = (steadyMs: number) => share.next({ unixSeconds: 1, steadyMs });
    const idsOf = (json: string | null) => {
      const { machines = undefined }: Partial<ShareParams> = JSON.parse(json ?? '{}');
      return machines?.map(({ id, load }) => `${id[0]}${load}`) ?? null;
    };
    assert.deepEqual(idsOf(at(0)), ['a0'], 'the upper hub needs not be told of itself');
    assert.equal(at(1), null);
    machines.push(machineOf(BELOW, [BELOW, OWN]));
    assert.deepEqual(idsOf(at(2)), ['a0', 'd0']);
    machines[0] = machineOf(OWN, [OWN], 3);
    assert.equal(at(10_001), null);
    assert.deepEqual(idsOf(at(10_002)), ['a3', 'd0']);
    assert.equal(at(30_000), null);
    machines[2] = { ...machineOf(BELOW, [BELOW, OWN]), lost: true };
    assert.deepEqual(idsOf(at(30_001)), ['a3', 'd0'], 'one is lost');
    machines.pop();
    assert.deepEqual(idsOf(at(30_002)), ['a3']);
  });

  it('goes on after the last message of the upper hub, and begins anew if that is not known', () => {
    const roster = new TestRoster();
    const share = shareOf(roster, 'e');
    share.begin(UPPER, null);
    messagesOf(share);
    for (const name of ['2', '3', '4']) {
      roster.put(`x${name}`, name);
      messagesOf(share);
    }
    const idsAfter = (held: SharePosition | null, upperId = UPPER) => {
      share.begin(upperId, held);
      return messagesOf(share).map(({ seq, all, put }) => [seq, all === true, put?.map(({ id }) => id)]);
    };
    const everything = ['x2', 'x3', 'x4'];
    assert.deepEqual(idsAfter({ epoch: 'e', seq: 2 }), [[3, false, ['x3', 'x4']]]);
    assert.deepEqual(idsAfter({ epoch: 'e', seq: 4 }), [[4, true, everything]], 'it cannot have what was never said');
    assert.deepEqual(idsAfter({ epoch: 'f', seq: 4 }), [[5, true, everything]]);
    assert.deepEqual(idsAfter(null), [[6, true, everything]]);
    assert.deepEqual(idsAfter({ epoch: 'e', seq: 5 }), [[7, true, everything]], 'before the snapshot');
    assert.deepEqual(idsAfter({ epoch: 'e', seq: 7 }), [[8, false, undefined]], 'machines may have been lost');
    assert.deepEqual(idsAfter({ epoch: 'e', seq: 8 }, OTHER), [[9, true, everything]], 'another hub is there');
  });

  it('a snapshot comes in parts within the bound, and changes meanwhile come behind it', () => {
    const roster = new TestRoster();
    for (let i = 0; i < 100; i++) roster.put(`x${i}`, 'n'.repeat(100));
    const share = shareOf(roster, 'e', 4096);
    share.begin(UPPER, null);
    const upper = new Upper();
    const first = share.next(now()) as string;
    assert.equal(JSON.parse(first).more, true);
    upper.take(first);
    assert.equal(upper.nodes.size, 0, 'only the last part counts');
    roster.remove('x0');
    roster.remove('x99');
    roster.put('x1', 'changed');
    roster.put('new', 'new');
    for (let json = share.next(now()); json !== null; json = share.next(now())) assert.ok(upper.take(json), json);
    assert.deepEqual(upper.nodes, roster.shared(UPPER));
    assert.ok(upper.largestBytes <= 4096, `${upper.largestBytes} bytes`);
  });

  it('if more nodes left while the link was down than are remembered, a snapshot is sent', () => {
    const roster = new TestRoster();
    for (let i = 0; i < 12_000; i++) roster.put(`x${i}`, '1');
    const share = shareOf(roster, 'e');
    const upper = new Upper();
    const deliver = () => {
      for (let json = share.next(now()); json !== null; json = share.next(now())) assert.ok(upper.take(json), json);
    };
    share.begin(UPPER, upper.join());
    deliver();
    for (let i = 0; i < 11_000; i++) roster.remove(`x${i}`);
    // These are lost.
    messagesOf(share);
    share.begin(UPPER, upper.join());
    deliver();
    assert.deepEqual(upper.nodes, roster.shared(UPPER));
  });

  it('remembers no nodes that come and go while the link is away or slow', () => {
    const roster = new TestRoster();
    const share = shareOf(roster, 'e');
    const churn = (prefix: string) => {
      for (let i = 0; i < 100_000; i++) {
        roster.put(`${prefix}${i}`, '1');
        roster.remove(`${prefix}${i}`);
      }
    };
    churn('a');
    assert.equal(share.waiting, 0);
    roster.put('x', '1');
    roster.put('y', '1');
    share.begin(UPPER, null);
    messagesOf(share);
    roster.put('x', '2');
    roster.remove('y');
    churn('b');
    assert.ok(share.waiting <= 10_002, `${share.waiting} wait`);
    const [{ put = [], gone = [] }, ...more] = messagesOf(share) as [ShareParams];
    assert.deepEqual([put.map(({ id, name }) => [id, name]), gone, more], [[['x', '2']], ['y'], []]);
  });

  it('whatever is lost, cut or restarted, the upper hub ends with the roster', () => {
    type Step =
      | { do: 'put'; id: number; name: string; path: string[] }
      | { do: 'remove'; id: number }
      | { do: 'send' }
      | { do: 'deliver'; count: number }
      | { do: 'cut'; returnsTo: string }
      | { do: 'lower restarts' | 'upper restarts' | 'out of step' | 'hear' };
    const id = fc.nat(12);
    const step: fc.Arbitrary<Step> = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constant('put' as const),
          id,
          name: fc.string({ maxLength: 60 }),
          path: fc.constantFrom<string[]>([], [BELOW], [UPPER], [BELOW, OTHER]),
        }),
      },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('remove' as const), id }) },
      { weight: 5, arbitrary: fc.record({ do: fc.constant('send' as const) }) },
      {
        weight: 5,
        arbitrary: fc.record({ do: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 4 }) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant('cut' as const),
          returnsTo: fc.constantFrom(UPPER, UPPER, UPPER, OTHER),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          do: fc.constantFrom(
            'lower restarts' as const,
            'upper restarts' as const,
            'out of step' as const,
            'hear' as const,
          ),
        }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 700, max: 3000 }), (steps, maxBytes) => {
        const roster = new TestRoster();
        let epoch = 0;
        let share = shareOf(roster, 'e0', maxBytes);
        const uppers = new Map([
          [UPPER, new Upper()],
          [OTHER, new Upper()],
        ]);
        let upperId = UPPER;
        const upper = () => uppers.get(upperId) as Upper;
        let onTheWay: string[] = [];
        /** Refusals that are on their way back. */
        let refused: number[] = [];
        const join = () => {
          onTheWay = [];
          refused = [];
          share.begin(upperId, upper().join());
        };
        const deliver = (count: number) => {
          for (const json of onTheWay.splice(0, count)) {
            if (!upper().take(json)) refused.push(JSON.parse(json).seq);
          }
        };
        join();
        for (const it of steps) {
          switch (it.do) {
            case 'put':
              roster.put(`x${it.id}`, it.name, it.path);
              break;
            case 'remove':
              roster.remove(`x${it.id}`);
              break;
            case 'send': {
              const json = share.next(now());
              if (json !== null) onTheWay.push(json);
              break;
            }
            case 'deliver':
              deliver(it.count);
              break;
            case 'cut':
              upperId = it.returnsTo;
              join();
              break;
            case 'lower restarts':
              share = shareOf(roster, `e${++epoch}`, maxBytes);
              join();
              break;
            case 'upper restarts':
              uppers.set(upperId, new Upper());
              join();
              break;
            case 'out of step':
              // One message gets lost, though the link is up.
              onTheWay.shift();
              break;
            case 'hear':
              for (const seq of refused.splice(0)) share.outOfStep(seq);
          }
        }
        // So that a message that was lost is missed.
        roster.put('the last', '');
        for (let i = 0; i < 1000; i++) {
          const json = share.next(now());
          if (json !== null) onTheWay.push(json);
          else if (onTheWay.length + refused.length === 0) break;
          deliver(1);
          for (const seq of refused.splice(0)) share.outOfStep(seq);
        }
        assert.deepEqual(upper().nodes, roster.shared(upperId));
        assert.equal(share.size, roster.shared(upperId).size);
      }),
      { numRuns: 1000 },
    );
  });
});
