/** The report: markdown, on stdout and as a page for each scenario. */
import { type Spread, spreadOfFigure, spreadOfRatios } from '../rounds.ts';
import type { Measurement, Scenario } from '../scenario.ts';
import { FLOORS } from '../subjects/floor.ts';
import type { Verdict } from '../targets.ts';
import { mebibytes, milliseconds, number, spread } from './format.ts';
import type { Circumstances, ScenarioResult, WorkloadResult } from './results.ts';

function toldOf(floors: readonly string[]): string {
  return `${floors.join(' and ')}: a floor, the plainest program that does the work, without a check or a limit. It tells what public node:net can do at all.`;
}

/** Machine, versions and method: what stands above all tables. */
export function preamble({ machine, versions, rounds, warmUpMs, windowMs }: Circumstances): string {
  const here = [...versions].flatMap(([name, version]) => (version === null ? [] : [`${name} ${version}`.trim()]));
  const missing = [...versions].flatMap(([name, version]) => (version === null ? [name] : []));
  const floors = FLOORS.filter((name) => versions.has(name));
  return [
    machine,
    `Subjects: ${here.join(', ')}.${missing.length > 0 ? ` Not installed, and left out: ${missing.join(', ')}.` : ''}`,
    ...(floors.length > 0 ? [toldOf(floors)] : []),
    `Method: server, agents and load are processes of their own. Each measurement starts all of them anew, warms up for ${warmUpMs} ms, and lasts ${windowMs} ms. Medians of ${rounds} rounds, of fewer where one takes long, and the least and the greatest in parentheses; rounds are interleaved (A B C, then C B A), and one before them is dropped. Counted is the processor time of the server's processes, user and system. What arrives is checked.`,
    '',
  ].join('\n\n');
}

export function table(result: ScenarioResult): string {
  const { title, description } = result.scenario;
  return [`## ${title}`, '', description, '', ...lines(result), '', ''].join('\n');
}

/** A scenario's own, beside its chart. */
export function page(circumstances: Circumstances, result: ScenarioResult): string {
  const { name, title, description } = result.scenario;
  return [
    `# ${title}`,
    '',
    `    npm run bench -- ${name}`,
    '',
    description,
    '',
    ...lines(result),
    '',
    `![${title}](${name}.svg)`,
    '',
    preamble({ ...circumstances, versions: versionsIn(circumstances, result) }).trimEnd(),
    '',
  ].join('\n');
}

/** Of the scenario's own subjects, and those that are not here. */
function versionsIn({ versions }: Circumstances, { workloads }: ScenarioResult): Map<string, string | null> {
  const names = new Set(workloads.flatMap(({ rounds }) => [...rounds.keys()]));
  return new Map([...versions].filter(([name, version]) => version === null || names.has(name)));
}

function lines({ scenario, workloads }: ScenarioResult): string[] {
  const { unit, baseline, headline } = scenario;
  const columns = [
    '',
    '',
    `× ${baseline}`,
    headline?.title ?? `${unit} per CPU second`,
    'p50',
    'p99',
    'RSS',
    'To reach',
  ];
  return [
    row(columns),
    row(columns.map((_, i) => (i < 2 || i === columns.length - 1 ? '---' : '--:'))),
    ...workloads.flatMap((workload) => rows(workload, scenario)),
  ];
}

function rows({ name, rounds, verdicts }: WorkloadResult, { baseline, headline }: Scenario): string[] {
  const base = rounds.get(baseline) ?? [];
  return [...rounds].map(([subject, measurements], i) =>
    row([
      i === 0 ? name : '',
      subject,
      subject === baseline
        ? '1'
        : cell(spreadOfRatios(measurements, base, headline?.figure), ({ median }) => number(median)),
      cell(spreadOfFigure(measurements, headline?.figure), spread),
      ...figures(measurements),
      i === 0 ? verdicts.map(told).join('; ') : '',
    ]),
  );
}

function figures(measurements: readonly Measurement[]): string[] {
  const median = (figure: string, print: (value: number) => string) =>
    cell(spreadOfFigure(measurements, figure), (found) => print(found.median));
  return [median('p50Ms', milliseconds), median('p99Ms', milliseconds), median('residentBytes', mebibytes)];
}

function cell(found: Spread | null, print: (found: Spread) => string): string {
  return found === null ? '' : print(found);
}

function told({ target, reached, met }: Verdict): string {
  if (reached === null) return `${target}: not measured`;
  return `${target}: ${number(reached)} ${met ? 'met' : '**not met**'}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
