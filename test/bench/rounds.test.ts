import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  figureOf,
  orderOf,
  spreadOf,
  spreadOfDifferences,
  spreadOfFigure,
  spreadOfRatios,
} from '../../bench/rounds.ts';
import type { Measurement } from '../../bench/scenario.ts';

const measured = (work: number, rest: Partial<Measurement> = {}): Measurement => ({
  work,
  cpuSeconds: 2,
  seconds: 3,
  residentBytes: 1000,
  ...rest,
});

describe('rounds', () => {
  it('turns the order round every time, and leaves the list as it is', () => {
    const subjects = ['a', 'b', 'c'];
    assert.deepEqual(
      [0, 1, 2].map((round) => orderOf(round, subjects)),
      [
        ['a', 'b', 'c'],
        ['c', 'b', 'a'],
        ['a', 'b', 'c'],
      ],
    );
    assert.deepEqual(subjects, ['a', 'b', 'c']);
  });

  it('takes the middle value, or the mean of the two', () => {
    assert.deepEqual(spreadOf([10, 9, 100]), { median: 10, min: 9, max: 100 });
    assert.deepEqual(spreadOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
    assert.deepEqual(spreadOf([7]), { median: 7, min: 7, max: 7 });
  });

  it('knows every figure by its name, and work per CPU second without one', () => {
    const measurement = measured(10, { p50Ms: 1, p99Ms: 2, extra: { lost: 3 } });
    assert.equal(figureOf(measurement), 5);
    assert.equal(figureOf(measurement, 'rate'), 5);
    assert.equal(figureOf(measurement, 'p50Ms'), 1);
    assert.equal(figureOf(measurement, 'p99Ms'), 2);
    assert.equal(figureOf(measurement, 'residentBytes'), 1000);
    assert.equal(figureOf(measurement, 'lost'), 3);
    assert.equal(figureOf(measurement, 'found'), undefined);
    assert.equal(figureOf(measured(10), 'lost'), undefined);
  });

  it('compares within a round: the median of ratios, not the ratio of medians', () => {
    const ours = [measured(10), measured(100), measured(30)];
    const theirs = [measured(10), measured(10), measured(20)];
    assert.deepEqual(spreadOfRatios(ours, theirs), { median: 1.5, min: 1, max: 10 });
    assert.deepEqual(spreadOfDifferences(ours, theirs), { median: 5, min: 0, max: 45 });
  });

  it('leaves out rounds that lack one side or the figure', () => {
    assert.deepEqual(spreadOfRatios([measured(10), measured(20)], [measured(5)]), { median: 2, min: 2, max: 2 });
    assert.equal(spreadOfRatios([measured(10)], []), null);
    assert.equal(spreadOfRatios([measured(-1)], [measured(5)]), null, 'of what was given back');
    assert.equal(spreadOfRatios([measured(1)], [measured(-5)]), null);
    assert.equal(spreadOfRatios([measured(1)], [measured(0)]), null);
    assert.deepEqual(spreadOfRatios([measured(0)], [measured(5)]), { median: 0, min: 0, max: 0 });
    assert.equal(spreadOfFigure([measured(10)], 'p50Ms'), null);
    assert.equal(spreadOfFigure([]), null);
  });
});
