/** A scenario's result with all its rounds, for other calculations. */
import type { Circumstances, ScenarioResult } from './results.ts';

export function toJson({ versions, ...circumstances }: Circumstances, { scenario, workloads }: ScenarioResult): string {
  const { name, title, description, unit, baseline, headline } = scenario;
  const result = {
    scenario: { name, title, description, unit, baseline, headline },
    ...circumstances,
    versions: Object.fromEntries(versions),
    workloads: workloads.map(({ name, rounds, verdicts }) => ({ name, verdicts, rounds: Object.fromEntries(rounds) })),
  };
  return `${JSON.stringify(result, null, 2)}\n`;
}
