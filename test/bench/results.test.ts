import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { SCENARIOS } from '../../bench/scenarios/index.ts';

/** How many connections there are depends on the machine. */
const withoutCounts = (name: string) => name.replace(/[\d,]+ (?=connections|relays$)/, '');

describe('the results that are kept', () => {
  for (const { name, description, workloads } of SCENARIOS) {
    it(`${name}: all of it, as it is described now, and all peers that its targets name`, async () => {
      const kept = JSON.parse(await readFile(new URL(`../../bench/results/${name}.json`, import.meta.url), 'utf8'));
      assert.equal(withoutCounts(kept.scenario.description), withoutCounts(description));
      assert.deepEqual(
        kept.workloads.map((workload: { name: string }) => withoutCounts(workload.name)),
        workloads.map((workload) => withoutCounts(workload.name)),
      );
      for (const [i, { targets }] of workloads.entries()) {
        for (const { peer } of targets) {
          const { rounds } = kept.workloads[i];
          assert.ok(peer === undefined || rounds[peer].length > 0, `${kept.workloads[i].name}: ${peer}`);
        }
      }
    });
  }
});
