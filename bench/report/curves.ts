/**
 * The cost of a task as something grows, in processor time or the scenario's headline: a panel for each curve of the
 * scenario, a line for each subject, powers of ten on both axes, so that a cost that does not grow is level. An SVG for
 * light and dark ground.
 */
import { spreadOfFigure } from '../rounds.ts';
import { headlineOf, number } from './format.ts';
import type { ScenarioResult } from './results.ts';
import { escaped, round, text } from './svg.ts';

const PANEL_WIDTH = 250;
const PANEL_HEIGHT = 200;
const LEFT = 70;
const TOP = 64;
const GAP = 84;
const PANELS_PER_ROW = 3;
/** The least width, which the heading needs. */
const PANELS_OF_HEADING = 2;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #444 }
  .title { font-weight: 600; fill: #111 } .grid { stroke: #ddd }
  .line { fill: none; stroke-width: 2 } .l0 { stroke: #0b62c4 } .l1 { stroke: #c2410c } .l2 { stroke: #15803d } .l3 { stroke: #9333ea }
  .c0 { fill: #0b62c4 } .c1 { fill: #c2410c } .c2 { fill: #15803d } .c3 { fill: #9333ea }
  @media (prefers-color-scheme: dark) {
    text { fill: #bbb } .title { fill: #eee } .grid { stroke: #3a3a3a }
    .l0 { stroke: #6cb0ff } .l1 { stroke: #fb923c } .l2 { stroke: #4ade80 } .l3 { stroke: #d8a4ff }
    .c0 { fill: #6cb0ff } .c1 { fill: #fb923c } .c2 { fill: #4ade80 } .c3 { fill: #d8a4ff }
  }`;

interface Dot {
  curve: string;
  subject: string;
  x: number;
  /** Microseconds of processor time for one unit of work, or the scenario's headline. */
  y: number;
}

/** A range between two powers of ten, and the place of a value in it: 0 to 1. */
interface Axis {
  ticks: number[];
  at(value: number): number;
}

/** @param result of workloads with a `point` */
export function curves(result: ScenarioResult): string {
  const dots = dotsOf(result);
  const names = [...new Set(dots.map(({ curve }) => curve))];
  const subjects = [...new Set(dots.map(({ subject }) => subject))];
  const xAxis = axisOf(dots.map(({ x }) => x));
  const panels = names.map((name, i) => {
    const ofPanel = dots.filter(({ curve }) => curve === name);
    // Half of the lowest, so that its label has room below it.
    const yAxis = axisOf(ofPanel.flatMap(({ y }) => [y / 2, y]));
    const left = LEFT + (i % PANELS_PER_ROW) * (PANEL_WIDTH + GAP);
    const top = TOP + Math.floor(i / PANELS_PER_ROW) * (PANEL_HEIGHT + GAP);
    return drawPanel(name, ofPanel, subjects, xAxis, yAxis, left, top);
  });
  const key = subjects.map((subject, i) => {
    const x = LEFT + i * 130;
    return `<rect class="c${i}" x="${x}" y="32" width="12" height="12"/>\n${text(x + 18, 43, 'start', subject)}`;
  });
  const { title, headline } = result.scenario;
  const what = headline === undefined ? 'processor time of the server for one, in µs' : headlineOf(result.scenario);
  const heading = `${title}: ${what}${names.length > 1 ? '; each panel has a scale of its own' : ''}`;
  const width = LEFT + Math.min(Math.max(names.length, PANELS_OF_HEADING), PANELS_PER_ROW) * (PANEL_WIDTH + GAP);
  const height = TOP + Math.ceil(names.length / PANELS_PER_ROW) * (PANEL_HEIGHT + GAP);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(heading)}">`,
    `<style>${STYLE}\n</style>`,
    text(LEFT, 18, 'start', heading, 'title'),
    ...key,
    ...panels,
    '</svg>\n',
  ].join('\n');
}

function dotsOf({ scenario, workloads }: ScenarioResult): Dot[] {
  return workloads.flatMap(({ name, rounds }) => {
    const point = scenario.workloads.find((workload) => workload.name === name)?.point;
    if (point === undefined) return [];
    return [...rounds].flatMap(([subject, measurements]) => {
      const figure = spreadOfFigure(measurements, scenario.headline);
      if (figure === null) return [];
      const y = scenario.headline === undefined ? 1e6 / figure.median : figure.median;
      // These axes have no place for zero or negative values.
      return y > 0 ? [{ ...point, subject, y }] : [];
    });
  });
}

function drawPanel(
  name: string,
  dots: readonly Dot[],
  subjects: readonly string[],
  xAxis: Axis,
  yAxis: Axis,
  left: number,
  top: number,
): string {
  const atX = (x: number) => round(left + xAxis.at(x) * PANEL_WIDTH);
  const atY = (y: number) => round(top + 16 + (1 - yAxis.at(y)) * PANEL_HEIGHT);
  const parts = [text(left, top + 4, 'start', name, 'title')];
  for (const y of yAxis.ticks) {
    parts.push(`<path class="grid" d="M${left} ${atY(y)}h${PANEL_WIDTH}"/>`);
    parts.push(text(left - 8, atY(y) + 4, 'end', number(y)));
  }
  for (const x of xAxis.ticks) parts.push(text(atX(x), top + PANEL_HEIGHT + 34, 'middle', number(x)));
  for (const [i, subject] of subjects.entries()) {
    const line = dots.filter((dot) => dot.subject === subject).sort((a, b) => a.x - b.x);
    if (line.length === 0) continue;
    parts.push(`<path class="line l${i}" d="M${line.map(({ x, y }) => `${atX(x)} ${atY(y)}`).join('L')}"/>`);
    for (const { x, y } of line) {
      parts.push(`<circle class="c${i}" cx="${atX(x)}" cy="${atY(y)}" r="3"/>`);
      // The first subject's below its line, the others' above theirs.
      parts.push(text(atX(x), atY(y) + (i === 0 ? 18 : -8), anchorAt(xAxis.at(x)), number(y)));
    }
  }
  return parts.join('\n');
}

/** At either end a label stays within the panel, clear of the axis. */
function anchorAt(position: number): 'start' | 'middle' | 'end' {
  if (position === 0) return 'start';
  return position === 1 ? 'end' : 'middle';
}

function axisOf(values: readonly number[]): Axis {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  return {
    ticks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)),
    at: (value) => (Math.log10(value) - low) / (high - low),
  };
}
