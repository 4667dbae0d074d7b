import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Node } from '../../src/protocol/registry.ts';
import { readDetails } from '../../src/registry/node-details.ts';
import type { NodeInfo } from '../../src/registry/node-info.ts';
import { type Moment, type Registrant, Registry, type RosterChange } from '../../src/registry/registry.ts';
import { changesBetween, otherId, type RemoteNode, SharingHub } from '../../src/registry/shared.ts';

const LIMITS = { nodeTtlMs: 30_000, maxNodes: 100, maxRosterBytes: 1e6 };
const HERE: Registrant = { address: '127.0.0.1', isHere: true, namesHere: true };
const at = (steadyMs: number): Moment => ({ unixMs: 1_700_000_000_000 + steadyMs, steadyMs });
const info = (id: string, fields: Partial<NodeInfo> = {}): NodeInfo => {
  return { id, machine: 'desk', cwd: '/work', port: 8080, ...fields };
};
const remoteNode = (id: string, fields: Partial<Node> = {}, path: string[] = ['h1']): RemoteNode => {
  const node: Node = {
    id,
    machine: 'lap',
    cwd: '/lap',
    port: 1,
    status: 'active',
    last_seen: 5,
    hub: 'lap',
    ...fields,
  };
  return { node, path };
};
const ids = (registry: Registry): string[] => JSON.parse(registry.nodesJson).map(({ id }: Node) => id);

describe('nodes that another hub shares', () => {
  let registry: Registry;
  let hub: SharingHub;
  let other: SharingHub;
  beforeEach(() => {
    registry = new Registry(LIMITS);
    hub = new SharingHub('h1', 'lap');
    other = new SharingHub('h2', 'tab');
  });

  it('are in the roster with those that registered here', () => {
    registry.register({}, info('a'), HERE, at(0));
    const { changes, leftOut } = registry.share(hub, [remoteNode('b', { state: 'idle' })], []);
    const node = { ...remoteNode('b').node, state: 'idle' };
    assert.deepEqual(changes, [{ event: 'node_joined', node }]);
    assert.equal(leftOut, 0);
    assert.deepEqual(registry.get('b'), node);
    assert.deepEqual(ids(registry), ['a', 'b']);
    assert.deepEqual([registry.size, registry.localSize], [2, 1]);
    assert.equal(registry.initBytes, Buffer.byteLength(registry.initJson));
    assert.equal(registry.addressOf('a')?.remote, null);
    assert.deepEqual(registry.addressOf('b')?.remote, { hub, ...remoteNode('b', { state: 'idle' }) });
  });

  it('change as their hub says, and as plain clients understand', () => {
    registry.share(hub, [remoteNode('b')], []);
    const share = (fields: Partial<Node>) => registry.share(hub, [remoteNode('b', fields)], []).changes;
    assert.deepEqual(share({}), []);
    assert.deepEqual(share({ name: 'n', state: 'idle' }), [
      { event: 'node_updated', id: 'b', name: 'n', state: 'idle' },
    ]);
    assert.deepEqual(share({ state: 'failed' }), [{ event: 'node_updated', id: 'b', name: null, state: 'failed' }]);
    assert.deepEqual(share({ status: 'offline', offline_since: 9, last_seen: 9, successor: 'c' }), [
      { event: 'node_offline', id: 'b' },
      { event: 'node_updated', id: 'b', state: null, successor: 'c' },
    ]);
    assert.deepEqual(share({ status: 'offline', offline_since: 10, last_seen: 10, successor: 'c' }), [
      { event: 'node_updated', id: 'b', last_seen: 10, offline_since: 10 },
    ]);
    assert.deepEqual(share({ last_seen: 12 }), [
      { event: 'node_joined', node: remoteNode('b', { last_seen: 12 }).node },
    ]);
    assert.deepEqual(share({ last_seen: 12, port: 7 }), [{ event: 'node_joined', node: registry.get('b') }]);
    assert.deepEqual(registry.share(hub, [], ['b', 'b', 'nobody']).changes, [{ event: 'node_removed', id: 'b' }]);
    assert.equal(registry.initJson, new Registry(LIMITS).initJson);
    assert.equal(registry.initBytes, Buffer.byteLength(registry.initJson));
  });

  it('are replaced by a snapshot, of which only differences are told', () => {
    registry.share(hub, [remoteNode('a'), remoteNode('b'), remoteNode('c')], []);
    const { changes } = registry.share(hub, [remoteNode('d'), remoteNode('c'), remoteNode('b', { name: 'n' })], null);
    assert.deepEqual(changes, [
      { event: 'node_removed', id: 'a' },
      { event: 'node_joined', node: remoteNode('d').node },
      { event: 'node_updated', id: 'b', name: 'n' },
    ]);
    assert.deepEqual(ids(registry), ['b', 'c', 'd']);
    assert.deepEqual(registry.share(hub, [], null).changes.length, 3);
    assert.equal(registry.size, 0);
  });

  it('get another id if theirs is taken, and keep it', () => {
    registry.register({}, info('x'), HERE, at(0));
    registry.share(hub, [remoteNode('x'), remoteNode('y')], []);
    registry.share(other, [remoteNode('x'), remoteNode('y'), remoteNode('x@tab')], []);
    assert.deepEqual(ids(registry), ['x', 'x@lap', 'y', 'x@tab', 'y@tab', 'x@tab@tab']);
    registry.deregister({}, 'x');
    assert.deepEqual(registry.share(hub, [remoteNode('x', { name: 'n' })], []).changes, [
      { event: 'node_updated', id: 'x@lap', name: 'n' },
    ]);
    assert.deepEqual(registry.share(other, [], ['x@tab']).changes, [{ event: 'node_removed', id: 'x@tab@tab' }]);
    assert.deepEqual(registry.share(other, [], ['x']).changes, [{ event: 'node_removed', id: 'x@tab' }]);
    assert.deepEqual(ids(registry), ['x@lap', 'y', 'y@tab']);
    assert.equal(registry.addressOf('x@lap')?.remote?.node.id, 'x');
  });

  it('give way to one that registers here, and go on under another id', () => {
    registry.share(hub, [remoteNode('x', { name: 'theirs' })], []);
    const agent = {};
    const events = registry.register(agent, info('x'), HERE, at(0));
    assert.deepEqual(events, [
      { event: 'node_removed', id: 'x' },
      { event: 'node_joined', node: registry.get('x') },
      { event: 'node_joined', node: { ...remoteNode('x', { name: 'theirs' }).node, id: 'x@lap' } },
    ]);
    assert.equal(registry.get('x')?.machine, 'desk');
    // The displaced is still its hub's, and nothing of it is the local one's.
    registry.register({}, info('x@lap', { port: 9 }), HERE, at(0));
    assert.deepEqual(ids(registry), ['x', 'x@lap', 'x@lap-2']);
    assert.deepEqual(registry.share(hub, [], ['x']).changes, [{ event: 'node_removed', id: 'x@lap-2' }]);
    assert.deepEqual(registry.register(agent, info('x'), HERE, at(0)), [
      { event: 'node_joined', node: registry.get('x') },
    ]);
  });

  it('are changed by nobody but their hub', () => {
    const agent = {};
    registry.register(agent, info('x'), HERE, at(0));
    registry.deregister(agent, 'x');
    registry.share(hub, [remoteNode('x', { reach: 'direct', reach_since: 1 })], []);
    assert.throws(() => registry.update(agent, readDetails({ name: 'n' }), at(0)), { name: 'RpcError' });
    const refusal = (message: string) => ({ name: 'RpcError', message });
    assert.throws(() => registry.deregister(agent, 'x'), refusal('Unauthorized: cannot deregister another node'));
    assert.throws(
      () => registry.deregister({}, 'x'),
      refusal('Unauthorized: cannot deregister a node of another machine'),
    );
    assert.equal(registry.noteReach('x', 'unproven', null, at(0)), null);
    assert.deepEqual(registry.disconnect(agent, at(0)), []);
    assert.deepEqual(registry.share(other, [], null), { changes: [], leftOut: 0 });
    assert.deepEqual(registry.share(other, [], ['x']), { changes: [], leftOut: 0 });
    assert.deepEqual(registry.get('x'), remoteNode('x', { reach: 'direct', reach_since: 1 }).node);
    assert.deepEqual(registry.expire(at(1e9)), [], 'their own hub says when they expire');
  });

  it('are unproven while the link is lost, and as they were once it is back', () => {
    const nodes = [
      remoteNode('a', { reach: 'direct', reach_since: 1 }),
      remoteNode('b'),
      remoteNode('c', { reach: 'unproven', reach_since: 2 }),
    ];
    registry.share(hub, nodes, []);
    const before = registry.nodesJson;
    assert.deepEqual(registry.noteLink(hub, { since: 77, why: 'gone' }), [
      { event: 'node_updated', id: 'a', reach: 'unproven', reach_since: 77, reach_error: 'gone' },
      { event: 'node_updated', id: 'b', reach: 'unproven', reach_since: 77, reach_error: 'gone' },
    ]);
    assert.deepEqual(registry.noteLink(hub, { since: 78, why: 'gone' }), []);
    registry.register({}, info('a'), HERE, at(0));
    assert.deepEqual(
      [registry.get('a@lap')?.reach, registry.get('a@lap')?.reach_since, registry.get('b')?.reach],
      ['unproven', 77, 'unproven'],
    );
    registry.deregister({}, 'a');
    assert.deepEqual(registry.noteLink(hub, null), [
      { event: 'node_updated', id: 'b', reach: null, reach_since: null, reach_error: null },
      { event: 'node_updated', id: 'a@lap', reach: 'direct', reach_since: 1, reach_error: null },
    ]);
    assert.deepEqual(registry.noteLink(hub, null), []);
    registry.share(hub, [], ['a']);
    registry.share(hub, [], ['b', 'c']);
    registry.share(hub, nodes, null);
    assert.equal(registry.nodesJson, before);
  });

  describe('of more than there is room for', () => {
    const many = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, i) => remoteNode(`${prefix}${i}`));

    it('are left out: one hub fills half of the roster, all of them three quarters', () => {
      assert.equal(registry.share(hub, many('a', 60), []).leftOut, 10);
      assert.equal(registry.share(hub, [remoteNode('a1', { name: 'n' })], []).leftOut, 0, 'a change finds room');
      assert.equal(registry.share(other, many('b', 60), []).leftOut, 35);
      for (let i = 0; i < 25; i++) registry.register({}, info(`c${i}`, { port: 1 + i }), HERE, at(0));
      assert.throws(() => registry.register({}, info('d', { port: 99 }), HERE, at(0)), /^RpcError: The roster is full/);
      registry.share(hub, [], ['a0', 'a1']);
      assert.equal(registry.share(other, [remoteNode('c0'), remoteNode('e'), remoteNode('f')], []).leftOut, 1);
      assert.ok(ids(registry).includes('c0@tab'));
      assert.equal(registry.size, 100);
    });

    it('are left out by bytes too, and one that has grown too large is no longer there', () => {
      registry = new Registry({ ...LIMITS, maxRosterBytes: 4000 });
      assert.equal(registry.share(hub, [remoteNode('a', { name: 'x'.repeat(1700) })], []).leftOut, 0);
      assert.equal(registry.share(hub, [remoteNode('b', { name: 'x'.repeat(200) })], []).leftOut, 1);
      assert.equal(registry.share(other, [remoteNode('b', { name: 'x'.repeat(900) })], []).leftOut, 0);
      const { changes, leftOut } = registry.share(hub, [remoteNode('a', { name: 'x'.repeat(2000) })], []);
      assert.deepEqual([changes, leftOut], [[{ event: 'node_removed', id: 'a' }], 1]);
      assert.deepEqual(ids(registry), ['b']);
      assert.deepEqual([hub.jsonBytes, hub.ids.size], [0, 0]);
      assert.equal(registry.initBytes, Buffer.byteLength(registry.initJson));
      assert.doesNotThrow(() => registry.register({}, info('z'), HERE, at(0)));
    });
  });

  it('are left out if no other id is free for one, also if it was there before', () => {
    registry = new Registry({ ...LIMITS, maxNodes: 4000 });
    registry.share(hub, [remoteNode('x')], []);
    const taken = Array.from({ length: 1000 }, (_, i) => remoteNode(i === 0 ? 'x@lap' : `x@lap-${i + 1}`));
    assert.equal(registry.share(other, taken, []).leftOut, 0);
    assert.deepEqual(registry.register({}, info('x'), HERE, at(0)), [
      { event: 'node_removed', id: 'x' },
      { event: 'node_joined', node: registry.get('x') },
    ]);
    assert.deepEqual(registry.share(hub, [remoteNode('x')], []), { changes: [], leftOut: 1 });
    assert.equal(hub.ids.size, 0);
  });

  it('find an id among so many that are taken, or none', () => {
    assert.equal(
      otherId('x', 'lap', () => false),
      'x@lap',
    );
    assert.equal(
      otherId('x', 'lap', (id) => id !== 'x@lap-7'),
      'x@lap-7',
    );
    let tries = 0;
    assert.equal(
      otherId('x', 'lap', () => ++tries > 0),
      null,
    );
    assert.ok(tries <= 1000);
  });
});

/** A client that is told all changes, and knows nothing else. */
class Watcher {
  readonly nodes = new Map<string, Node>();

  hear(changes: readonly RosterChange[]): void {
    for (const change of changes) {
      if (change.event === 'node_joined') {
        this.nodes.set(change.node.id, change.node);
      } else if (change.event === 'node_removed') {
        assert.ok(this.nodes.delete(change.id), `${change.id} was there`);
      } else {
        const { event, id, ...fields } = change as { event: string; id: string };
        const before = this.nodes.get(id);
        assert.ok(before !== undefined, `${id} is known`);
        const after: Record<string, unknown> = { ...before, ...fields };
        if (event === 'node_offline') after.status = 'offline';
        for (const [field, value] of Object.entries(after)) if (value === null) delete after[field];
        this.nodes.set(id, after as unknown as Node);
      }
    }
  }
}

/** What only the roster itself says: `node_offline` says nothing of the time. */
function comparable({ offline_since, last_seen, ...node }: Node): unknown {
  return node.status === 'offline' ? node : { ...node, last_seen };
}

describe('the roster of any number of hubs', () => {
  const ID = fc.constantFrom('a', 'b', 'c', 'a@lap', 'a@tab', 'b@lap', 'a@lap-2');
  const OPTIONAL = { requiredKeys: ['status', 'last_seen'] } as const;
  const FIELDS = fc.record(
    {
      status: fc.constantFrom('active', 'offline'),
      last_seen: fc.nat(2),
      name: fc.constantFrom('', 'n', 'm'.repeat(40)),
      reach: fc.constantFrom('direct', 'dial-back', 'unproven'),
      reach_since: fc.nat(2),
      port: fc.nat(1),
      context: fc.record({ used: fc.nat(1), max: fc.constant(9) }),
    },
    OPTIONAL as never,
  ) as fc.Arbitrary<Partial<Node>>;
  const PUT = fc.array(fc.tuple(ID, FIELDS), { maxLength: 5 });
  const COMMAND = fc.oneof(
    fc.record({ kind: fc.constant('share'), hub: fc.nat(1), put: PUT, gone: fc.array(ID, { maxLength: 2 }) }),
    fc.record({ kind: fc.constant('snapshot'), hub: fc.nat(1), put: PUT }),
    fc.record({ kind: fc.constant('link'), hub: fc.nat(1), lost: fc.boolean() }),
    fc.record({ kind: fc.constant('register'), agent: fc.nat(3), id: ID }),
    fc.record({ kind: fc.constant('disconnect'), agent: fc.nat(3) }),
    fc.record({ kind: fc.constant('deregister'), agent: fc.nat(5), id: ID }),
    fc.record({ kind: fc.constant('expire') }),
  );

  const play = (commands: readonly Command[], limits: typeof LIMITS, mayLeaveOut: boolean) => {
    const registry = new Registry(limits);
    const hubs = [new SharingHub('h1', 'lap'), new SharingHub('h2', 'tab')] as const;
    const shared = [new Map<string, Node>(), new Map<string, Node>()] as const;
    const agents = Array.from({ length: 6 }, () => ({}));
    const local = new Set<string>();
    const watcher = new Watcher();
    let now = 0;

    const share = (index: 0 | 1, put: [string, Partial<Node>][], gone: string[] | null) => {
      const nodes = put.map(([id, fields]) => remoteNode(id, fields, [`h${index}`]));
      const { changes, leftOut } = registry.share(hubs[index], nodes, gone);
      assert.ok(mayLeaveOut || leftOut === 0);
      watcher.hear(changes);
      if (gone === null) shared[index].clear();
      for (const id of gone ?? []) shared[index].delete(id);
      for (const { node } of nodes) shared[index].set(node.id, node);
    };
    for (const command of commands) {
      now += 1000;
      try {
        switch (command.kind) {
          case 'share':
            share(command.hub as 0 | 1, command.put, command.gone);
            break;
          case 'snapshot':
            share(command.hub as 0 | 1, command.put, null);
            break;
          case 'link':
            watcher.hear(
              registry.noteLink(hubs[command.hub as 0 | 1], command.lost ? { since: now, why: `${now % 3000}` } : null),
            );
            break;
          case 'register': {
            const fields = { port: 100 + command.agent };
            watcher.hear(registry.register(agents[command.agent] as object, info(command.id, fields), HERE, at(now)));
            assert.equal(registry.get(command.id)?.machine, 'desk', 'one that registers here has its own id');
            break;
          }
          case 'disconnect':
            watcher.hear(registry.disconnect(agents[command.agent] as object, at(now)));
            break;
          case 'deregister':
            watcher.hear(registry.deregister(agents[command.agent] as object, command.id).events);
            break;
          case 'expire':
            watcher.hear(registry.expire(at(now + 1e9)));
        }
      } catch (error) {
        assert.equal((error as Error).name, 'RpcError', String(error));
      }
      // A client that was told everything knows everything.
      const nodes = JSON.parse(registry.nodesJson) as Node[];
      assert.deepEqual(
        [...watcher.nodes.values()].map(comparable).map(text).sort(),
        nodes.map(comparable).map(text).sort(),
      );
      assert.equal(registry.initBytes, Buffer.byteLength(registry.initJson));
      assert.equal(registry.size, nodes.length);
      // Each hub has its own nodes and nothing else, and no id is there twice.
      local.clear();
      for (const node of nodes) if (node.hub === undefined) local.add(node.id);
      assert.equal(registry.localSize, local.size);
      let remotes = 0;
      for (const [index, hub] of hubs.entries()) {
        remotes += hub.ids.size;
        let bytes = 0;
        for (const [there, id] of hub.ids) {
          const remote = registry.addressOf(id)?.remote;
          assert.ok(remote?.hub === hub && remote.node.id === there, `${id} is the hub's ${there}`);
          assert.deepEqual(remote.node, shared[index as 0 | 1].get(there));
          bytes += Buffer.byteLength(JSON.stringify(registry.get(id)));
        }
        assert.equal(hub.jsonBytes, bytes);
        assert.ok(hub.ids.size <= limits.maxNodes / 2);
        if (!mayLeaveOut) assert.equal(hub.ids.size, shared[index as 0 | 1].size);
      }
      assert.equal(remotes + local.size, nodes.length);
      assert.ok(remotes <= (limits.maxNodes * 3) / 4);
    }
  };
  type Command = Parameters<
    Parameters<typeof fc.property<[typeof COMMAND extends fc.Arbitrary<infer C> ? C : never]>>[1]
  >[0] & {
    // biome-ignore lint/suspicious/noExplicitAny: of whatever kind
    [field: string]: any;
  };

  it('is the union of all, as a client hears it, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(COMMAND, { maxLength: 30, size: 'max' }), (commands) =>
        play(commands as Command[], LIMITS, false),
      ),
      { numRuns: 500 },
    );
  });

  it('keeps its bounds, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(COMMAND, { maxLength: 30, size: 'max' }), (commands) =>
        play(commands as Command[], { ...LIMITS, maxNodes: 6, maxRosterBytes: 800 }, true),
      ),
      { numRuns: 500 },
    );
  });
});

describe('what clients are told', () => {
  it('is nothing of what is the same', () => {
    const { node } = remoteNode('a', {
      context: { used: 1, max: 2 },
      question: { id: 'q', kind: 'confirm', title: '?' },
    });
    assert.deepEqual(changesBetween(node, structuredClone(node)), []);
  });
});

function text(value: unknown): string {
  return JSON.stringify(
    value,
    Object.keys(value as object)
      .concat('used', 'max')
      .sort(),
  );
}
