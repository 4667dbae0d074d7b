import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { curves } from '../../bench/report/curves.ts';
import type { Measurement, Scenario, Workload } from '../../bench/scenario.ts';

const measured = (work: number): Measurement[] => [{ work, cpuSeconds: 1, seconds: 1, residentBytes: 0 }];

function workload(curve: string, x: number): Workload {
  return { name: `${curve} ${x}`, subjects: [], targets: [], point: { curve, x }, measure: () => Promise.reject() };
}

function scenario(workloads: Workload[], rest: Partial<Scenario> = {}): Scenario {
  return { name: 'growth', title: 'Growth', description: '', unit: 'times', baseline: 'ours', workloads, ...rest };
}

describe('the curves of the bench', () => {
  it('are one line for each subject in each panel, level if the cost is the same', () => {
    const svg = curves({
      scenario: scenario([workload('register', 100), workload('register', 10_000)], {
        title: 'Growth & <more>',
        baseline: 'theirs',
      }),
      workloads: [
        {
          name: 'register 100',
          verdicts: [],
          rounds: new Map([
            ['ours', measured(1000)],
            ['theirs', measured(1000)],
          ]),
        },
        {
          name: 'register 10000',
          verdicts: [],
          rounds: new Map([
            ['ours', measured(1000)],
            ['theirs', measured(10)],
          ]),
        },
      ],
    });
    const line = (i: number) => {
      const path = new RegExp(`class="line l${i}" d="M[\\d.]+ ([\\d.]+)L[\\d.]+ ([\\d.]+)"`).exec(svg) ?? [];
      return path.slice(1).map(Number) as [number, number];
    };
    const [ours, theirs] = [line(0), line(1)];
    assert.equal(ours[0], ours[1]);
    assert.equal(theirs[0], ours[0]);
    assert.ok(theirs[1] < theirs[0]);
    assert.match(svg, /Growth &amp; &lt;more>/);
    assert.ok(svg.includes('>1,000</text>') && svg.includes('>100,000</text>'), 'microseconds for one');
  });

  it('have a scale for each panel, and no label on an axis', () => {
    const points = [
      { name: 'cheap', work: 1e6 },
      { name: 'dear', work: 10 },
    ].flatMap(({ name, work }) => [100, 1000, 10_000].map((x) => ({ name, x, work })));
    const svg = curves({
      scenario: scenario(points.map(({ name, x }) => workload(name, x))),
      workloads: points.map(({ name, x, work }) => ({
        name: `${name} ${x}`,
        verdicts: [],
        rounds: new Map([['ours', measured(work)]]),
      })),
    });
    const ticks = [...svg.matchAll(/text-anchor="end">([\d.,]+)</g)].map(([, tick]) => tick);
    assert.ok(ticks.includes('0.100') && ticks.includes('100,000') && !ticks.includes('100'));
    const anchors = [...svg.matchAll(/text-anchor="(\w+)">(?:1\.00|100,000)</g)].map(([, anchor]) => anchor);
    for (const anchor of ['start', 'middle', 'end']) assert.ok(anchors.includes(anchor), anchor);
  });

  it('are of the headline, if the scenario has one, and only of values above zero', () => {
    const sizes = [100, 1000, 10_000];
    const svg = curves({
      scenario: scenario(
        sizes.map((size) => workload('idle', size)),
        { title: 'Memory', headline: 'KiB' },
      ),
      workloads: sizes.map((size, i) => ({
        name: `idle ${size}`,
        verdicts: [],
        rounds: new Map([['ours', measured(1).map((measurement) => ({ ...measurement, extra: { KiB: i * 1234 } }))]]),
      })),
    });
    assert.match(svg, /Memory: KiB \(less is better\)/);
    assert.equal(svg.match(/<circle/g)?.length, 2);
    assert.ok(svg.includes('>1,230</text>') && svg.includes('>2,470</text>'));
    assert.doesNotMatch(svg, /NaN|Infinity/);
  });

  it('are three in a row', () => {
    const names = ['a', 'b', 'c', 'd'];
    const svg = curves({
      scenario: scenario(names.map((name) => workload(name, 100))),
      workloads: names.map((name) => ({
        name: `${name} 100`,
        verdicts: [],
        rounds: new Map([['ours', measured(10)]]),
      })),
    });
    const at = names.map((name) =>
      new RegExp(`x="([\\d.]+)" y="([\\d.]+)"[^>]*>${name}<`).exec(svg)?.slice(1).map(Number),
    );
    const [a, b, c, d] = at as [number, number][];
    assert.ok(a && b && c && d);
    assert.deepEqual([b[1], c[1]], [a[1], a[1]]);
    assert.ok(a[0] < b[0] && b[0] < c[0]);
    assert.ok(d[0] === a[0] && d[1] > a[1]);
  });
});
