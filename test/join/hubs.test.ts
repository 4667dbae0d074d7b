import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HubFeature, type Machine, type SharedMachine } from '../../src/protocol/hub.ts';
import type { Node } from '../../src/protocol/registry.ts';
import { hubIdOf } from '../../src/registry/hub-params.ts';
import {
  House,
  type HouseOptions,
  info,
  OWN_ID,
  registration,
  sleep,
  until,
  type Visitor,
} from '../registry/harness.ts';
import { CLOSE } from '../support/raw-peer.ts';

type Json = Record<string, unknown>;

const call = (id: string | number, method: string, params: object = {}) => ({ id, method, params });
const idOf = (name: string) => hubIdOf(name);
const seconds = () => Math.floor(Date.now() / 1000);
const ALL = Object.values(HubFeature);

/** The other hub, as anybody may write one. */
class LowerHub {
  readonly visitor: Visitor;
  readonly name: string;
  readonly id: string;
  epoch = 'e1';
  seq = 0;

  constructor(visitor: Visitor, name: string) {
    this.visitor = visitor;
    this.name = name;
    this.id = idOf(name);
  }

  static async join(house: House, name: string, params: object = {}): Promise<LowerHub> {
    const hub = new LowerHub(await house.open(), name);
    const answer = await hub.join(params);
    assert.equal(answer.error, undefined);
    return hub;
  }

  /** @returns the answer, behind the empty roster that comes before it */
  async join(params: object = {}): Promise<Json> {
    const { id, name } = this;
    const facts = { id, key: name, name, version: '1', features: ALL, below: [], now: seconds() };
    const all = { ...facts, ...params };
    this.visitor.send(call('join', 'join', all));
    const first = await this.visitor.message();
    const answer = first.event === 'init' ? await this.visitor.message() : first;
    // It is asked for a connection to its agents at once, and opens none.
    if (answer.result !== undefined && all.features.includes(HubFeature.RELAY)) {
      assert.equal((await this.visitor.message()).event, 'dial_back');
    }
    return answer;
  }

  /** @returns the result, or the error */
  async share(params: object): Promise<unknown> {
    this.seq++;
    const answer = await this.visitor.call(
      call('share', 'share', { epoch: this.epoch, seq: this.seq, now: seconds(), ...params }),
    );
    return answer.result ?? answer.error;
  }

  node(id: string, fields: Partial<Node> = {}, path: string[] = []): Node & { path: string[] } {
    const node: Node = { id, machine: this.name, cwd: '/there', port: 80, status: 'active', last_seen: 5, ...fields };
    return { ...node, path: [...path, this.id] };
  }

  machine(fields: Partial<SharedMachine> = {}): SharedMachine {
    const { id, name } = this;
    return { id, name, version: '1', since: 7, nodes: 1, features: ALL, load: 1, cpus: 4, path: [this.id], ...fields };
  }

  /** A machine below this one. */
  below(name: string, fields: Partial<SharedMachine> = {}): SharedMachine {
    return this.machine({ id: idOf(name), name, path: [idOf(name), this.id], ...fields });
  }
}

/** Watches the roster, with updates and machines. */
async function watch(house: House): Promise<Visitor> {
  const watcher = await house.open({ fromBrowser: true });
  watcher.send(call('subscribe', 'subscribe', { features: ['updates', 'machines', 'spawns'] }));
  const [, answer] = await watcher.messages(2);
  assert.deepEqual(answer?.result, { features: ['updates', 'spawns', 'machines'] });
  return watcher;
}

const inHouse = (name: string, options: HouseOptions, test: (house: House) => Promise<void>) =>
  it(name, () =>
    House.with(options, async (house) => {
      await test(house);
      assert.deepEqual(house.faults, []);
    }),
  );

const nodesOf = (house: House) => JSON.parse(house.roster.nodesJson) as Node[];

describe('a hub that joins', () => {
  inHouse('is a machine from then on, and gets no roster', {}, async (house) => {
    const watcher = await watch(house);
    const hub = new LowerHub(await house.open(), 'laptop');
    assert.deepEqual(await hub.join(), {
      id: 'join',
      result: { status: 'joined', id: OWN_ID, name: 'desk', version: '1.2.3' },
    });
    const { machine, event } = (await watcher.message()) as unknown as { machine: Machine; event: string };
    assert.ok(Math.abs(machine.since - seconds()) < 60);
    const { id, since } = machine;
    const shown = {
      id,
      name: 'laptop',
      version: '1',
      features: ALL,
      nodes: 0,
      since,
      status: 'connected',
    };
    assert.deepEqual([event, id, machine], ['machine_joined', hub.id, shown]);
    const { result } = await watcher.call(call(1, 'list_machines'));
    const here = { id: OWN_ID, name: 'desk', version: '1.2.3', since: 1, nodes: 0, features: ALL, status: 'connected' };
    assert.deepEqual(result, [{ ...here, load: 0.5, cpus: 2, memory: 4096, here: true, up: [] }, shown]);
    assert.deepEqual(house.hubEvents, ['joined laptop']);
    house.roster.register({}, info('a'), '10.0.0.1');
    assert.deepEqual(await hub.visitor.call(call(2, 'ping')), {
      id: 2,
      result: { status: 'healthy', nodes: 1, version: '1.2.3' },
    });
  });

  inHouse('is no loop if this hub joins none, whatever a hub below it claims to be', {}, async (house) => {
    await LowerHub.join(house, 'laptop', { below: [OWN_ID] });
  });

  inHouse('is refused in words', {}, async (house) => {
    house.up.push({ url: 'ws://above/ws', status: 'joined', since: 1 });
    const hub = new LowerHub(await house.open(), 'laptop');
    const refusals: [object, string][] = [
      [{ id: OWN_ID, key: null }, 'Joining would make a loop: this is the hub itself'],
      [{ below: [idOf('x'), OWN_ID] }, 'Joining would make a loop: desk has joined laptop, or a hub below it'],
      [{ id: 'laptop' }, 'Invalid join: id'],
      [{ id: 'F'.repeat(32), key: null }, 'Invalid join: id'],
      [{ key: 'another' }, 'Invalid join: key'],
      [{ key: 7 }, 'Invalid join: key'],
      [{ name: ' ' }, 'Invalid join: name'],
      [{ name: 'a\nb' }, 'Invalid join: name'],
      [{ name: 'x'.repeat(254) }, 'Invalid join: name'],
      [{ version: 1 }, 'Invalid join: version'],
      [{ features: 'roster' }, 'Invalid join: features'],
      [{ below: ['x'] }, 'Invalid join: below'],
      [{ below: Array.from({ length: 65 }, (_, i) => idOf(String(i))) }, 'Invalid join: below'],
      [{ now: '5' }, 'Invalid join: now'],
    ];
    for (const [params, sentence] of refusals) assert.equal((await hub.join(params)).error, sentence);
    assert.equal((await hub.visitor.call({ id: 1, method: 'join' })).error, 'Missing params');
    const notJoined = 'No hub has joined on this connection';
    assert.equal(await hub.share({ all: true }), notJoined);
    assert.equal((await hub.visitor.call(call(1, 'respond', { request_id: '1' }))).error, notJoined);
    assert.equal(house.hubs.size, 0);
    for (const name of ['a', 'b', 'c']) await LowerHub.join(house, name);
    assert.equal((await hub.join()).error, 'Too many hubs have joined: 3');
  });

  inHouse('takes the room of one that is lost, if there is no other', {}, async (house) => {
    const [a, b] = [await LowerHub.join(house, 'a'), await LowerHub.join(house, 'b')];
    await LowerHub.join(house, 'c');
    const lost = () => house.hubs.listMachines().filter(({ status }) => status === 'lost').length;
    b.visitor.peer.socket.destroy();
    await until(() => lost() === 1, 'b is lost');
    await sleep(20);
    a.visitor.peer.socket.destroy();
    await until(() => lost() === 2, 'a is lost');
    await LowerHub.join(house, 'd');
    assert.deepEqual(
      house.hubs.listMachines().map(({ name, status }) => [name, status]),
      [
        ['desk', 'connected'],
        ['a', 'lost'],
        ['c', 'connected'],
        ['d', 'connected'],
      ],
    );
  });

  inHouse('is no agent, and an agent is no hub', {}, async (house) => {
    house.roster.register({}, info('a'), '10.0.0.1');
    const hub = await LowerHub.join(house, 'laptop');
    const refused = 'A hub that has joined may not ask for that';
    for (const [method, params] of [
      ['register', { ...info('b'), status: 'active' }],
      ['deregister', { id: 'a' }],
      ['update', { name: 'n' }],
      ['list_nodes', {}],
      ['list_machines', {}],
      ['subscribe', { features: ['machines'] }],
      ['spawn_agent', { path: '/' }],
      ['list_directories', {}],
      ['spawn_status', { spawn_id: 'x', machine: 'laptop' }],
    ] as const) {
      assert.equal((await hub.visitor.call(call(1, method, params))).error, refused, method);
    }
    assert.equal(house.roster.size, 1);
    const agent = await house.open();
    agent.send(registration(info('c')));
    await agent.messages(2);
    const facts = { id: idOf('x'), name: 'x', version: '1', features: [], below: [], now: 1 };
    assert.equal((await agent.call(call(1, 'join', facts))).error, 'An agent cannot join as a hub');
  });

  inHouse('takes the place of its former connection', {}, async (house) => {
    const former = await LowerHub.join(house, 'laptop');
    await former.share({ all: true, put: [former.node('a', { reach: 'direct' })] });
    const hub = new LowerHub(await house.open(), 'laptop');
    hub.seq = 1;
    const { result } = await hub.join();
    assert.deepEqual([(result as Json).epoch, (result as Json).seq], ['e1', 1]);
    const { opcode, payload } = await former.visitor.peer.frame();
    assert.deepEqual(
      [opcode, payload.readUInt16BE(), payload.toString('utf8', 2)],
      [CLOSE, 1008, 'another hub has joined with this id'],
    );
    assert.equal(nodesOf(house)[0]?.reach, 'unproven');
    assert.deepEqual(await hub.share({}), { status: 'shared', seq: 2 });
    assert.equal(nodesOf(house)[0]?.reach, 'direct');
    former.visitor.peer.socket.destroy();
    await until(() => house.connections.size === 1, 'the former connection is gone');
    assert.deepEqual(await hub.share({ put: [hub.node('b')] }), { status: 'shared', seq: 3 });
    assert.deepEqual(house.hubEvents, ['joined laptop', 'joined laptop']);
    assert.equal(house.hubs.size, 1);
  });

  inHouse('may prove its id, and then nobody else can have it', {}, async (house) => {
    const claimant = await LowerHub.join(house, 'laptop', { key: null });
    await claimant.share({ all: true, put: [claimant.node('theirs')] });
    const hub = await LowerHub.join(house, 'laptop');
    assert.equal((await claimant.visitor.peer.frame()).opcode, CLOSE);
    assert.deepEqual(nodesOf(house), [], 'what an unproven one has shared is not its own');
    const thief = new LowerHub(await house.open(), 'laptop');
    assert.equal((await thief.join({ key: null })).error, 'Another hub has this id');
    hub.visitor.peer.socket.destroy();
    await until(() => house.hubEvents.includes('lost laptop'), 'it is lost');
    assert.equal((await thief.join({ key: null })).error, 'Another hub has this id');
    assert.equal((await thief.join({ key: 'guess' })).error, 'Invalid join: key');
  });

  inHouse('may join again as another', {}, async (house) => {
    const watcher = await watch(house);
    const hub = await LowerHub.join(house, 'laptop');
    await hub.share({ all: true, put: [hub.node('a')] });
    await hub.join({ id: idOf('tablet'), key: 'tablet', name: 'tablet' });
    assert.deepEqual((await watcher.messages(5)).map(({ event }) => event).sort(), [
      'machine_joined',
      'machine_joined',
      'machine_left',
      'node_joined',
      'node_removed',
    ]);
    assert.equal(house.hubs.size, 1);
  });
});

describe('the share of a hub', () => {
  inHouse('is told to all who watch, as changes of the roster', {}, async (house) => {
    const watcher = await watch(house);
    const hub = await LowerHub.join(house, 'laptop');
    await watcher.message();
    assert.deepEqual(await hub.share({ all: true, put: [hub.node('a', { state: 'idle' })] }), {
      status: 'shared',
      seq: 1,
    });
    const { path: _, ...node } = hub.node('a', { state: 'idle', hub: 'laptop' });
    assert.deepEqual(await watcher.message(), { event: 'node_joined', node });
    await hub.share({ put: [hub.node('a', { state: 'working' })] });
    assert.deepEqual(await watcher.message(), { event: 'node_updated', id: 'a', state: 'working' });
    await hub.share({ put: [hub.node('a', { status: 'offline', offline_since: 6 })] });
    assert.deepEqual(await watcher.messages(2), [
      { event: 'node_offline', id: 'a' },
      { event: 'node_updated', id: 'a', state: null },
    ]);
    await hub.share({ gone: ['a'] });
    assert.deepEqual(await watcher.message(), { event: 'node_removed', id: 'a' });
  });

  inHouse('is a snapshot in any number of parts, which counts once it is whole', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    await hub.share({ all: true, put: [hub.node('a'), hub.node('b')] });
    const ids = () => nodesOf(house).map(({ id }) => id);
    hub.epoch = 'e2';
    hub.seq = 10;
    assert.deepEqual(await hub.share({ all: true, more: true, put: [hub.node('c')] }), { status: 'shared', seq: 11 });
    await hub.share({ all: true, more: true, put: [hub.node('b')] });
    assert.deepEqual(ids(), ['a', 'b']);
    await hub.share({ all: true, put: [hub.node('d')] });
    assert.deepEqual(ids(), ['b', 'c', 'd']);
    assert.deepEqual(await hub.share({ gone: ['c'] }), { status: 'shared', seq: 14 });
    assert.equal(house.hubs.snapshotBytes, 0);
    // One that was not finished is nothing.
    await hub.share({ all: true, more: true, put: [hub.node('e')] });
    assert.match(String(await hub.share({ put: [hub.node('f')] })), /^Out of step/);
    hub.seq = 20;
    await hub.share({ all: true, put: [hub.node('g')] });
    assert.deepEqual(ids(), ['g']);
  });

  inHouse('is to be finished once it is begun', { hubLimits: { hubTtlMs: 50 } }, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    await hub.share({ all: true, more: true, put: [hub.node('a')] });
    const { opcode, payload } = await hub.visitor.peer.frame();
    assert.deepEqual([opcode, payload.readUInt16BE()], [CLOSE, 1008]);
    assert.equal(payload.toString('utf8', 2), 'a snapshot was not finished in time');
    hub.visitor.peer.socket.destroy();
    await until(() => house.hubs.size === 0, 'it has left');
    assert.equal(house.hubs.snapshotBytes, 0);
    assert.deepEqual(nodesOf(house), []);
  });

  inHouse(
    'is bounded while it is not finished, for all hubs together too',
    { hubLimits: { maxRosterBytes: 2000 } },
    async (house) => {
      const leftOut = [];
      const hubs = [];
      for (const name of ['a', 'b', 'c']) {
        const hub = await LowerHub.join(house, name);
        const put = [hub.node(`${name}1`, { cwd: 'x'.repeat(1400) }), hub.node(`${name}2`, { cwd: 'x'.repeat(1400) })];
        await hub.share({ all: true, more: true, put });
        assert.ok(house.hubs.snapshotBytes <= 4000);
        hubs.push(hub);
      }
      for (const hub of hubs) leftOut.push(((await hub.share({ all: true })) as Json).left_out);
      assert.deepEqual(leftOut, [1, 1, 2]);
      assert.equal(house.hubs.snapshotBytes, 0);
      assert.equal(nodesOf(house).length, 2);
    },
  );

  inHouse('is refused if a message is missing', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    assert.equal(await hub.share({ put: [hub.node('a')] }), 'Out of step: nothing is known of this hub');
    await hub.share({ all: true });
    hub.seq++;
    assert.equal(await hub.share({ put: [hub.node('a')] }), 'Out of step: 2 was last');
    hub.epoch = 'e2';
    hub.seq = 2;
    assert.equal(await hub.share({ put: [hub.node('a')] }), 'Out of step: 2 was last');
    hub.epoch = 'e1';
    hub.seq = 2;
    assert.deepEqual(await hub.share({ put: [hub.node('a')] }), { status: 'shared', seq: 3 });
    for (const [params, field] of [
      [{ epoch: '' }, 'epoch'],
      [{ seq: -1 }, 'seq'],
      [{ now: null }, 'now'],
      [{ all: 1 }, 'all'],
      [{ more: 'yes' }, 'more'],
      [{ put: {} }, 'put'],
      [{ gone: [1] }, 'gone'],
      [{ machines: {} }, 'machines'],
    ] as const) {
      assert.equal(await hub.share(params), `Invalid share: ${field}`);
    }
  });

  inHouse('leaves out values that are no nodes, or came by a path that they may not take', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    const a = hub.node('a');
    const path = (...ids: string[]) => ({ ...hub.node('p'), path: ids });
    const deep = Array.from({ length: 8 }, (_, i) => idOf(`deep${i}`));
    const put = [
      null,
      'a',
      { ...a, id: '' },
      { ...a, id: 'a\u0000' },
      { ...a, port: 0 },
      { ...a, status: 'asleep' },
      { ...a, machine: 7 },
      { ...a, cwd: 'x'.repeat(4097) },
      { ...a, path: undefined },
      path(),
      path('x', hub.id),
      path(idOf('other')),
      path(hub.id, idOf('other')),
      path(OWN_ID, hub.id),
      path(hub.id, hub.id),
      path(...deep, hub.id),
      path(...deep.slice(1), hub.id),
    ];
    assert.deepEqual(await hub.share({ all: true, put }), { status: 'shared', seq: 1, left_out: put.length - 1 });
    assert.deepEqual(
      nodesOf(house).map(({ id }) => id),
      ['p'],
    );
    assert.deepEqual(house.roster.pathOf('p'), [...deep.slice(1), hub.id]);
    assert.deepEqual(house.hubEvents, ['joined laptop', `left out ${put.length - 1} of laptop`]);
    await hub.share({ put: [null] });
    assert.equal(house.hubEvents.length, 2, 'it is told once');
  });

  inHouse('may be newer: fields that cannot be read are left out of a node', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    const newer = {
      state: 'dreaming',
      name: 'n',
      cost: -1,
      question: { id: 'q', kind: 'vote', title: 't' },
      reach: 'by-pigeon',
      reach_since: Number.MAX_SAFE_INTEGER,
      pid: 'x',
      spawn_id: 's',
      mood: { of: 'agents' },
      hub: 'desk',
      dialKey: 'k',
      context: { used: 1, max: 2, spare: 3 },
    };
    await hub.share({ all: true, put: [{ ...hub.node('a'), ...newer }] });
    const { path: _, ...known } = hub.node('a', {
      name: 'n',
      spawn_id: 's',
      context: { used: 1, max: 2 },
      hub: 'laptop',
    });
    assert.deepEqual(nodesOf(house), [known]);
  });

  inHouse('is not promised to be reached if its hub does not let others reach it', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop', { features: ['roster'] });
    await hub.share({ all: true, put: [hub.node('a', { reach: 'direct', reach_since: 1 })] });
    const [node] = nodesOf(house);
    const why = 'Cannot reach agent: its hub laptop does not let others reach its agents';
    assert.deepEqual([node?.reach, node?.reach_error], ['unproven', why]);
    await hub.join({ features: ['roster', 'relay'] });
    await hub.share({});
    const [again] = nodesOf(house);
    assert.deepEqual([again?.reach, again?.reach_since, again?.reach_error], ['direct', 1, undefined]);
  });

  inHouse('has its times on this clock', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop', { now: seconds() - 3600 });
    const theirs = { last_seen: 1000, state: 'idle', state_since: 2000, reach: 'direct', reach_since: 3000 } as const;
    await hub.share({
      now: seconds() - 3600,
      all: true,
      put: [hub.node('a', theirs)],
      machines: [hub.below('tablet')],
    });
    const [node] = nodesOf(house);
    const shifted = [node?.last_seen, node?.state_since, node?.reach_since, house.hubs.listMachines()[2]?.since];
    for (const [i, time] of [1000, 2000, 3000, 7].entries()) {
      assert.ok(Math.abs((shifted[i] as number) - time - 3600) < 60, `${shifted[i]} is ${time}, an hour later`);
    }
    const near = await LowerHub.join(house, 'tablet', { now: seconds() - 1 });
    await near.share({ all: true, put: [near.node('b', theirs)] });
    assert.equal(nodesOf(house)[1]?.last_seen, 1000, 'nearly the same is the same');
    const early = await LowerHub.join(house, 'phone', { now: seconds() + 3600 });
    await early.share({ now: seconds() + 3600, all: true, put: [early.node('c', theirs)] });
    assert.equal(nodesOf(house)[2]?.last_seen, 0, 'no time is before the beginning');
  });
});

describe('a hub whose connection is lost', () => {
  inHouse('leaves its nodes unproven, and comes back without a flicker', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    const put = [
      hub.node('a', { reach: 'direct', reach_since: 1 }),
      hub.node('b', { reach: 'direct', reach_since: 1 }),
    ];
    await hub.share({ all: true, put, machines: [hub.machine()] });
    const watcher = await watch(house);
    const before = house.roster.nodesJson;
    hub.visitor.peer.socket.destroy();
    const messages = await watcher.messages(3);
    const updates = messages.filter(({ event }) => event === 'node_updated');
    assert.deepEqual(
      updates.map(({ id, reach }) => [id, reach]),
      [
        ['a', 'unproven'],
        ['b', 'unproven'],
      ],
    );
    const update = messages.find(({ event }) => event === 'machine_updated') as { machine?: Machine } | undefined;
    assert.equal(update?.machine?.status, 'lost');
    const back = new LowerHub(await house.open(), 'laptop');
    back.seq = hub.seq;
    const { result } = await back.join();
    assert.deepEqual([(result as Json).epoch, (result as Json).seq], ['e1', 1]);
    assert.deepEqual(await back.share({}), { status: 'shared', seq: 2 });
    const events = await watcher.messages(3);
    assert.deepEqual(events.map(({ event, reach }) => [event, reach]).sort(), [
      ['machine_updated', undefined],
      ['node_updated', 'direct'],
      ['node_updated', 'direct'],
    ]);
    assert.equal(house.roster.nodesJson, before);
    assert.deepEqual(house.hubEvents, ['joined laptop', 'lost laptop', 'joined laptop']);
  });

  inHouse('comes back as another run: only differences are told', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    await hub.share({ all: true, put: [hub.node('a', { reach: 'direct' }), hub.node('b'), hub.node('c')] });
    hub.visitor.peer.socket.destroy();
    await until(() => house.hubEvents.includes('lost laptop'), 'it is lost');
    const watcher = await watch(house);
    const back = await LowerHub.join(house, 'laptop');
    back.epoch = 'e2';
    await back.share({ all: true, put: [back.node('a', { reach: 'direct' }), back.node('c', { name: 'n' })] });
    const messages = (await watcher.messages(4)).map(({ event, id, reach, name }) => [event, id, reach, name]);
    assert.equal(messages.filter(([event]) => event === 'machine_updated').length, 1);
    const roster = messages.filter(([event]) => event !== 'machine_updated');
    assert.deepEqual(
      roster.map(([event, id]) => [event, id]),
      [
        ['node_removed', 'b'],
        ['node_updated', 'a'],
        ['node_updated', 'c'],
      ],
    );
    assert.deepEqual([house.roster.get('a')?.reach, house.roster.get('c')?.reach], ['direct', undefined]);
  });

  inHouse('is gone after a while, with all that it has shared', { hubLimits: { hubTtlMs: 50 } }, async (house) => {
    house.roster.register({}, info('mine'), '10.0.0.1');
    const hub = await LowerHub.join(house, 'laptop');
    await hub.share({ all: true, put: [hub.node('a')], machines: [hub.machine(), hub.below('tablet')] });
    const watcher = await watch(house);
    hub.visitor.peer.socket.destroy();
    const messages = await watcher.messages(6);
    assert.deepEqual(messages.map(({ event }) => event).sort(), [
      'machine_left',
      'machine_left',
      'machine_updated',
      'machine_updated',
      'node_removed',
      'node_updated',
    ]);
    assert.deepEqual(
      nodesOf(house).map(({ id }) => id),
      ['mine'],
    );
    assert.deepEqual(house.hubEvents, ['joined laptop', 'lost laptop', 'left laptop']);
    assert.equal(house.hubs.listMachines().length, 1);
    assert.equal(house.hubs.size, 0);
    const { result } = await new LowerHub(await house.open(), 'laptop').join();
    assert.equal((result as Json).epoch, undefined);
  });

  inHouse(
    'and that comes back but shares nothing has no nodes after a while',
    { hubLimits: { hubTtlMs: 50 } },
    async (house) => {
      const hub = await LowerHub.join(house, 'laptop');
      await hub.share({ all: true, put: [hub.node('a')] });
      const back = await LowerHub.join(house, 'laptop');
      await until(() => house.roster.size === 0, 'its nodes are gone');
      assert.equal(house.hubs.size, 1);
      back.seq = 1;
      assert.equal(await back.share({}), 'Out of step: nothing is known of this hub');
    },
  );
});

describe('machines', () => {
  inHouse('are named and listed as their hubs say, each name and id once', {}, async (house) => {
    const one = await LowerHub.join(house, 'laptop');
    const two = await LowerHub.join(house, 'other', { name: 'laptop' });
    const tablet = one.below('tablet', { features: ALL, memory: 9, memory_free: 4 });
    await one.share({
      all: true,
      machines: [one.machine(), tablet],
      put: [one.node('a'), one.node('b', {}, [tablet.id])],
    });
    // The other one claims the same, and what is not its own.
    const claims = [
      two.machine({ name: 'laptop' }),
      { ...tablet, path: [tablet.id, two.id] },
      { ...one.machine(), path: [one.id, two.id] },
      { ...one.machine(), id: OWN_ID, path: [OWN_ID, two.id] },
      { ...tablet, path: [tablet.id] },
      null,
    ];
    await two.share({
      all: true,
      machines: claims,
      put: [two.node('c', {}, [tablet.id]), two.node('d', {}, [idOf('no')])],
    });
    const list = house.hubs.listMachines().map(({ id, name, via }) => [id, name, via]);
    assert.deepEqual(list, [
      [OWN_ID, 'desk', undefined],
      [one.id, 'laptop', undefined],
      [two.id, 'laptop-2', undefined],
      [tablet.id, 'tablet', 'laptop'],
      [`${tablet.id}@laptop-2`, 'tablet-2', 'laptop-2'],
      [`${one.id}@laptop-2`, 'laptop-3', 'laptop-2'],
    ]);
    assert.deepEqual(
      nodesOf(house).map(({ id, hub }) => [id, hub]),
      [
        ['a', 'laptop'],
        ['b', 'tablet'],
        ['c', 'tablet-2'],
        ['d', 'laptop-2'],
      ],
    );
    assert.deepEqual(house.hubs.below, [one.id, two.id, tablet.id]);
    const { path, ...facts } = tablet;
    assert.deepEqual(house.hubs.sharedMachines()[2], { ...facts, path });
    assert.deepEqual(house.hubs.listMachines()[3], { ...facts, status: 'connected', via: 'laptop' });
    // A hub joins that another one claims to have below it.
    const phone = await LowerHub.join(house, 'phone');
    assert.deepEqual(house.hubs.listMachines()[6], { ...house.hubs.listMachines()[6], id: phone.id, name: 'phone' });
  });

  inHouse('say since when they are joined, or lost, also by way of others', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    const told = () => house.hubs.listMachines().map(({ name, since, status }) => [name, since > 1e9, status]);
    const tablet = hub.below('tablet');
    await hub.share({
      all: true,
      machines: [
        { ...hub.machine(), lost: true },
        { ...tablet, lost: true },
      ],
    });
    assert.deepEqual(told().slice(1), [
      // What a hub says of itself does not count.
      ['laptop', true, 'connected'],
      ['tablet', false, 'lost'],
    ]);
    assert.equal(house.hubs.sharedMachines()[1]?.lost, true);
    const asked = await (await watch(house)).call(call(1, 'list_directories', { machine: 'tablet' }));
    assert.equal(asked.error, 'Machine tablet is not connected');
    await hub.share({ machines: [hub.machine(), tablet] });
    assert.deepEqual(told()[2], ['tablet', false, 'connected']);
    hub.visitor.peer.socket.destroy();
    await until(() => house.hubEvents.includes('lost laptop'), 'it is lost');
    assert.deepEqual(told().slice(1), [
      ['laptop', true, 'lost'],
      ['tablet', true, 'lost'],
    ]);
  });

  inHouse('that a hub joined as itself have their own id, whoever claimed it before', {}, async (house) => {
    const one = await LowerHub.join(house, 'laptop');
    await one.share({ all: true, machines: [one.machine(), one.below('tablet')] });
    const tablet = await LowerHub.join(house, 'tablet');
    const list = house.hubs.listMachines().map(({ id, name }) => [id, name]);
    assert.deepEqual(list.slice(1), [
      [one.id, 'laptop'],
      [tablet.id, 'tablet'],
      [`${tablet.id}@laptop`, 'tablet-2'],
    ]);
    assert.deepEqual(
      house.hubs.sharedMachines().map(({ path }) => path),
      [[one.id], [tablet.id]],
    );
  });

  inHouse('get another name, and their nodes are shown there at once', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    const tablet = idOf('tablet');
    await hub.share({
      all: true,
      machines: [hub.machine(), hub.below('tablet')],
      put: [hub.node('a'), hub.node('b', {}, [tablet])],
    });
    const hubsOf = () => nodesOf(house).map((node) => node.hub);
    assert.deepEqual(hubsOf(), ['laptop', 'tablet']);
    await hub.join({ name: 'notebook' });
    assert.deepEqual(hubsOf(), ['notebook', 'tablet']);
    await LowerHub.join(house, 'tablet');
    assert.deepEqual(hubsOf(), ['notebook', 'tablet-2'], 'the name is that of the hub that joined as itself');
    assert.match(String(await hub.share({ epoch: 'e9', machines: [hub.machine({ name: 'no' })] })), /^Out of step/);
    assert.deepEqual(hubsOf(), ['notebook', 'tablet-2']);
  });

  inHouse('change and go, and nodes are where they are said to be', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    await hub.share({ all: true, put: [hub.node('a', {}, [idOf('tablet')])] });
    const watcher = await watch(house);
    assert.equal(house.roster.get('a')?.hub, 'laptop', 'of a machine that is not known the hub is shown');
    await hub.share({ machines: [hub.machine({ nodes: 2, load: 3 }), hub.below('tablet')] });
    const messages = await watcher.messages(3);
    assert.deepEqual(messages.map(({ event }) => event).sort(), ['machine_joined', 'machine_updated', 'node_updated']);
    assert.equal(house.roster.get('a')?.hub, 'tablet');
    await hub.share({ machines: [hub.machine({ nodes: 2, load: 3 }), hub.below('tablet', { name: 'slate' })] });
    await watcher.messages(2);
    assert.equal(house.roster.get('a')?.hub, 'slate');
    await hub.share({ machines: [hub.machine({ nodes: 2, load: 3 }), hub.below('tablet', { name: 'slate' })] });
    await hub.share({ machines: [hub.machine({ nodes: 2, load: 3 })] });
    const last = await watcher.messages(2);
    assert.deepEqual(
      last.find(({ event }) => event === 'machine_left'),
      { event: 'machine_left', id: idOf('tablet') },
    );
  });
});

describe('a request to another machine', () => {
  const DIRECTORIES = { current: '/home/u', directories: ['a', 'b'] };

  inHouse('goes to its hub, and the answer comes back', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    const client = await watch(house);
    for (const machine of ['laptop', hub.id]) {
      client.send(call(1, 'list_directories', { machine, path: '/home/u', tricks: true }));
      const { event, request_id, method, params } = await hub.visitor.message();
      assert.deepEqual([event, method, params], ['request', 'list_directories', { path: '/home/u' }]);
      const noted = await hub.visitor.call(call(9, 'respond', { request_id, result: { ...DIRECTORIES, more: 1 } }));
      assert.deepEqual(noted, { id: 9, result: { status: 'noted' } });
      assert.deepEqual(await client.message(), { id: 1, result: DIRECTORIES });
    }
    client.send(call(2, 'list_sessions', { machine: 'laptop' }));
    const { request_id } = await hub.visitor.message();
    const session = { session: '/s', modified: 5, first: 'hi' };
    await hub.visitor.call(
      call(9, 'respond', { request_id, result: { path: '/p', sessions: [{ ...session, x: 1 }] } }),
    );
    assert.deepEqual(await client.message(), { id: 2, result: { path: '/p', sessions: [session] } });
    client.send(call(3, 'list_directories', { machine: 'laptop', path: '/etc' }));
    const second = await hub.visitor.message();
    await hub.visitor.call(call(9, 'respond', { request_id: second.request_id, error: 'Path resolves outside' }));
    assert.deepEqual(await client.message(), { id: 3, error: 'Path resolves outside' });
    // What cannot be written is not passed on, and nothing waits for it.
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    client.send(`{"id":3,"method":"list_directories","params":{"machine":"laptop","path":${deep}}}`);
    assert.deepEqual(await client.message(), { id: 3, error: 'Invalid params: path' });
    assert.deepEqual(house.faults, []);
    // This machine itself, by whatever name.
    for (const params of [{}, { machine: null }, { machine: 'desk' }, { machine: OWN_ID }]) {
      assert.deepEqual(await client.call(call(4, 'list_directories', params)), { id: 4, result: {} });
    }
  });

  inHouse('that cannot be made is refused in words', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    await LowerHub.join(house, 'careful', { features: ['roster', 'relay'] });
    const client = await house.open({ fromBrowser: true });
    await client.message();
    const ask = async (machine: unknown) => (await client.call(call(1, 'list_directories', { machine }))).error;
    assert.equal(await ask('nowhere'), 'No machine called nowhere');
    assert.equal(await ask(''), 'No machine called ');
    assert.equal(await ask(7), 'Invalid params: machine');
    assert.equal(await ask('x'.repeat(2000)), 'Invalid params: machine');
    assert.equal(await ask('careful'), 'Machine careful does not let others start agents on it');
    client.send(call(2, 'list_directories', { machine: 'laptop' }));
    const { request_id: next } = await hub.visitor.message();
    await hub.visitor.call(call(1, 'respond', { request_id: next, result: { current: 7 } }));
    assert.equal((await client.message()).error, 'Machine laptop has answered something else');
    assert.equal((await hub.visitor.call(call(1, 'respond', { request_id: 7 }))).error, 'Invalid response: request_id');
    assert.equal(
      (await hub.visitor.call(call(1, 'respond', { request_id: 'x', push: {} }))).error,
      'Invalid response: push',
    );
    hub.visitor.peer.socket.destroy();
    await until(() => house.hubEvents.includes('lost laptop'), 'it is lost');
    assert.equal(await ask('laptop'), 'Machine laptop is not connected');
  });

  inHouse('that is not answered in time fails, once', { hubLimits: { hubRequestTimeoutMs: 50 } }, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    const client = await house.open({ fromBrowser: true });
    await client.message();
    const { error } = await client.call(call(1, 'list_directories', { machine: 'laptop' }));
    assert.equal(error, 'Machine laptop did not answer in time');
    const { request_id } = await hub.visitor.message();
    const late = await hub.visitor.call(call(1, 'respond', { request_id, result: DIRECTORIES }));
    assert.deepEqual(late.result, { status: 'noted' });
    assert.equal((await client.call(call(2, 'ping'))).id, 2);
  });

  inHouse('whose hub is lost meanwhile fails at once', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    const client = await house.open({ fromBrowser: true });
    client.send(call(1, 'spawn_agent', { machine: 'laptop', path: '/p' }));
    await hub.visitor.message();
    hub.visitor.peer.socket.destroy();
    const [, answer] = await client.messages(2);
    assert.deepEqual(answer, { id: 1, error: 'Machine laptop is not connected' });
  });

  inHouse('below a hub goes through that hub, with its id', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    const tablet = hub.below('tablet');
    await hub.share({ all: true, machines: [hub.machine(), tablet, hub.below('dull', { features: [] })] });
    const client = await watch(house);
    client.send(call(1, 'list_directories', { machine: 'tablet' }));
    const { params } = await hub.visitor.message();
    assert.deepEqual(params, { machine: tablet.id });
    assert.equal(
      (await client.call(call(2, 'spawn_agent', { machine: 'dull', path: '/' }))).error,
      'Machine dull does not let others start agents on it',
    );
  });

  inHouse('to start an agent tells its caller of the end, and nobody else', {}, async (house) => {
    const hub = await LowerHub.join(house, 'laptop');
    house.roster.register({}, info('a'), '10.0.0.1');
    await hub.share({ all: true, put: [hub.node('a', { spawn_id: 's1' })] });
    const [client, other] = [await watch(house), await watch(house)];
    client.send(call(1, 'spawn_agent', { machine: 'laptop', path: '/p', new_folder: 'n', model: 'm', prompt: 'p' }));
    const { request_id, params } = await hub.visitor.message();
    assert.deepEqual(params, { path: '/p', new_folder: 'n', model: 'm', prompt: 'p' });
    const started = { status: 'spawning', path: '/p/n', spawn_id: 's1' };
    await hub.visitor.call(call(9, 'respond', { request_id, result: started }));
    assert.deepEqual(await client.message(), { id: 1, result: started });
    client.send(call(2, 'spawn_status', { machine: 'laptop', spawn_id: 's1' }));
    const status = await hub.visitor.message();
    assert.deepEqual([status.method, status.params], ['spawn_status', { spawn_id: 's1' }]);
    await hub.visitor.call(
      call(9, 'respond', { request_id: status.request_id, result: { status: 'registered', node: 'a' } }),
    );
    assert.deepEqual(await client.message(), { id: 2, result: { status: 'registered', node: 'a@laptop' } });
    const ended = { event: 'spawn_ended', spawn_id: 's1', exit_code: 1, signal: null, output: 'oh' };
    for (const push of [{ ...ended, spawn_id: 's2' }, ended, ended]) {
      await hub.visitor.call(call(9, 'respond', { request_id, push }));
    }
    assert.deepEqual(await client.message(), ended);
    assert.deepEqual((await client.call(call(3, 'ping'))).id, 3, 'it is told once');
    assert.deepEqual((await other.call(call(3, 'ping'))).id, 3);
  });
});
