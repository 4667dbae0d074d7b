import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Machine, MachineEvent, SharedMachine } from '../../src/protocol/hub.ts';
import { Machines } from '../../src/registry/machines.ts';

const OWN = { id: 'own', name: 'desk' };
const machine = (id: string, fields: Partial<SharedMachine> = {}): SharedMachine => {
  return { id, name: id, version: '1', since: 5, nodes: 0, features: ['relay', 'spawn'], path: [id], ...fields };
};

function setUp() {
  const events: MachineEvent[] = [];
  const known = new Map<string, Machine>();
  const machines = new Machines(OWN, (event) => {
    events.push(event);
    if (event.event === 'machine_left') {
      assert.ok(known.delete(event.id), `${event.id} was known`);
    } else {
      assert.equal(known.has(event.machine.id), event.event === 'machine_updated', event.machine.id);
      known.set(event.machine.id, event.machine);
    }
  });
  return { machines, events, known };
}

describe('Machines', () => {
  it('says since when a hub is joined, and since when it is lost', () => {
    const { machines } = setUp();
    const since = () => machines.list.map(({ name, status, since }) => [name, status, since]);
    machines.join(machine('a', { since: 100 }));
    machines.tell('a', [machine('a', { since: 7 }), machine('b', { since: 8, path: ['b', 'a'] })]);
    assert.deepEqual(since(), [
      ['a', 'connected', 100],
      ['b', 'connected', 8],
    ]);
    machines.lose('a', 200);
    assert.deepEqual(since(), [
      ['a', 'lost', 200],
      ['b', 'lost', 200],
    ]);
    machines.join(machine('a', { since: 300 }));
    assert.deepEqual(since(), [
      ['a', 'connected', 300],
      ['b', 'connected', 8],
    ]);
  });

  it('calls none like an id, which a caller may mean while that machine is away', () => {
    const { machines } = setUp();
    const id = 'a'.repeat(32);
    machines.join(machine('hostile', { name: id }));
    assert.equal(machines.find(id), null);
    machines.tell('hostile', [machine('hostile', { name: 'b'.repeat(32) })]);
    assert.equal(machines.find('b'.repeat(32)), null);
    assert.deepEqual(
      machines.list.map(({ name }) => name),
      [`${'b'.repeat(32)}-2`],
    );
  });

  it('lets callers do what every hub on the way lets them do', () => {
    const { machines } = setUp();
    machines.join(machine('a', { features: ['roster', 'spawn'] }));
    machines.tell('a', [machine('a', { features: ['roster', 'relay', 'spawn'] }), machine('b', { path: ['b', 'a'] })]);
    assert.deepEqual(
      machines.list.map(({ features }) => features),
      [['roster', 'spawn'], ['spawn']],
    );
    machines.join(machine('a', { features: ['relay'] }));
    assert.deepEqual(
      machines.list.map(({ features }) => features),
      [['relay'], ['relay']],
    );
  });

  it('is found by id before name: anybody may choose a name', () => {
    const { machines } = setUp();
    machines.join(machine('a', { name: 'b' }));
    machines.join(machine('b', { name: 'a' }));
    machines.join(machine('c', { name: 'own' }));
    const found = (nameOrId: string) => {
      const it = machines.find(nameOrId);
      return it === null || it === 'here' ? it : it.id;
    };
    assert.deepEqual(['a', 'b', 'c', 'own', 'desk', 'd'].map(found), ['a', 'b', 'c', 'here', 'here', null]);
  });

  it('whose hub gets another name are said to be reached by that one', () => {
    const { machines, known } = setUp();
    machines.join(machine('a'));
    machines.tell('a', [machine('a'), machine('b', { path: ['b', 'a'] })]);
    assert.equal(known.get('b')?.via, 'a');
    machines.join(machine('a', { name: 'new' }));
    assert.deepEqual([known.get('a')?.name, known.get('b')?.via], ['new', 'new']);
    assert.equal(machines.nameOfHub('nobody'), '');
    assert.deepEqual(
      [machines.nameOf('a', 'a'), machines.nameOf('a', 'b'), machines.nameOf('a', 'x')],
      ['new', 'b', 'new'],
    );
  });

  it('have names and ids of their own, and whoever is told of all changes knows all, whatever happens', () => {
    const ID = fc.constantFrom('a', 'b', 'c', 'd');
    const NAME = fc.constantFrom('desk', 'a', 'a-2', 'x');
    const TOLD = fc.array(fc.tuple(ID, NAME, fc.nat(2)), { maxLength: 4 });
    const COMMAND = fc.oneof(
      fc.record({ kind: fc.constant('join' as const), hub: ID, name: NAME }),
      fc.record({ kind: fc.constant('tell' as const), hub: ID, told: TOLD }),
      fc.record({ kind: fc.constant('lose' as const), hub: ID }),
      fc.record({ kind: fc.constant('leave' as const), hub: ID }),
    );
    fc.assert(
      fc.property(fc.array(COMMAND, { maxLength: 25, size: 'max' }), (commands) => {
        const { machines, known } = setUp();
        const joined = new Set<string>();
        for (const [i, command] of commands.entries()) {
          const { hub } = command;
          switch (command.kind) {
            case 'join':
              machines.join(machine(hub, { name: command.name }));
              joined.add(hub);
              break;
            case 'tell': {
              const told = new Map(command.told.map(([id, name, nodes]) => [id, { id, name, nodes }]));
              machines.tell(
                hub,
                [...told.values()].map((it) => machine(it.id, { ...it, path: it.id === hub ? [hub] : [it.id, hub] })),
              );
              break;
            }
            case 'lose':
              machines.lose(hub, i);
              break;
            case 'leave':
              machines.leave(hub);
              joined.delete(hub);
          }
          const list = machines.list;
          const byId = (one: Machine, other: Machine) => (one.id < other.id ? -1 : 1);
          assert.deepEqual([...list].sort(byId), [...known.values()].sort(byId));
          const names = list.map(({ name }) => name).concat(OWN.name);
          assert.equal(new Set(names).size, names.length, `${names} are different`);
          for (const it of list) {
            const found = machines.find(it.id);
            assert.ok(found !== null && found !== 'here' && found.name === it.name, `${it.id} is found`);
            if (it.via !== undefined) assert.ok(joined.has(found.hubId), 'it is below a hub that has joined');
          }
          for (const id of joined) {
            assert.equal(known.get(id)?.via, undefined, 'the id of a hub that has joined is its own');
            assert.equal(machines.nameOfHub(id), known.get(id)?.name);
          }
          if (joined.size === 0) assert.equal(list.length, 0);
          const shared = machines.shared.map(({ id }) => id);
          assert.equal(new Set(shared).size, shared.length);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
