import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Init, Node, NodeUpdated, RosterEvent } from '../../src/protocol/registry.ts';
import { readDetails } from '../../src/registry/node-details.ts';
import type { NodeInfo } from '../../src/registry/node-info.ts';
import { encodeInit, type Moment, type Owner, type Registrant, Registry } from '../../src/registry/registry.ts';

const LIMITS = { nodeTtlMs: 30_000, maxNodes: 100, maxRosterBytes: 1e6 };
/** A registration from there, of which nothing else matters to the registry. */
const from = (address: string): Registrant => ({ address, isHere: false, namesHere: false });
const HERE = from('127.0.0.1');
const THERE = from('10.0.0.9');
const UNAUTHORIZED = { name: 'RpcError', message: 'Unauthorized: cannot deregister another node' };

/** The wall clock reads 1,700,000,000 s when the steady clock begins. */
const at = (steadyMs: number): Moment => ({ unixMs: 1_700_000_000_000 + steadyMs, steadyMs });
const info = (id: string, fields: Partial<NodeInfo> = {}): NodeInfo => {
  return { id, machine: 'laptop', cwd: '/work', port: 8080, ...fields };
};
const removed = (id: string): RosterEvent => ({ event: 'node_removed', id });
const joined = (registry: Registry, id: string): RosterEvent => ({ event: 'node_joined', node: nodeOf(registry, id) });

function nodeOf(registry: Registry, id: string): Node {
  const node = registry.get(id);
  assert.ok(node !== null, `${id} is in the roster`);
  return node;
}

function ids(registry: Registry): string[] {
  return JSON.parse(registry.nodesJson).map(({ id }: Node) => id);
}

describe('Registry', () => {
  let registry: Registry;
  let agent: Owner;
  let other: Owner;
  beforeEach(() => {
    registry = new Registry(LIMITS);
    agent = {};
    other = {};
  });

  it('begins empty', () => {
    assert.equal(registry.size, 0);
    assert.equal(registry.nodesJson, '[]');
    assert.equal(registry.initJson, '{"event":"init","nodes":[],"protocol_version":"1"}');
    assert.equal(registry.nextExpiry, null);
    assert.equal(registry.get('a'), null);
    assert.equal(registry.addressOf('a'), null);
    assert.deepEqual(registry.disconnect(agent, at(0)), []);
    assert.deepEqual(registry.expire(at(1e9)), []);
  });

  it('registers a node: active, last seen now, in Unix seconds', () => {
    const events = registry.register(agent, info('a', { pid: 7, dialKey: 'secret' }), HERE, at(1999));
    const node = {
      id: 'a',
      machine: 'laptop',
      cwd: '/work',
      port: 8080,
      status: 'active',
      last_seen: 1_700_000_001,
      pid: 7,
    };
    assert.deepEqual(events, [{ event: 'node_joined', node }]);
    assert.deepEqual(registry.get('a'), node);
    assert.deepEqual(JSON.parse(registry.initJson), { event: 'init', nodes: [node], protocol_version: '1' });
  });

  it('gives the dial key to the dialler and to no one else', () => {
    registry.register(agent, info('a', { dialKey: 'secret' }), THERE, at(0));
    registry.register(other, info('b'), HERE, at(0));
    assert.deepEqual(registry.addressOf('a'), {
      machine: 'laptop',
      port: 8080,
      owner: agent,
      registrant: THERE,
      dialKey: 'secret',
      hasDouble: false,
      remote: null,
    });
    assert.equal(registry.addressOf('b')?.dialKey, null);
    assert.ok(!registry.initJson.includes('secret'));
  });

  describe('an update', () => {
    const update = (caller: Owner, params: Record<string, unknown>, steadyMs = 0) =>
      registry.update(caller, readDetails(params), at(steadyMs));

    it('changes the node, and tells what is different', () => {
      registry.register(agent, info('a'), HERE, at(0));
      assert.deepEqual(update(agent, { state: 'working', name: 'n' }, 2000), {
        event: 'node_updated',
        id: 'a',
        state: 'working',
        state_since: 1_700_000_002,
        name: 'n',
      });
      assert.deepEqual(update(agent, { state: 'working', name: null }, 5000), {
        event: 'node_updated',
        id: 'a',
        name: null,
      });
      assert.equal(update(agent, { state: 'working' }, 6000), null);
      const { state, state_since, name } = nodeOf(registry, 'a');
      assert.deepEqual([state, state_since, name], ['working', 1_700_000_002, undefined]);
      assert.deepEqual(JSON.parse(registry.nodesJson), [nodeOf(registry, 'a')]);
      assert.equal(registry.initBytes, Buffer.byteLength(registry.initJson));
    });

    it('is the owner’s alone', () => {
      const nobody = { name: 'RpcError', message: 'No node is registered on this connection' };
      assert.throws(() => update(agent, { name: 'n' }), nobody);
      registry.register(agent, info('a'), HERE, at(0));
      assert.throws(() => update(other, { name: 'n' }), nobody);
      registry.register(other, info('a'), HERE, at(0));
      assert.throws(() => update(agent, { name: 'n' }), nobody, 'it was taken over');
      registry.disconnect(other, at(0));
      assert.throws(() => update(other, { name: 'n' }), nobody, 'it has gone');
      assert.equal(nodeOf(registry, 'a').name, undefined);
    });

    it('stays while the node is offline, and ends when it registers anew', () => {
      registry.register(agent, info('a', { details: readDetails({ state: 'failed', model: 'm' }) }), HERE, at(0));
      update(agent, { successor: 'b' });
      registry.disconnect(agent, at(0));
      const { state, model, successor, status } = nodeOf(registry, 'a');
      assert.deepEqual([state, model, successor, status], ['failed', 'm', 'b', 'offline']);
      registry.register(other, info('a', { spawnId: 'sp', details: readDetails({ model: 'n' }) }), HERE, at(9000));
      assert.deepEqual(nodeOf(registry, 'a'), {
        ...info('a'),
        status: 'active',
        last_seen: 1_700_000_009,
        spawn_id: 'sp',
        model: 'n',
      });
    });
  });

  describe('its bytes', () => {
    const nodeBytes = () => Buffer.byteLength(JSON.stringify(nodeOf(registry, 'a')));
    const sentence = (bytes: number) => ({ name: 'RpcError', message: `The roster is full: ${bytes} bytes` });

    /** A roster that holds just two nodes as they come. */
    function fill(): number {
      registry.register(agent, info('a'), HERE, at(0));
      const maxRosterBytes = 2 * nodeBytes();
      registry = new Registry({ ...LIMITS, maxRosterBytes });
      registry.register(agent, info('a', { port: 8081 }), HERE, at(0));
      registry.register(other, info('b', { port: 8082 }), HERE, at(0));
      return maxRosterBytes;
    }

    it('are bounded, whatever they are made of', () => {
      const bytes = fill();
      assert.equal(registry.initBytes, bytes + 1 + Buffer.byteLength(encodeInit('[]')));
      const before = registry.initJson;
      assert.throws(() => registry.register({}, info('c', { port: 1 }), HERE, at(0)), sentence(bytes));
      assert.throws(
        () => registry.register(agent, info('a', { port: 8081, cwd: '/work/' }), HERE, at(0)),
        sentence(bytes),
      );
      assert.throws(
        () => registry.register(agent, info('a', { port: 8081, cwd: '/w"rk' }), HERE, at(0)),
        sentence(bytes),
      );
      assert.throws(
        () => registry.register(agent, info('a', { port: 8081, cwd: '/wörk' }), HERE, at(0)),
        sentence(bytes),
      );
      assert.throws(() => registry.update(agent, readDetails({ name: '' }), at(0)), sentence(bytes));
      assert.equal(registry.initJson, before, 'nothing has changed');
      assert.deepEqual(registry.register(agent, info('a', { port: 8081, cwd: '/wonk' }), HERE, at(0)), [
        joined(registry, 'a'),
      ]);
    });

    it('are free again when a node goes, is replaced, or says less', () => {
      fill();
      registry.register(agent, info('c', { port: 8083 }), HERE, at(0));
      registry.deregister({}, 'b');
      registry.register(other, info('d', { port: 8084, machine: '', cwd: '' }), HERE, at(0));
      assert.doesNotThrow(() => registry.update(other, readDetails({ cost: 0 }), at(0)));
      assert.throws(() => registry.update(other, readDetails({ name: 'n' }), at(0)), /The roster is full/);
      registry.update(other, readDetails({ cost: null }), at(0));
      assert.deepEqual(ids(registry), ['c', 'd']);
    });

    it('do not keep a node from going offline, nor from coming back as it was', () => {
      fill();
      assert.equal(registry.disconnect(agent, at(0)).length, 1);
      assert.equal(registry.disconnect(other, at(0)).length, 1);
      assert.doesNotThrow(() => registry.register(agent, info('a', { port: 8081 }), HERE, at(0)));
      assert.doesNotThrow(() => registry.register(other, info('b', { port: 8082 }), HERE, at(0)));
      assert.doesNotThrow(() => registry.register(other, info('b', { port: 8082 }), HERE, at(0)));
    });
  });

  describe('one that comes back', () => {
    it('under its id: the last registration wins, and a late close of the first changes nothing', () => {
      registry.register(agent, info('a'), HERE, at(0));
      const events = registry.register(other, info('a', { port: 8081, cwd: '/other' }), HERE, at(5000));
      assert.deepEqual(events, [joined(registry, 'a')]);
      assert.deepEqual(registry.disconnect(agent, at(6000)), []);
      assert.equal(nodeOf(registry, 'a').status, 'active');
      assert.equal(nodeOf(registry, 'a').cwd, '/other');
      assert.deepEqual(registry.disconnect(other, at(7000)), [{ event: 'node_offline', id: 'a' }]);
    });

    it('from offline: active again, and no longer about to expire', () => {
      registry.register(agent, info('a', { pid: 7 }), HERE, at(0));
      registry.disconnect(agent, at(1000));
      registry.register(other, info('a'), HERE, at(2000));
      assert.deepEqual(nodeOf(registry, 'a'), { ...info('a'), status: 'active', last_seen: 1_700_000_002 });
      assert.equal(registry.nextExpiry, null);
      assert.deepEqual(registry.expire(at(1e9)), []);
    });

    it('elsewhere: its former place is free', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.register(agent, info('a', { port: 8081 }), HERE, at(0));
      assert.deepEqual(registry.register(other, info('b'), HERE, at(0)), [joined(registry, 'b')]);
      assert.deepEqual(ids(registry), ['a', 'b']);
    });
  });

  describe('another id from the same place', () => {
    it('replaces the old one: removed, then joined', () => {
      registry.register(agent, info('a'), HERE, at(0));
      assert.deepEqual(registry.register(other, info('b'), HERE, at(0)), [removed('a'), joined(registry, 'b')]);
      assert.deepEqual(registry.disconnect(agent, at(1)), []);
      assert.deepEqual(ids(registry), ['b']);
    });

    it('replaces an offline one too', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.disconnect(agent, at(0));
      registry.register(other, info('b'), HERE, at(0));
      assert.deepEqual(ids(registry), ['b']);
      assert.equal(registry.nextExpiry, null);
    });

    const elsewhere: [what: string, fields: Partial<NodeInfo>, from: Registrant][] = [
      ['another port', { port: 8081 }, HERE],
      ['another machine', { machine: 'desktop' }, HERE],
      ['another peer address, for two laptops may both be called ubuntu', {}, THERE],
      ['a machine whose name begins like an address', { machine: '1 laptop' }, HERE],
    ];
    for (const [what, fields, from] of elsewhere) {
      it(`is not the same place: ${what}`, () => {
        registry.register(agent, info('a'), HERE, at(0));
        registry.register(other, info('b', fields), from, at(0));
        assert.deepEqual(ids(registry), ['a', 'b']);
      });
    }

    it('says nothing of the folder: thousands of agents may share one', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.register(other, info('b', { port: 8081 }), HERE, at(0));
      assert.equal(registry.size, 2);
    });
  });

  describe('a second id on one connection', () => {
    it('replaces the first, also from another place', () => {
      registry.register(agent, info('a'), HERE, at(0));
      const events = registry.register(agent, info('b', { port: 8081 }), HERE, at(0));
      assert.deepEqual(events, [removed('a'), joined(registry, 'b')]);
    });

    it('and from the place of a third, replaces both', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.register(other, info('c', { port: 8081 }), HERE, at(0));
      const events = registry.register(agent, info('b', { port: 8081 }), HERE, at(0));
      assert.deepEqual(events, [removed('a'), removed('c'), joined(registry, 'b')]);
    });

    it('replaces nothing that has become another’s', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.register(other, info('a'), HERE, at(0));
      registry.register(agent, info('b', { port: 8081 }), HERE, at(0));
      assert.deepEqual(ids(registry), ['a', 'b']);
    });
  });

  describe('deregister', () => {
    it('removes its own', () => {
      registry.register(agent, info('a'), HERE, at(0));
      assert.deepEqual(registry.deregister(agent, 'a'), { status: 'deregistered', events: [removed('a')] });
      assert.deepEqual(registry.deregister(agent, 'a'), { status: 'not_found', events: [] });
      assert.deepEqual(registry.disconnect(agent, at(1)), []);
    });

    it('lets an agent deregister no other, whether there is one or not', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.register(other, info('b', { port: 8081 }), HERE, at(0));
      assert.throws(() => registry.deregister(agent, 'b'), UNAUTHORIZED);
      assert.throws(() => registry.deregister(agent, 'nobody'), UNAUTHORIZED);
      registry.deregister(agent, 'a');
      assert.throws(() => registry.deregister(agent, 'b'), UNAUTHORIZED);
      assert.deepEqual(ids(registry), ['b']);
    });

    it('lets one that was superseded deregister none, whatever became of its id', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.register(other, info('a'), HERE, at(0));
      assert.throws(() => registry.deregister(agent, 'a'), UNAUTHORIZED);
      registry.disconnect(other, at(1));
      assert.throws(() => registry.deregister(agent, 'a'), UNAUTHORIZED);
      registry.expire(at(1e9));
      assert.deepEqual(registry.deregister(agent, 'a'), { status: 'not_found', events: [] });
    });

    it('lets a connection that never registered deregister any node, active or offline', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.register(other, info('b', { port: 8081 }), HERE, at(0));
      registry.disconnect(other, at(0));
      const admin = {};
      assert.equal(registry.deregister(admin, 'a').status, 'deregistered');
      assert.equal(registry.deregister(admin, 'b').status, 'deregistered');
      assert.equal(registry.deregister(admin, 'b').status, 'not_found');
      assert.equal(registry.nextExpiry, null);
    });

    it('leaves the place free', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.deregister(agent, 'a');
      assert.deepEqual(registry.register(other, info('b'), HERE, at(0)), [joined(registry, 'b')]);
    });
  });

  describe('the end of a connection', () => {
    it('takes its node offline, from now on, and keeps the rest', () => {
      registry.register(agent, info('a', { pid: 7 }), HERE, at(0));
      assert.deepEqual(registry.disconnect(agent, at(4500)), [{ event: 'node_offline', id: 'a' }]);
      const seconds = 1_700_000_004;
      const times = { offline_since: seconds, last_seen: seconds };
      assert.deepEqual(nodeOf(registry, 'a'), { ...info('a', { pid: 7 }), status: 'offline', ...times });
      assert.deepEqual(JSON.parse(registry.nodesJson), [nodeOf(registry, 'a')]);
      assert.deepEqual(registry.disconnect(agent, at(5000)), []);
    });

    it('removes it after the TTL, and not a moment before', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.disconnect(agent, at(1000));
      assert.equal(registry.nextExpiry, 31_000);
      assert.deepEqual(registry.expire(at(30_999)), []);
      assert.deepEqual(registry.expire(at(31_000)), [removed('a')]);
      assert.equal(registry.size, 0);
      assert.equal(registry.nextExpiry, null);
    });

    it('counts the TTL anew each time, in the order they went', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.register(other, info('b', { port: 8081 }), HERE, at(0));
      registry.disconnect(agent, at(1000));
      registry.disconnect(other, at(2000));
      const again = {};
      registry.register(again, info('a'), HERE, at(2000));
      registry.disconnect(again, at(3000));
      assert.equal(registry.nextExpiry, 32_000);
      assert.deepEqual(registry.expire(at(1e9)), [removed('b'), removed('a')]);
    });

    it('is not deferred by a wall clock that is set back', () => {
      registry.register(agent, info('a'), HERE, at(0));
      registry.disconnect(agent, at(1000));
      assert.deepEqual(registry.expire({ unixMs: 0, steadyMs: 31_000 }), [removed('a')]);
    });
  });

  describe('a full roster', () => {
    beforeEach(() => {
      registry = new Registry({ ...LIMITS, maxNodes: 2 });
      registry.register(agent, info('a'), HERE, at(0));
      registry.register(other, info('b', { port: 8081 }), HERE, at(0));
    });

    it('takes no more, and stays as it is', () => {
      const before = registry.initJson;
      const third = {};
      const refusal = { name: 'RpcError', message: 'The roster is full: 2 nodes' };
      assert.throws(() => registry.register(third, info('c', { port: 8082 }), HERE, at(0)), refusal);
      assert.equal(registry.initJson, before);
      assert.equal(registry.deregister(third, 'a').status, 'deregistered', 'it has not registered');
    });

    it('accepts a node that returns or replaces another', () => {
      registry.register({}, info('a', { port: 9000 }), HERE, at(0));
      registry.register({}, info('c', { port: 8081 }), HERE, at(0));
      assert.deepEqual(ids(registry), ['a', 'c']);
    });
  });

  it('takes names that objects have', () => {
    for (const [index, id] of ['__proto__', 'constructor', 'toString'].entries()) {
      registry.register({}, info(id, { port: 1 + index }), HERE, at(0));
    }
    assert.deepEqual(ids(registry), ['__proto__', 'constructor', 'toString']);
    assert.equal(registry.get('hasOwnProperty'), null);
  });

  it('encodes an init of any nodes', () => {
    assert.equal(encodeInit('[1]'), '{"event":"init","nodes":[1],"protocol_version":"1"}');
  });
});

// The rules of the protocol once more, the slow and obvious way, against any history.

interface ModelNode {
  node: Node;
  owner: number | null;
  from: Registrant;
  expiresAt: number;
}

interface Model {
  nodes: ModelNode[];
  /** What each connection registered last. */
  lastIds: Map<number, string>;
}

type Command =
  | { do: 'register'; owner: number; info: NodeInfo; from: Registrant }
  | { do: 'deregister'; owner: number; id: string }
  | { do: 'update'; owner: number; params: Record<string, unknown> }
  | { do: 'disconnect'; owner: number }
  | { do: 'wait'; ms: number; wallMs: number }
  | { do: 'watch' };

type Told = RosterEvent | NodeUpdated;

const MODEL_LIMITS = { nodeTtlMs: 1000, maxNodes: 4, maxRosterBytes: 1e6 };

/** What the command does to the model. @returns the events, or null if it is refused */
function perform(model: Model, command: Exclude<Command, { do: 'watch' }>, now: Moment): Told[] | null {
  const seconds = Math.floor(now.unixMs / 1000);
  const take = (gone: ModelNode[]): RosterEvent[] => {
    model.nodes = model.nodes.filter((each) => !gone.includes(each));
    return gone.map(({ node }) => removed(node.id));
  };
  switch (command.do) {
    case 'register': {
      const { id, machine, cwd, port, pid } = command.info;
      const replaced = model.nodes.filter(({ node, owner, from }) => {
        const samePlace = node.machine === machine && node.port === port && from === command.from;
        return node.id !== id && (owner === command.owner || samePlace);
      });
      const known = model.nodes.find(({ node }) => node.id === id);
      if (known === undefined && model.nodes.length - replaced.length >= MODEL_LIMITS.maxNodes) return null;
      const events = take(replaced);
      const node: Node = { id, machine, cwd, port, status: 'active', last_seen: seconds, ...(pid && { pid }) };
      const entry = { node, owner: command.owner, from: command.from, expiresAt: Number.POSITIVE_INFINITY };
      if (known === undefined) model.nodes.push(entry);
      else Object.assign(known, entry);
      model.lastIds.set(command.owner, id);
      return [...events, { event: 'node_joined', node }];
    }
    case 'deregister': {
      const found = model.nodes.filter(({ node }) => node.id === command.id);
      if (model.lastIds.has(command.owner)) {
        if (model.lastIds.get(command.owner) !== command.id) return null;
        if (found.some(({ owner }) => owner !== command.owner)) return null;
      }
      return take(found);
    }
    case 'update': {
      const own = model.nodes.find(({ owner }) => owner === command.owner);
      if (own === undefined) return null;
      const before: Record<string, unknown> = { ...own.node };
      const after: Record<string, unknown> = { ...before, ...command.params };
      if (after.state !== before.state) after.state_since = after.state === null ? null : seconds;
      for (const [field, value] of Object.entries(after)) if (value === null) delete after[field];
      const changed = Object.keys({ ...before, ...after }).filter((field) => before[field] !== after[field]);
      own.node = after as unknown as Node;
      if (changed.length === 0) return [];
      const fields = Object.fromEntries(changed.map((field) => [field, after[field] ?? null]));
      return [{ event: 'node_updated', id: own.node.id, ...fields }];
    }
    case 'disconnect': {
      const own = model.nodes.filter(({ owner }) => owner === command.owner);
      for (const entry of own) {
        entry.owner = null;
        entry.node = { ...entry.node, status: 'offline', offline_since: seconds, last_seen: seconds };
        entry.expiresAt = now.steadyMs + MODEL_LIMITS.nodeTtlMs;
      }
      return own.map(({ node }) => ({ event: 'node_offline', id: node.id }));
    }
    case 'wait':
      return take(model.nodes.filter(({ expiresAt }) => expiresAt <= now.steadyMs));
  }
}

/** A dashboard as anyone would write it: an init, then what happens. */
class Watcher {
  readonly nodes = new Map<string, Node>();

  constructor(initJson: string) {
    for (const node of (JSON.parse(initJson) as Init).nodes) this.nodes.set(node.id, node);
  }

  apply(event: Told): void {
    switch (event.event) {
      case 'node_updated': {
        const { event: _, id, ...changed } = event;
        const entries = Object.entries({ ...this.nodes.get(id), ...changed });
        this.nodes.set(id, Object.fromEntries(entries.filter(([, value]) => value !== null)) as unknown as Node);
        break;
      }
      case 'node_joined':
        this.nodes.set(event.node.id, event.node);
        break;
      case 'node_offline': {
        const node = this.nodes.get(event.id);
        assert.ok(node?.status === 'active', 'only a known, active node goes offline');
        this.nodes.set(event.id, { ...node, status: 'offline' });
        break;
      }
      case 'node_removed':
        assert.ok(this.nodes.delete(event.id), 'only a known node is removed');
    }
  }

  /** Without the times of going offline, which no push tells. */
  static seen(nodes: Iterable<Node>): object[] {
    return [...nodes].map(({ offline_since, last_seen, ...node }) => node);
  }
}

describe('agents that open their connections themselves', () => {
  let registry: Registry;
  beforeEach(() => {
    registry = new Registry(LIMITS);
  });

  it('may have the same name and port behind one address, and are no doubles', () => {
    registry.register({}, info('a', { dialBack: true }), THERE, at(0));
    registry.register({}, info('b', { dialBack: true }), THERE, at(0));
    registry.register({}, info('c'), THERE, at(0));
    assert.deepEqual(ids(registry), ['a', 'b', 'c']);
    assert.equal(registry.addressOf('c')?.hasDouble, false);
  });

  it('are one in a place on this machine, because a port belongs to one process', () => {
    const nextDoor = { ...HERE, isHere: true, namesHere: true };
    registry.register({}, info('a', { dialBack: true }), nextDoor, at(0));
    registry.register({}, info('b', { dialBack: true }), nextDoor, at(0));
    assert.deepEqual(ids(registry), ['b']);
  });

  it('and others too are shown with how they were reached, until they register anew', () => {
    const agent = {};
    registry.register(agent, info('a'), THERE, at(0));
    const told = { event: 'node_updated', id: 'a', reach: 'direct', reach_since: 1_700_000_001 };
    assert.deepEqual(registry.noteReach('a', 'direct', null, at(1500)), told);
    assert.equal(registry.noteReach('a', 'direct', null, at(9000)), null);
    assert.equal(registry.get('a')?.reach_since, 1_700_000_001);
    const lost = { ...told, reach: 'unproven', reach_since: 1_700_000_009, reach_error: 'Why' };
    assert.deepEqual(registry.noteReach('a', 'unproven', 'Why', at(9000)), lost);
    assert.equal(registry.get('a')?.reach_error, 'Why');
    const otherwise = { event: 'node_updated', id: 'a', reach_error: 'Otherwise' };
    assert.deepEqual(registry.noteReach('a', 'unproven', 'Otherwise', at(9500)), otherwise);
    assert.equal(registry.get('a')?.reach_since, 1_700_000_009);
    const back = { ...told, reach_since: 1_700_000_010, reach_error: null };
    assert.deepEqual(registry.noteReach('a', 'direct', null, at(10_000)), back);
    assert.equal('reach_error' in (registry.get('a') ?? {}), false);
    assert.equal(registry.initBytes, Buffer.byteLength(registry.initJson));
    registry.register(agent, info('a'), THERE, at(10_000));
    assert.equal(registry.get('a')?.reach, undefined);
    assert.equal(registry.noteReach('nobody', 'direct', null, at(0)), null);
  });
});

describe('agents behind one address', () => {
  let registry: Registry;
  beforeEach(() => {
    registry = new Registry(LIMITS);
  });
  const register = (id: string, fields: Partial<NodeInfo> = {}, from = THERE): Owner => {
    const owner = {};
    registry.register(owner, info(id, { machine: `machine of ${id}`, ...fields }), from, at(0));
    return owner;
  };
  const doubles = () => ids(registry).filter((id) => registry.addressOf(id)?.hasDouble);

  it('are doubles of each other with the same port, and with no other', () => {
    register('a');
    assert.deepEqual(doubles(), []);
    register('b', { port: 8081 });
    register('c', {}, HERE);
    assert.deepEqual(doubles(), []);
    register('d');
    assert.deepEqual(doubles(), ['a', 'd']);
  });

  it('are no danger to others if they have a key, because they refuse connections without it', () => {
    register('a');
    register('b', { dialKey: 'key' });
    assert.deepEqual(doubles(), ['b'], 'who dials b may come to a, which takes everyone');
    register('c', { dialKey: 'another' });
    assert.deepEqual(doubles(), ['b', 'c']);
  });

  it('are doubles only while they are active', () => {
    register('a');
    const owner = register('b');
    registry.disconnect(owner, at(0));
    assert.deepEqual(doubles(), ['b'], 'and nobody dials one that is offline');
    registry.register(owner, info('b', { machine: 'machine of b' }), THERE, at(0));
    assert.deepEqual(doubles(), ['a', 'b']);
    registry.deregister(owner, 'b');
    assert.deepEqual(doubles(), []);
  });

  it('are none in their old place, once they register from elsewhere or with a key', () => {
    register('a');
    register('b');
    assert.deepEqual(doubles(), ['a', 'b']);
    register('b', {}, HERE);
    assert.deepEqual(doubles(), []);
    register('b');
    assert.deepEqual(doubles(), ['a', 'b']);
    register('b', { dialKey: 'key' });
    assert.deepEqual(doubles(), ['b']);
  });
});

describe('Registry, against a naive model of the protocol', () => {
  const owner = fc.integer({ min: 0, max: 4 });
  const id = fc.constantFrom('a', 'b', 'c', 'é"\\', '😀', '__proto__');
  const nodeInfo: fc.Arbitrary<NodeInfo> = fc.record(
    {
      id,
      machine: fc.constantFrom('laptop', 'ubuntu'),
      cwd: fc.constantFrom('/work', '/ü'),
      port: fc.constantFrom(8080, 8081),
      pid: fc.integer({ min: 1, max: 9 }),
    },
    { requiredKeys: ['id', 'machine', 'cwd', 'port'] },
  );
  const from = fc.constantFrom(HERE, THERE);
  const params = fc.record(
    {
      name: fc.option(fc.constantFrom('n', 'é"')),
      state: fc.option(fc.constantFrom('idle', 'working')),
      cost: fc.option(fc.nat(2)),
    },
    { requiredKeys: [] },
  );
  const command: fc.Arbitrary<Command> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('register'), owner, info: nodeInfo, from }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('deregister'), owner, id }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('update'), owner, params }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('disconnect'), owner }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('wait'), ms: fc.nat(600), wallMs: fc.integer({ min: -5000, max: 5000 }) }),
    },
    { weight: 1, arbitrary: fc.constant<Command>({ do: 'watch' }) },
  );

  it('does what the model does, and tells it so that init and events give the roster', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const registry = new Registry(MODEL_LIMITS);
        const model: Model = { nodes: [], lastIds: new Map() };
        const owners: Owner[] = Array.from({ length: 5 }, () => ({}));
        const watchers = [new Watcher(registry.initJson)];
        let now = at(0);

        for (const next of commands) {
          if (next.do === 'watch') {
            watchers.push(new Watcher(registry.initJson));
            continue;
          }
          if (next.do === 'wait') now = { unixMs: now.unixMs + next.wallMs, steadyMs: now.steadyMs + next.ms };
          const expected = perform(model, next, now);
          let events: Told[] | null;
          try {
            events = run(registry, next, owners, now);
          } catch (error) {
            assert.equal((error as Error).name, 'RpcError');
            events = null;
          }
          // Two that are removed at once may go in either order.
          assert.deepEqual(sorted(events), sorted(expected));
          assert.ok(!events?.slice(0, -1).some(({ event }) => event === 'node_joined'), 'what is replaced goes first');
          if (next.do === 'disconnect') {
            // A connection that has ended says nothing any more: from here on this is another.
            owners[next.owner] = {};
            model.lastIds.delete(next.owner);
          }
          for (const event of events ?? []) {
            for (const watcher of watchers) watcher.apply(event);
          }
          check(registry, model, watchers);
        }
      }),
      { numRuns: 300 },
    );
  });

  function run(registry: Registry, command: Exclude<Command, { do: 'watch' }>, owners: Owner[], now: Moment): Told[] {
    if (command.do === 'wait') return registry.expire(now);
    const caller = owners[command.owner] as Owner;
    switch (command.do) {
      case 'register':
        return registry.register(caller, command.info, command.from, now);
      case 'deregister': {
        const { status, events } = registry.deregister(caller, command.id);
        assert.equal(status, events.length > 0 ? 'deregistered' : 'not_found');
        return events;
      }
      case 'update': {
        const update = registry.update(caller, readDetails(command.params), now);
        return update === null ? [] : [update];
      }
      case 'disconnect':
        return registry.disconnect(caller, now);
    }
  }

  function sorted(events: Told[] | null): string[] | null {
    const inOrder = (event: Told) => Object.fromEntries(Object.entries(event).sort(([a], [b]) => (a < b ? -1 : 1)));
    return events === null ? null : events.map((event) => JSON.stringify(inOrder(event))).sort();
  }

  function check(registry: Registry, model: Model, watchers: Watcher[]): void {
    const nodes = model.nodes.map(({ node }) => node);
    assert.deepEqual(JSON.parse(registry.nodesJson), nodes);
    assert.deepEqual(JSON.parse(registry.initJson), { event: 'init', nodes, protocol_version: '1' });
    assert.equal(registry.initBytes, Buffer.byteLength(registry.initJson));
    assert.equal(registry.size, nodes.length);
    const firstExpiry = Math.min(...model.nodes.map(({ expiresAt }) => expiresAt));
    assert.equal(registry.nextExpiry ?? Number.POSITIVE_INFINITY, firstExpiry);
    for (const { node, from } of model.nodes) {
      assert.deepEqual(registry.get(node.id), node);
      assert.equal(registry.addressOf(node.id)?.registrant, from);
    }
    for (const watcher of watchers) assert.deepEqual(Watcher.seen(watcher.nodes.values()), Watcher.seen(nodes));
  }
});
