import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { QUICK, quickened } from '../../bench/pace.ts';
import { expectedMs, measurementsOf } from '../../bench/run.ts';
import { SCENARIOS } from '../../bench/scenarios/index.ts';

describe('the scenarios', () => {
  it('are run in parts, by the first word of their names, each in under a minute in a quick run', () => {
    for (const part of new Set(SCENARIOS.map(({ name }) => name.split('-')[0]))) {
      const workloads = SCENARIOS.filter(({ name }) => name.split('-')[0] === part)
        .flatMap((scenario) => scenario.workloads)
        .flatMap(quickened);
      const ms = workloads.reduce(
        (sum, workload) => sum + measurementsOf(workload, QUICK) * expectedMs(workload, QUICK),
        0,
      );
      assert.ok(ms > 0 && ms <= 60_000, `${part}: ${ms} ms`);
    }
  });

  it('are named once, and so are their workloads', () => {
    for (const names of [
      SCENARIOS.map(({ name }) => name),
      ...SCENARIOS.map(({ workloads }) => workloads.map(({ name }) => name)),
    ]) {
      assert.equal(new Set(names).size, names.length);
    }
  });

  it('are held against subjects that they measure', () => {
    for (const { workloads } of SCENARIOS) {
      for (const { name, subjects, targets } of workloads) {
        for (const { peer } of targets) {
          assert.ok(peer === undefined || subjects.some((subject) => subject.name === peer), `${name}: ${peer}`);
        }
      }
    }
  });
});
