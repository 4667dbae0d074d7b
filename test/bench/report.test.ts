import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chart } from '../../bench/report/chart.ts';
import { number, spread } from '../../bench/report/format.ts';
import { toJson } from '../../bench/report/json.ts';
import type { Circumstances, ScenarioResult, WorkloadResult } from '../../bench/report/results.ts';
import { page, preamble, table } from '../../bench/report/table.ts';
import type { Measurement } from '../../bench/scenario.ts';
import { YARDSTICK } from '../../bench/subjects/yardstick.ts';

const measured = (work: number): Measurement => ({
  work,
  cpuSeconds: 1,
  seconds: 1,
  p50Ms: 0.25,
  p99Ms: 2,
  residentBytes: 2 ** 20,
});

const circumstances: Circumstances = {
  machine: 'a machine',
  versions: new Map([
    ['ours', '1.2.3'],
    ['gone', null],
  ]),
  rounds: 2,
  warmUpMs: 250,
  windowMs: 500,
};

const result: ScenarioResult = {
  scenario: {
    name: 'echo',
    title: 'Echo & <more>',
    description: 'How.',
    unit: 'messages',
    baseline: 'theirs',
    workloads: [],
  },
  workloads: [
    {
      name: 'small',
      rounds: new Map([
        ['ours', [measured(2000), measured(4000)]],
        ['theirs', [measured(1000), measured(1000)]],
      ]),
      verdicts: [
        { target: '≥ 2 × theirs', reached: 3, met: true },
        { target: '≥ 9 × theirs', reached: 3, met: false },
        { target: '≥ 1 × gone', reached: null, met: null },
      ],
    },
  ],
};

describe('the report of the bench', () => {
  it('prints three digits, or as many as it is told', () => {
    assert.deepEqual(
      [0, 0.1234, 1, 1.005, 45.67, 999.6, 45_678, 1_234_567].map((value) => number(value)),
      ['0', '0.123', '1.00', '1.00', '45.7', '1,000', '45,700', '1,230,000'],
    );
    assert.equal(number(1.1174, 4), '1.117');
    assert.equal(number(Number.NaN), 'NaN');
    assert.equal(spread({ median: 1.5, min: 1, max: 2 }), '1.50 (1.00–2.00)');
  });

  it('says what was used, what is missing, and how it was done', () => {
    const text = preamble(circumstances);
    assert.match(text, /^a machine\n/);
    assert.match(text, /Subjects: ours 1\.2\.3\. Not here, and left out: gone\./);
    assert.match(text, /Medians of 2 rounds/);
  });

  it('is a table with a row for each subject', () => {
    const rows = table(result).split('\n').slice(4, -2);
    assert.deepEqual(rows, [
      '|  |  | × theirs | messages per CPU second | p50 | p99 | RSS | rounds | To reach |',
      '| --- | --- | --: | --: | --: | --: | --: | --: | --- |',
      '| small | ours | 3.00 (2.00–4.00) | 3,000 (2,000–4,000) | 250 µs | 2.00 ms | 1.00 MiB | 2 | ≥ 2 × theirs: 3.000 met; ≥ 9 × theirs: 3.000 **not met**; ≥ 1 × gone: not measured |',
      '|  | theirs | 1 | 1,000 (1,000–1,000) | 250 µs | 2.00 ms | 1.00 MiB | 2 |  |',
    ]);
  });

  it('is a page too, with the command, the chart, and what a yardstick is', () => {
    const [workload] = result.workloads as [WorkloadResult];
    const rounds = new Map([...workload.rounds, [YARDSTICK.name, [measured(5000)]]]);
    const versions = new Map([...circumstances.versions, [YARDSTICK.name, 'v20'], ['of another scenario', '1']]);
    const text = page({ ...circumstances, versions }, { ...result, workloads: [{ ...workload, rounds }] });
    assert.match(text, /^# Echo & <more>\n\n {4}npm run bench -- echo\n\nHow\.\n\n\|/);
    assert.match(text, /\n!\[Echo & <more>\]\(echo\.svg\)\n\na machine\n/);
    assert.match(text, /node:net \(no checks\): a yardstick/);
    assert.doesNotMatch(text, /of another scenario/);
    assert.doesNotMatch(preamble(circumstances), /yardstick/);
  });

  it('keeps every round in JSON', () => {
    const { versions, workloads } = JSON.parse(toJson(circumstances, result));
    assert.deepEqual(versions, { ours: '1.2.3', gone: null });
    assert.equal(workloads[0].rounds.ours[1].work, 4000);
    assert.equal(workloads[0].verdicts[0].met, true);
  });

  it('draws a bar for each subject but the one they are held against', () => {
    const svg = chart(result);
    assert.equal(svg.match(/<rect class="c0" x="230"/g)?.length, 2);
    assert.match(svg, /Echo &amp; &lt;more>/);
    assert.match(svg, />3\.00</);
    assert.match(svg, /prefers-color-scheme: dark/);
  });
});
