/** How long and how often is measured: all of it, or in part and quickly. */
import type { Pace } from './run.ts';
import type { Workload } from './scenario.ts';

/** All of it in about an hour and a quarter. */
export const FULL: Pace = { rounds: 3, warmUpMs: 500, windowMs: 1500 };
export const QUICK: Pace = { rounds: 2, warmUpMs: 250, windowMs: 500 };

/** The workload as a quick run has it: not at all, with all its subjects, or with those it names. */
export function quickened(workload: Workload): Workload[] {
  const { quick = false, subjects } = workload;
  if (typeof quick === 'boolean') return quick ? [workload] : [];
  return [{ ...workload, subjects: subjects.filter(({ name }) => quick.includes(name)) }];
}
