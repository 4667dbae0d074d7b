/** The results of a run, as they are kept: the tables and the charts are made of them. */
import type { Measurement, Scenario } from '../scenario.ts';
import type { Verdict } from '../targets.ts';

export interface WorkloadResult {
  readonly name: string;
  /** The rounds of each subject, in the workload's order of subjects. */
  readonly rounds: ReadonlyMap<string, readonly Measurement[]>;
  readonly verdicts: readonly Verdict[];
}

export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly workloads: readonly WorkloadResult[];
}

/** The circumstances of a measurement. */
export interface Circumstances {
  readonly machine: string;
  /** Of each subject; null for those that are not here. */
  readonly versions: ReadonlyMap<string, string | null>;
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
}
