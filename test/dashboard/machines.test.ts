import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadOf, memory } from '../../src/dashboard/state/format.ts';
import {
  firstChoice,
  idAtHub,
  innerMachineOf,
  inOrder,
  machineNameOf,
  machinesAfter,
  machinesOf,
  startable,
  withheld,
} from '../../src/dashboard/state/machines.ts';
import type { Machine } from '../../src/protocol/hub.ts';
import type { Node } from '../../src/protocol/registry.ts';

const machine = (id: string, fields: Partial<Machine> = {}): Machine => ({
  id,
  name: id,
  version: '1.0.0',
  since: 1,
  nodes: 0,
  features: ['roster', 'relay', 'spawn'],
  status: 'connected',
  ...fields,
});
const node = (fields: Partial<Node>): Node => ({
  id: 'ada',
  machine: 'desk',
  cwd: '/',
  port: 1,
  status: 'active',
  ...fields,
});
const desk = machine('desk', { here: true });
const names = (list: Iterable<Machine>) => [...list].map(({ name }) => name);

describe('the machines', () => {
  it('join, change and leave', () => {
    const one = machinesOf([desk]);
    const two = machinesAfter(one, { event: 'machine_joined', machine: machine('laptop') });
    assert.deepEqual(names(two.values()), ['desk', 'laptop']);
    const lost = machinesAfter(two, { event: 'machine_updated', machine: machine('laptop', { status: 'lost' }) });
    assert.equal(lost.get('laptop')?.status, 'lost');
    assert.deepEqual(names(machinesAfter(lost, { event: 'machine_left', id: 'laptop' }).values()), ['desk']);
    assert.equal(machinesAfter(one, { event: 'machine_left', id: 'nobody' }), one);
  });

  it('stand in order: the daemon’s own first, the others by name', () => {
    const all = machinesOf([machine('rack10'), machine('Rack2'), desk]);
    assert.deepEqual(names(inOrder(all)), ['desk', 'Rack2', 'rack10']);
  });

  it('say in words which rights they withhold', () => {
    assert.deepEqual(withheld(desk), []);
    assert.deepEqual(withheld(machine('x', { features: ['roster'] })), [
      'let anybody talk to its agents',
      'let agents be started',
    ]);
  });
});

describe('the machine to start an agent on', () => {
  const laptop = machine('laptop');
  const lost = machine('rack', { status: 'lost' });
  const choices = startable(machinesOf([lost, laptop, desk, machine('shy', { features: ['roster', 'relay'] })]));

  it('is one that allows it', () => assert.deepEqual(names(choices), ['desk', 'laptop', 'rack']));

  it('is the one that was chosen last, if it is connected; else the daemon’s own', () => {
    const cases: [string | null, string][] = [
      [null, 'desk'],
      ['laptop', 'laptop'],
      ['rack', 'desk'],
      ['gone', 'desk'],
    ];
    for (const [last, first] of cases) assert.equal(firstChoice(choices, last)?.name, first);
    assert.equal(firstChoice([lost], null), lost);
    assert.equal(firstChoice([], 'desk'), null);
  });
});

describe('the machine of an agent', () => {
  it('is its hub’s, or the one it named; loopback names say nothing to others', () => {
    const cases: [Partial<Node>, string | null, string, string | null][] = [
      [{}, null, 'desk', null],
      [{ machine: 'vm' }, 'desk', 'vm', null],
      [{ machine: '127.0.0.1' }, null, '127.0.0.1', null],
      [{ machine: 'localhost' }, 'desk', 'desk', null],
      [{ machine: 'desk.lan' }, 'desk', 'desk', null],
      [{ machine: 'desk.lan' }, null, 'desk.lan', null],
      [{ hub: 'laptop', machine: 'laptop' }, 'desk', 'laptop', null],
      [{ hub: 'laptop-2', machine: 'laptop' }, 'desk', 'laptop-2', null],
      [{ hub: 'laptop', machine: '::1' }, 'desk', 'laptop', null],
      [{ hub: 'laptop', machine: 'vm' }, 'desk', 'laptop', 'vm'],
    ];
    for (const [fields, here, name, inner] of cases) {
      assert.equal(
        machineNameOf(node(fields), here === null ? null : { name: here, host: 'desk.lan' }),
        name,
        JSON.stringify(fields),
      );
      assert.equal(innerMachineOf(node(fields)), inner, JSON.stringify(fields));
    }
  });

  it('may have given it another id', () => {
    const cases: [Partial<Node>, string | null][] = [
      [{ id: 'ada' }, null],
      [{ id: 'ada@laptop' }, null],
      [{ id: 'ada', hub: 'laptop' }, null],
      [{ id: 'ada@laptop', hub: 'laptop' }, 'ada'],
      [{ id: 'ada@laptop-2', hub: 'laptop' }, 'ada'],
      [{ id: 'ada@laptops', hub: 'laptop' }, null],
      [{ id: '@laptop', hub: 'laptop' }, null],
    ];
    for (const [fields, id] of cases) assert.equal(idAtHub(node(fields)), id, JSON.stringify(fields));
  });
});

describe('figures of machines', () => {
  it('are short', () => {
    assert.deepEqual([0, 900 * 2 ** 20, 3.14 * 2 ** 30, 2 ** 30, 15.6 * 2 ** 30].map(memory), [
      '0 MiB',
      '900 MiB',
      '3.1 GiB',
      '1 GiB',
      '16 GiB',
    ]);
    assert.deepEqual([loadOf(0.42, 8), loadOf(12.3, 4), loadOf(1, undefined)], ['0.4 of 8', '12 of 4', '1.0']);
  });
});
