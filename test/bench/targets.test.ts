import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Measurement } from '../../bench/scenario.ts';
import { judge } from '../../bench/targets.ts';

const measured = (work: number, rest: Partial<Measurement> = {}): Measurement[] => [
  { work, cpuSeconds: 1, seconds: 1, residentBytes: 1, ...rest },
];

describe('targets', () => {
  it('is met on the bound, on either side', () => {
    const results = new Map([
      ['ours', measured(12, { residentBytes: 9 })],
      ['peer', measured(10, { residentBytes: 10 })],
    ]);
    const targets = [
      { peer: 'peer', atLeast: 1.2 },
      { peer: 'peer', atLeast: 1.21 },
      { peer: 'peer', figure: 'residentBytes', atMost: 0.9 },
      { peer: 'peer', figure: 'residentBytes', atMost: 0.89 },
    ];
    assert.deepEqual(judge(targets, results), [
      { target: '≥ 1.2 × peer', reached: 1.2, met: true },
      { target: '≥ 1.21 × peer', reached: 1.2, met: false },
      { target: 'residentBytes ≤ 0.9 × peer', reached: 0.9, met: true },
      { target: 'residentBytes ≤ 0.89 × peer', reached: 0.9, met: false },
    ]);
  });

  it('wants no delay for it: p99 goes with every peer, once', () => {
    const results = new Map([
      ['ours', measured(12, { p99Ms: 12 })],
      ['peer', measured(10, { p99Ms: 10 })],
    ]);
    const targets = [
      { peer: 'peer', atLeast: 1 },
      { peer: 'peer', atMost: 2 },
    ];
    assert.deepEqual(judge(targets, results).slice(2), [{ target: 'p99Ms ≤ 1.1 × peer', reached: 1.2, met: false }]);
  });

  it('takes a figure as it is if no peer is named, and a difference if more is allowed', () => {
    const results = new Map([
      ['ours', measured(1, { p50Ms: 12, extra: { startMs: 14 } })],
      ['peer', measured(1, { p50Ms: 10 })],
    ]);
    const targets = [
      { figure: 'startMs', atMost: 15 },
      { peer: 'peer', figure: 'p50Ms', atMostMore: 2 },
    ];
    assert.deepEqual(judge(targets, results), [
      { target: 'startMs ≤ 15', reached: 14, met: true },
      { target: 'p50Ms ≤ + 2 over peer', reached: 2, met: true },
    ]);
  });

  it('is neither met nor missed if the peer is not installed', () => {
    const targets = [
      { peer: 'peer', atLeast: 1 },
      { peer: 'peer', figure: 'p50Ms', atMostMore: 1 },
    ];
    const verdicts = judge(targets, new Map([['ours', measured(1)]]));
    assert.deepEqual(
      verdicts.map(({ met }) => met),
      [null, null],
    );
    assert.deepEqual(judge([], new Map()), []);
  });
});
