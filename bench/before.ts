/** This build beside an older one, in the same rounds. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Scenario, Subject, Target, Workload } from './scenario.ts';
import { withCheckout } from './subjects/checkout.ts';

const OURS = 'hypivisor';
export const BEFORE = 'hypivisor before';

/** What differs by less is noise. */
const LEAST_RATIO = 0.97;
const MOST_RATIO = 1.03;

export async function isBuilt(folder: string): Promise<boolean> {
  return access(join(folder, 'dist', 'hypivisor.js')).then(
    () => true,
    () => false,
  );
}

/** Adds the build in that checkout as the second subject if ours is the first. Ours is to do as well as that one. */
export function besideBefore(scenario: Scenario, folder: string): Scenario {
  const { headline } = scenario;
  const target: Target =
    headline === undefined
      ? { peer: BEFORE, atLeast: LEAST_RATIO }
      : { peer: BEFORE, figure: headline, atMost: MOST_RATIO };
  return { ...scenario, workloads: scenario.workloads.map((workload) => withBefore(workload, target, folder)) };
}

function withBefore(workload: Workload, target: Target, folder: string): Workload {
  const [ours, ...others] = workload.subjects;
  if (ours?.name !== OURS) return workload;
  const before: Subject = { ...ours, name: BEFORE, version: async () => folder };
  return {
    ...workload,
    subjects: [ours, before, ...others],
    targets: [...workload.targets, target],
    measure: (subject, window) =>
      subject === before
        ? withCheckout(folder, () => workload.measure(ours, window))
        : workload.measure(subject, window),
  };
}
