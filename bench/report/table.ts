/** The report on stdout: markdown. */
import { type Spread, spreadOfFigure, spreadOfRatios } from '../rounds.ts';
import type { Measurement, Scenario } from '../scenario.ts';
import type { Verdict } from '../targets.ts';
import { mebibytes, milliseconds, number, spread } from './format.ts';
import type { Circumstances, ScenarioResult, WorkloadResult } from './results.ts';

/** Machine, versions and method: what stands above all tables. */
export function preamble({ machine, versions, rounds, warmUpMs, windowMs }: Circumstances): string {
  const here = [...versions].flatMap(([name, version]) => (version === null ? [] : [`${name} ${version}`.trim()]));
  const missing = [...versions].flatMap(([name, version]) => (version === null ? [name] : []));
  return [
    machine,
    `Subjects: ${here.join(', ')}.${missing.length > 0 ? ` Not installed, and left out: ${missing.join(', ')}.` : ''}`,
    `Method: server, agents and load are processes of their own. Each measurement starts all of them anew, warms up for ${warmUpMs} ms, and lasts ${windowMs} ms. Medians of ${rounds} rounds, and the least and the greatest in parentheses; rounds are interleaved (A B C, then C B A), and one before them is dropped. Counted is the processor time of the server's processes, user and system. What arrives is checked.`,
    '',
  ].join('\n\n');
}

export function table({ scenario, workloads }: ScenarioResult): string {
  const { title, description, unit, baseline, headline } = scenario;
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
    `## ${title}`,
    '',
    description,
    '',
    row(columns),
    row(columns.map((_, i) => (i < 2 || i === columns.length - 1 ? '---' : '--:'))),
    ...workloads.flatMap((workload) => rows(workload, scenario)),
    '',
    '',
  ].join('\n');
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
