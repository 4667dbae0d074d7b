import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { BEFORE, besideBefore, isBuilt } from '../../bench/before.ts';
import { runScenario } from '../../bench/run.ts';
import type { Scenario, Subject, Workload } from '../../bench/scenario.ts';
import { fileOf } from '../../bench/subjects/checkout.ts';

const HERE = resolve(import.meta.dirname, '../..');
const PACE = { rounds: 2, warmUpMs: 0, windowMs: 0 };

function scenario(subjects: string[], measure: Workload['measure'], rest: Partial<Scenario> = {}): Scenario {
  const workload: Workload = {
    name: 'any',
    subjects: subjects.map((name): Subject => ({ name, version: async () => '1' })),
    targets: [{ peer: 'ws', atLeast: 2 }],
    measure,
  };
  return { name: 'scenario', title: '', description: '', unit: '', baseline: 'ws', workloads: [workload], ...rest };
}

it('the older build is measured as ours is, and the others are this checkout’s', async () => {
  const measured: string[] = [];
  const measure: Workload['measure'] = async ({ name }) => {
    measured.push(`${name}: ${fileOf('dist')}`);
    // Ours takes longer here.
    const cpuSeconds = fileOf('dist').startsWith(HERE) ? 2 : 1;
    return { work: 1, cpuSeconds, seconds: 1, residentBytes: 1 };
  };
  const beside = besideBefore(scenario(['hypivisor', 'ws'], measure), '/older');
  const { workloads } = await runScenario(beside, PACE, { begin() {}, done() {} });

  const [ours, before, ws] = [`hypivisor: ${HERE}/dist`, 'hypivisor: /older/dist', `ws: ${HERE}/dist`];
  assert.deepEqual([...new Set(measured)].sort(), [before, ours, ws].sort());
  assert.equal(measured.length, 9);
  const [result] = workloads;
  assert.deepEqual([...(result?.rounds.keys() ?? [])], ['hypivisor', BEFORE, 'ws']);
  const verdict = result?.verdicts.find(({ target }) => target === `≥ 0.97 × ${BEFORE}`);
  assert.deepEqual(verdict, { target: `≥ 0.97 × ${BEFORE}`, reached: 0.5, met: false });
});

it('of a headline less is better', () => {
  const measure = async () => ({ work: 1, cpuSeconds: 1, seconds: 1, residentBytes: 1 });
  const { workloads } = besideBefore(scenario(['hypivisor'], measure, { headline: 'ms' }), '/older');
  assert.deepEqual(workloads[0]?.targets.at(-1), { peer: BEFORE, figure: 'ms', atMost: 1.03 });
});

it('a measurement that fails leaves this checkout in place', async () => {
  const measure = async () => {
    throw new Error('no');
  };
  const beside = besideBefore(scenario(['hypivisor'], measure), '/older');
  await assert.rejects(runScenario(beside, PACE, { begin() {}, done() {} }), /: no$/);
  assert.equal(fileOf('dist'), join(HERE, 'dist'));
});

it('a workload whose first subject is not the daemon stays as it is', () => {
  const measure = async () => ({ work: 1, cpuSeconds: 1, seconds: 1, residentBytes: 1 });
  const { workloads } = besideBefore(scenario(['direct', 'hypivisor'], measure), '/older');
  assert.deepEqual(
    workloads[0]?.subjects.map(({ name }) => name),
    ['direct', 'hypivisor'],
  );
});

it('a checkout that is not built is told apart', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-before-'));
  try {
    assert.equal(await isBuilt(folder), false);
    await mkdir(join(folder, 'dist'));
    await writeFile(join(folder, 'dist', 'hypivisor.js'), '');
    assert.equal(await isBuilt(folder), true);
  } finally {
    await rm(folder, { recursive: true });
  }
});
