import assert from 'node:assert/strict';
import { it } from 'node:test';
import { expectedMs, measurementsOf, runScenario } from '../../bench/run.ts';
import type { Scenario, Subject, Workload } from '../../bench/scenario.ts';

const PACE = { rounds: 4, warmUpMs: 500, windowMs: 1500 };
const subjects: Subject[] = ['a', 'b'].map((name) => ({ name, version: async () => '1' }));

function workload(name: string, rest: Partial<Workload> = {}): Workload {
  const measure = async () => ({ work: 1, cpuSeconds: 1, seconds: 1, residentBytes: 1 });
  return { name, subjects, targets: [], measure, ...rest };
}

function scenario(...workloads: Workload[]): Scenario {
  return { name: 'scenario', title: '', description: '', unit: 'times', baseline: 'b', workloads };
}

it('a workload may have fewer rounds than the run, never more', () => {
  assert.equal(measurementsOf(workload('any'), PACE), 10);
  assert.equal(measurementsOf(workload('long', { maxRounds: 2 }), PACE), 6);
  assert.equal(measurementsOf(workload('short', { maxRounds: 9 }), PACE), 10);
});

it('a workload may do without the round that is dropped', async () => {
  const cold = workload('cold', { maxRounds: 2, dropsFirst: false });
  assert.equal(measurementsOf(cold, PACE), 4);
  const order: string[] = [];
  const measure = async ({ name }: Subject) => {
    order.push(name);
    return { work: 1, cpuSeconds: 1, seconds: 1, residentBytes: 1 };
  };
  await runScenario(scenario({ ...cold, measure }), PACE, { begin() {}, done() {} });
  assert.deepEqual(order, ['b', 'a', 'a', 'b']);
});

it('a measurement that hangs is given up', async () => {
  const hanging = workload('any', { seconds: 0, measure: () => new Promise(() => {}) });
  const run = runScenario(scenario(hanging), { ...PACE, maxStallMs: 50 }, { begin() {}, done() {} });
  await assert.rejects(run, /^Error: scenario, any, a: no end within 0 s$/);
});

it('what is expected is start, warm-up and window, or what the workload says', () => {
  assert.ok(expectedMs(workload('any'), PACE) > 2000);
  assert.equal(expectedMs(workload('long', { seconds: 10 }), PACE), 10_000);
});

it('a run takes as many measurements as were expected, the first round of them dropped', async () => {
  const long = scenario(workload('any'), workload('long', { maxRounds: 2, seconds: 10 }));
  const done: number[] = [];
  const { workloads } = await runScenario(long, PACE, { begin() {}, done: (ms) => done.push(ms) });
  assert.equal(done.length, 16);
  assert.equal(done.filter((ms) => ms === 10_000).length, 6);
  assert.deepEqual(
    workloads.map(({ rounds }) => [...rounds.values()].map(({ length }) => length)),
    [
      [4, 4],
      [2, 2],
    ],
  );
});
