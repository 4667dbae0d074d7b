/** Bars, a group for each workload, as an SVG that reads on light and on dark ground. */
import { spreadOfRatios } from '../rounds.ts';
import { headlineOf, number } from './format.ts';
import type { ScenarioResult } from './results.ts';
import { escaped, round, text } from './svg.ts';

const WIDTH = 860;
const LEFT = 230;
const RIGHT = 70;
const TOP = 44;
const BAR = 16;
const GAP = 14;
const KEYS_A_ROW = 4;
const KEY = 160;
const KEY_ROW = 20;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #444 }
  .title { font-weight: 600; fill: #111 } .grid { stroke: #999; stroke-dasharray: 3 3 }
  .c0 { fill: #0b62c4 } .c1 { fill: #94a3b8 } .c2 { fill: #64748b } .c3 { fill: #c2410c } .c4 { fill: #15803d } .c5 { fill: #9333ea } .c6 { fill: #a16207 }
  @media (prefers-color-scheme: dark) {
    text { fill: #bbb } .title { fill: #eee }
    .c0 { fill: #6cb0ff } .c1 { fill: #64748b } .c2 { fill: #94a3b8 } .c3 { fill: #fb923c } .c4 { fill: #4ade80 } .c5 { fill: #d8a4ff } .c6 { fill: #facc15 }
  }`;

/** Each subject's ratio to the scenario's baseline; that one is the dashed line at 1. */
export function chart({ scenario, workloads }: ScenarioResult): string {
  const { title, baseline, headline } = scenario;
  const names = [...new Set(workloads.flatMap(({ rounds }) => [...rounds.keys()]))].filter((name) => name !== baseline);
  const groups = workloads.map(({ name, rounds }) => ({
    name,
    bars: [...rounds].flatMap(([subject, measurements]) => {
      if (subject === baseline) return [];
      const ratio = spreadOfRatios(measurements, rounds.get(baseline) ?? [], headline);
      return ratio === null ? [] : [{ subject, ratio: ratio.median }];
    }),
  }));
  const most = Math.max(1, ...groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio)));
  const scale = (WIDTH - LEFT - RIGHT) / most;

  const parts: string[] = [];
  let y = TOP;
  for (const { name, bars } of groups) {
    parts.push(text(LEFT - 10, y + (bars.length * BAR) / 2 + 4, 'end', name));
    for (const { subject, ratio } of bars) {
      const width = ratio * scale;
      parts.push(
        `<rect class="c${names.indexOf(subject)}" x="${LEFT}" y="${y + 1}" width="${round(width)}" height="${BAR - 2}"/>`,
      );
      parts.push(text(LEFT + width + 6, y + BAR - 4, 'start', number(ratio)));
      y += BAR;
    }
    y += GAP;
  }
  const key = names.map((name, i) => {
    const x = LEFT + (i % KEYS_A_ROW) * KEY;
    const top = y + Math.floor(i / KEYS_A_ROW) * KEY_ROW;
    return `<rect class="c${i}" x="${x}" y="${top}" width="12" height="12"/>\n${text(x + 18, top + 11, 'start', name)}`;
  });
  const height = y + Math.ceil(names.length / KEYS_A_ROW) * KEY_ROW + 4;
  const heading = `${title}: ${headlineOf(scenario)}, ${baseline} = 1`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(heading)}">`,
    `<style>${STYLE}\n</style>`,
    text(LEFT, 20, 'start', heading, 'title'),
    ...parts,
    `<path class="grid" d="M${round(LEFT + scale)} ${TOP - 10}V${y - GAP + 4}"/>`,
    ...key,
    '</svg>\n',
  ].join('\n');
}
