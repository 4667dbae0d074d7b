import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { SCENARIOS } from '../../bench/scenarios/index.ts';

/** How many connections there are depends on the machine. */
const withoutCounts = (name: string) => name.replace(/[\d,]+ (?=connections|relays$)/, '');

/** A workload of a scenario's page, with the subjects that were measured. */
interface Kept {
  name: string;
  subjects: string[];
}

function workloadsOf(page: string): Kept[] {
  const workloads: Kept[] = [];
  for (const [, name = '', subject = ''] of page.matchAll(/^\| (.*?) ?\| ([^-|].*?) \|/gm)) {
    if (name !== '') workloads.push({ name: withoutCounts(name), subjects: [] });
    workloads.at(-1)?.subjects.push(subject);
  }
  return workloads;
}

describe('the results that are kept', () => {
  for (const { name, description, workloads } of SCENARIOS) {
    it(`${name}: all of it, as it is described now, and all peers that its targets name`, async () => {
      const page = await readFile(new URL(`../../bench/results/${name}.md`, import.meta.url), 'utf8');
      assert.ok(withoutCounts(page).includes(withoutCounts(description)));
      const kept = workloadsOf(page);
      assert.deepEqual(
        kept.map((workload) => workload.name),
        workloads.map((workload) => withoutCounts(workload.name)),
      );
      for (const [i, { targets }] of workloads.entries()) {
        for (const { peer } of targets) {
          assert.ok(peer === undefined || kept[i]?.subjects.includes(peer), `${kept[i]?.name}: ${peer}`);
        }
      }
    });
  }
});
