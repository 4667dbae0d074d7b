/** Fuzzing in small: the same inputs at every run. `npm run fuzz` is the long one. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FrameTarget } from './frames.ts';
import { HeadTarget } from './heads.ts';
import { Random } from './random.ts';
import { RequestTarget } from './requests.ts';
import { Failure, run } from './run.ts';
import { Disagreement, type Target } from './target.ts';

const PROGRAM = fileURLToPath(new URL('main.ts', import.meta.url));
const SEED = 6455;
const FOREVER = Number.POSITIVE_INFINITY;

const RUNS: [target: Target, count: number][] = [
  [new FrameTarget(), 40_000],
  [new HeadTarget(), 20_000],
  [new RequestTarget(), 30_000],
];

async function fuzz(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--import', 'tsx', PROGRAM, ...args]);
    return { status: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}

describe('fuzzing', () => {
  for (const [target, count] of RUNS) {
    it(`${target.name}: ${count} inputs without a fault`, async () => {
      assert.equal(await run(target, { seed: SEED, first: 0, count, endsAt: FOREVER }), count);
    });

    it(`${target.name}: an input can be made again, alone`, () => {
      target.check(SEED, 17);
      const shown = target.shown();
      target.check(SEED, 18);
      assert.notEqual(target.shown(), shown);
      target.check(SEED, 17);
      assert.equal(target.shown(), shown);
    });
  }

  it('meets the differences that are meant, all but the rarest', () => {
    for (const [{ differences, met }] of RUNS) {
      const missing = differences.filter(({ id }) => !met.has(id));
      assert.ok(missing.length <= 3, `not met: ${missing.map(({ id }) => id).join(', ')}`);
      for (const id of met.keys()) assert.ok(differences.some((difference) => difference.id === id));
    }
  });

  it('tells of a failure in hex, with its trace, and how to meet it again', async () => {
    const target: Target = {
      name: 'frames',
      unit: 'frame streams',
      peer: 'ws',
      differences: [],
      met: new Map(),
      check(_seed, index) {
        if (index === 1234) throw new Disagreement('ws judges otherwise', ['we', 'take it'], ['ws', 'refuses it']);
      },
      shown: () => 'c0ffee',
    };
    await assert.rejects(run(target, { seed: 7, first: 1000, count: 1000, endsAt: FOREVER }), (error) => {
      assert.ok(error instanceof Failure);
      assert.match(error.message, /^frames: input 1234 of seed 7\nDisagreement: ws judges otherwise\n {2}we: take it/);
      assert.match(error.message, /\n +at .*fuzz\.test\.ts/);
      assert.match(error.message, /\nc0ffee\n/);
      assert.ok(error.message.endsWith('npm run fuzz -- --seed 7 --first 1234 --frames 1 --heads 0 --requests 0'));
      return true;
    });
    assert.notEqual(Error.stackTraceLimit, 0, 'traces are back');
  });

  it('ends when its time is over, and tells how far it came', async () => {
    const [[target]] = RUNS as [[Target, number]];
    const told: number[] = [];
    const endsAt = performance.now() + 200;
    const done = await run(target, { seed: 1, first: 0, count: 1e9, endsAt, onProgress: (n) => told.push(n) });
    assert.ok(done > 0 && done < 1e9);
    assert.equal(told.at(-1), done);
  });

  it('as a program: a seed, counts, a bound on its time', async () => {
    const { status, stdout } = await fuzz('--seed', '1', '--frames', '200', '--heads', '100', '--requests', '0');
    assert.equal(status, 0);
    assert.match(stdout, /^Seed 1\n200 frame streams in [^\n]+: no fault\n/);
    assert.match(stdout, /\n100 heads in [^\n]+: no fault\n/);
    assert.doesNotMatch(stdout, /requests in/);
    assert.match((await fuzz('--help')).stdout, /^Usage: npm run fuzz/);
    assert.equal((await fuzz('--frames', 'many')).status, 2);
    assert.equal((await fuzz('--seed', '1', '--seconds', '1')).status, 0);
  });
});

it('random numbers: the same for the same input, in their bounds, and not alike for neighbours', () => {
  const random = new Random();
  const firsts = new Set<number>();
  for (let index = 0; index < 1000; index++) {
    random.reset(1, index);
    firsts.add(random.next());
    const between = random.between(3, 5);
    assert.ok(between >= 3 && between <= 5);
  }
  assert.ok(firsts.size > 990);
});
