/** Hubs that say anything at all: what is wrong is refused in words, and what they have shared stays whole. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Hubs } from '../../src/join/hubs.ts';
import type { Machine, MachineEvent } from '../../src/protocol/hub.ts';
import type { Node } from '../../src/protocol/registry.ts';
import { WaysBack } from '../../src/proxy/ways-back.ts';
import { hubIdOf } from '../../src/registry/hub-params.ts';
import type { Caller } from '../../src/registry/methods.ts';
import { encodeInit } from '../../src/registry/registry.ts';
import { Roster } from '../../src/registry/roster.ts';
import { RpcError } from '../../src/registry/rpc.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';

type Json = Record<string, unknown>;

const LIMITS = { maxNodes: 20, maxRosterBytes: 4000, maxHubs: 3, hubTtlMs: 3_600_000, hubRequestTimeoutMs: 3_600_000 };
const CONNECT = { maxHeadBytes: 16_384, maxHeadFields: 100, pingIntervalMs: 60_000 } as never;
const KEYS = ['a', 'b', 'c'];

/** Each field is as it should be, or anything. */
function nearly(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Json> {
  const mostly = Object.entries(fields).map(([name, value]) => [
    name,
    fc.oneof(
      { weight: 60, arbitrary: value },
      { weight: 1, arbitrary: fc.option(fc.jsonValue({ maxDepth: 2 }), { nil: undefined }) },
    ),
  ]);
  return fc.record(Object.fromEntries(mostly)) as fc.Arbitrary<Json>;
}

const KEY = fc.constantFrom(...KEYS);
const ID = KEY.map(hubIdOf);
const PATH = fc.array(ID, { minLength: 1, maxLength: 2 });
const FEATURES = fc.subarray(['roster', 'relay', 'spawn', 'odd']);
const NODE = nearly({
  id: fc.constantFrom('x', 'y', 'x@a', 'local'),
  machine: fc.constant('m'),
  cwd: fc.constantFrom('/', '/long'.repeat(50)),
  port: fc.constant(1),
  status: fc.constantFrom('active', 'offline'),
  reach: fc.constantFrom('direct', 'unproven'),
  last_seen: fc.nat(5),
  name: fc.constantFrom('n', 'm'),
  path: PATH,
});
const MACHINE = nearly({
  id: ID,
  name: KEY,
  version: KEY,
  since: fc.nat(),
  nodes: fc.nat(),
  features: FEATURES,
  path: PATH,
});
const SHARE = nearly({
  epoch: fc.constantFrom('e', 'f'),
  seq: fc.nat(4),
  now: fc.nat(),
  all: fc.boolean(),
  more: fc.boolean(),
  put: fc.array(NODE, { maxLength: 4 }),
  gone: fc.array(fc.constantFrom('x', 'y', 'local'), { maxLength: 2 }),
  machines: fc.array(MACHINE, { maxLength: 4 }),
});
const JOIN = KEY.chain((key) =>
  nearly({
    id: fc.constant(hubIdOf(key)),
    key: fc.constantFrom(key, undefined),
    name: fc.constantFrom('a', 'b'),
    version: fc.constant('1'),
    features: FEATURES,
    below: fc.constant([]),
    now: fc.nat(),
  }),
);
const RESPOND = nearly({
  request_id: fc.constantFrom('1', '2', '3'),
  result: fc.constantFrom({ current: '/', directories: [] }, { status: 'spawning', path: '/', spawn_id: 's' }),
  error: fc.constantFrom('no', undefined),
  push: fc.constantFrom(undefined, { event: 'spawn_ended', spawn_id: 's', exit_code: 1, signal: null, output: '' }),
});
const ASK = nearly({ machine: fc.oneof(KEY, ID, fc.constantFrom('desk', 'a-2')), path: fc.constant('/') });
const COMMAND = fc.tuple(
  fc.nat(3),
  fc.oneof(
    fc.tuple(fc.constant('join' as const), JOIN),
    fc.tuple(fc.constant('share' as const), SHARE),
    fc.tuple(fc.constant('share' as const), SHARE),
    fc.tuple(fc.constant('respond' as const), RESPOND),
    fc.tuple(fc.constant('ask' as const), ASK),
    fc.tuple(fc.constant('leave' as const), fc.constant({})),
  ),
);

describe('hubs that say anything', () => {
  it('are refused in words, and leave a roster and machines that are whole', async () => {
    const deadlines = new Deadlines();
    await fc.assert(
      fc.asyncProperty(fc.array(COMMAND, { maxLength: 60, size: 'max' }), async (commands) => {
        const known = new Map<string, Machine>();
        const roster = new Roster({
          nodeTtlMs: 60_000,
          maxNodes: LIMITS.maxNodes,
          maxRosterBytes: LIMITS.maxRosterBytes,
          backlogBudgetBytes: 1e6,
          deadlines,
          judge: (_machine, address) => ({ address, isHere: false, namesHere: false }),
          onEvent: () => {},
        });
        const nothing = () => {};
        const hubs = new Hubs({
          own: {
            ...{ id: hubIdOf('own'), name: 'desk', host: 'desk', version: '1', since: 1, up: () => [] },
            vitals: () => ({ load: 0, cpus: 1, memory_free: null, memory: 1 }),
          },
          roster,
          waysBack: new WaysBack({ deadlines, limits: CONNECT }),
          deadlines,
          limits: LIMITS,
          events: {
            onJoined: nothing,
            onLost: nothing,
            onLeft: nothing,
            onLeftOut: nothing,
            onMachinesChanged: nothing,
          },
        });
        const answers: Promise<unknown>[] = [];
        const callers = Array.from({ length: 5 }, () => {
          const caller = {
            ...{ remoteAddress: '10.0.0.1', isCongested: false },
            ...{ onRegistered: nothing, onSubscribe: () => true, askBack: nothing, onSpawnEnded: nothing },
            ...{ onJoined: nothing, push: nothing },
            dismiss: () => hubs.leave(caller),
            onMachine: (event: MachineEvent) => {
              if (event.event === 'machine_left') known.delete(event.id);
              else known.set(event.machine.id, event.machine);
            },
          } as unknown as Caller;
          return caller;
        });
        hubs.watch(callers[4] as Caller);
        roster.register({}, { id: 'local', machine: 'desk', cwd: '/', port: 1 }, '10.0.0.9');
        for (const [index, [kind, params]] of commands) {
          const caller = callers[index] as Caller;
          try {
            if (kind === 'leave') hubs.leave(caller);
            else if (kind === 'ask')
              answers.push(hubs.elsewhere('spawn_agent', params, caller)?.() ?? Promise.resolve());
            else hubs[kind](caller, params);
          } catch (error) {
            assert.ok(error instanceof RpcError, String((error as Error).stack));
          }
          const nodes = JSON.parse(roster.nodesJson) as Node[];
          assert.equal(new Set(nodes.map(({ id }) => id)).size, nodes.length);
          assert.equal(roster.initBytes, Buffer.byteLength(encodeInit(roster.nodesJson)));
          assert.equal(roster.get('local')?.machine, 'desk');
          assert.ok(nodes.length - 1 <= (LIMITS.maxNodes * 3) / 4);
          const machines = hubs.listMachines();
          for (const field of ['id', 'name'] as const) {
            assert.equal(new Set(machines.map((machine) => machine[field])).size, machines.length, field);
          }
          assert.deepEqual(new Set(machines.slice(1)), new Set(known.values()));
          assert.ok(hubs.snapshotBytes >= 0 && hubs.snapshotBytes <= 2 * LIMITS.maxRosterBytes);
          for (const { hub } of nodes) assert.ok(hub === undefined || machines.some(({ name }) => name === hub), hub);
        }
        hubs.close();
        roster.close();
        assert.equal(hubs.snapshotBytes, 0);
        assert.equal(roster.size, 1);
        // Whatever was asked has its answer, or is told that there is none.
        for (const settled of await Promise.allSettled(answers)) {
          assert.ok(settled.status === 'fulfilled' || settled.reason instanceof RpcError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
