/** Panels of lines over time, one below the other, as an SVG that reads on light and on dark ground. */

import { escaped, round, text } from '../../bench/report/svg.ts';
import type { Point } from './statistics.ts';

export interface Line {
  name: string;
  points: readonly Point[];
  /** Drawn in dashes: no measurement, but what was made of some. */
  dashed?: boolean;
}

export interface Panel {
  title: string;
  unit: string;
  lines: readonly Line[];
  /** Powers of ten up the axis, for what spans several. */
  logarithmic?: boolean;
}

const WIDTH = 860;
const LEFT = 64;
const RIGHT = 16;
const TOP = 34;
const PANEL = 170;
const GAP = 56;
const MAX_POINTS = 400;
const TICKS = 5;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #444 }
  .title { font-weight: 600; fill: #111 }
  .grid { stroke: #ddd } .line { fill: none; stroke-width: 1.5 } .dashed { stroke-dasharray: 6 4 }
  .c0 { stroke: #0b62c4 } .c1 { stroke: #c2410c } .c2 { stroke: #15803d } .c3 { stroke: #9333ea }
  @media (prefers-color-scheme: dark) {
    text { fill: #bbb } .title { fill: #eee } .grid { stroke: #3a3a3a }
    .c0 { stroke: #6cb0ff } .c1 { stroke: #fb923c } .c2 { stroke: #4ade80 } .c3 { stroke: #d8a4ff }
  }`;

/** @param seconds how long the time axis is; points' x are seconds */
export function plot(panels: readonly Panel[], seconds: number, caption: string): string {
  const height = TOP + panels.length * (PANEL + GAP) + 6;
  const drawn = panels.map((panel, i) => drawPanel(panel, seconds, TOP + i * (PANEL + GAP)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(caption)}">`,
    `<style>${STYLE}\n</style>`,
    ...drawn,
    text(LEFT, height - 6, 'start', caption),
    '</svg>\n',
  ].join('\n');
}

function drawPanel({ title, unit, lines, logarithmic = false }: Panel, seconds: number, top: number): string {
  const values = lines.flatMap(({ points }) => points.map(([, y]) => y));
  const scale = logarithmic ? logarithmicTicks(values) : linearTicks(values);
  const [low, high] = [scale[0] as number, scale.at(-1) as number];
  const height = (y: number) => (logarithmic ? Math.log(y / low) / Math.log(high / low) : (y - low) / (high - low));
  const atX = (x: number) => round(LEFT + (x / seconds) * (WIDTH - LEFT - RIGHT));
  const atY = (y: number) => round(top + PANEL * (1 - height(y)));

  const parts = [text(LEFT, top - 12, 'start', `${title} (${unit})`, 'title')];
  for (const y of scale) {
    parts.push(`<path class="grid" d="M${LEFT} ${atY(y)}H${WIDTH - RIGHT}"/>`);
    parts.push(text(LEFT - 8, atY(y) + 4, 'end', String(round(y))));
  }
  const inMinutes = seconds > 150;
  for (const x of linearTicks([0, inMinutes ? seconds / 60 : seconds])) {
    const at = inMinutes ? x * 60 : x;
    if (at <= seconds) parts.push(text(atX(at), top + PANEL + 18, 'middle', `${round(x)} ${inMinutes ? 'min' : 's'}`));
  }
  for (const [i, { name, points, dashed = false }] of lines.entries()) {
    const path = worstOfEach(points).map(([x, y]) => `${atX(x)} ${atY(Math.max(y, low))}`);
    const look = `class="line c${i}${dashed ? ' dashed' : ''}"`;
    const keyX = WIDTH - RIGHT - (lines.length - i) * 150;
    parts.push(`<path ${look} d="M${path.join('L')}"/>`);
    parts.push(`<path ${look} d="M${keyX} ${top - 16}h22"/>`, text(keyX + 28, top - 12, 'start', name));
  }
  return parts.join('\n');
}

/** The highest of as many neighbours as a plot can show for one: a peak is never lost. */
function worstOfEach(points: readonly Point[]): readonly Point[] {
  const size = Math.ceil(points.length / MAX_POINTS);
  if (size <= 1) return points;
  const worst: Point[] = [];
  for (let at = 0; at < points.length; at += size) {
    worst.push(points.slice(at, at + size).reduce((high, point) => (point[1] > high[1] ? point : high)));
  }
  return worst;
}

/** Round numbers from below the least to above the greatest; from zero, where that costs no detail. */
function linearTicks(values: readonly number[]): number[] {
  const high = values.reduce((most, value) => Math.max(most, value), 0);
  const step = [1, 2, 2.5, 5, 10].map((n) => n * 10 ** Math.floor(Math.log10((high || 1) / TICKS)));
  const size = step.find((candidate) => candidate * TICKS >= high) as number;
  return Array.from({ length: Math.ceil(high / size) + 1 }, (_, i) => i * size);
}

function logarithmicTicks(values: readonly number[]): number[] {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(positive.reduce((least, value) => Math.min(least, value), 1)));
  const high = Math.ceil(Math.log10(positive.reduce((most, value) => Math.max(most, value), 10)));
  return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
}
