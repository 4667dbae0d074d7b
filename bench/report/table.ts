/** The report: markdown, on stdout and as a page for each scenario. */
import { type Spread, spreadOfFigure, spreadOfRatios } from '../rounds.ts';
import type { Measurement, Scenario } from '../scenario.ts';
import { YARDSTICKS } from '../subjects/yardstick.ts';
import type { Verdict } from '../targets.ts';
import { headlineOf, mebibytes, milliseconds, number, spread } from './format.ts';
import type { Circumstances, ScenarioResult, WorkloadResult } from './results.ts';

function toldOf(yardsticks: readonly string[]): string {
  return `${yardsticks.join(' and ')}: a yardstick, the plainest program that does the work, without a check or a limit. A server may be above it, by fewer or larger calls.`;
}

/** The text above all tables: machine, versions and method. */
export function preamble({ machine, versions, rounds, warmUpMs, windowMs }: Circumstances): string {
  const here = [...versions].flatMap(([name, version]) => (version === null ? [] : [`${name} ${version}`.trim()]));
  const missing = [...versions].flatMap(([name, version]) => (version === null ? [name] : []));
  const yardsticks = YARDSTICKS.filter((name) => versions.has(name));
  return [
    machine,
    `Subjects: ${here.join(', ')}.${missing.length > 0 ? ` Not here, and left out: ${missing.join(', ')}.` : ''}`,
    ...(yardsticks.length > 0 ? [toldOf(yardsticks)] : []),
    `Method: server, agents and load are separate processes. Each measurement starts all of them anew. Unless the page says otherwise, it warms up for ${warmUpMs} ms and lasts ${windowMs} ms. Medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, or of as many as the table says, with the least and the greatest in parentheses. Rounds are interleaved (A B C, then C B A), and one before them is dropped, unless the page says otherwise. A p99 is shown if a round has at least a hundred latencies. Work is counted by the processor time of the server's processes, user and system. All arriving messages are checked.`,
    '',
  ].join('\n\n');
}

export function table(result: ScenarioResult): string {
  const { title, description } = result.scenario;
  return [`## ${title}`, '', description, '', ...lines(result), '', ''].join('\n');
}

/** The page of one scenario, with its chart. */
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
  const { baseline } = scenario;
  const columns = ['', '', `× ${baseline}`, headlineOf(scenario), 'p50', 'p99', 'RSS', 'rounds', 'To reach'];
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
      subject === baseline ? '1' : cell(spreadOfRatios(measurements, base, headline), spread),
      cell(spreadOfFigure(measurements, headline), spread),
      ...figures(measurements),
      String(measurements.length),
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
  // One digit more than targets have, so that a figure just below its target shows it.
  return `${target}: ${number(reached, 4)} ${met ? 'met' : '**not met**'}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
